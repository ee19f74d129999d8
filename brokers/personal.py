"""What some brokers do for a person besides calls: log in at the service's own page, and look at a database's role.

Rules of this file
- As `contract`: standard library only, no I/O, no import of `kv`.
- A broker has these methods or has not: `isinstance` tells, and no kind is asked for by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from brokers.contract import Connection, Credential, Secret


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a person is to be shown: enter `code` at `address`, or open `complete` where there is one."""

    code: str
    address: str
    complete: str
    seconds: float


@runtime_checkable
class LogsIn(Protocol):
    """A broker with connections to which a person logs in; what the service gives for that becomes their secret."""

    def takes_login(self, connection: Connection) -> bool:
        """Whether this is such a connection."""

    async def login(
        self, connection: Connection, credential: Credential, show: Callable[[Prompt], Awaitable[None]]
    ) -> Mapping[str, Secret]:
        """What from then on is the secret of each slot. Raises `BrokerError`."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Of a role: `warnings` say what it can do that no reader should, `script` are the statements that help.

    `server` says who is there, `remedy` what the statements make. All but `remedy` may be the other side's words.
    """

    server: str
    warnings: tuple[str, ...]
    script: str
    remedy: str


@runtime_checkable
class Inspects(Protocol):
    """A broker whose connections have a role behind them to look at."""

    async def inspect(self, connection: Connection, credential: Credential) -> Findings:
        """Look at it. Raises `BrokerError`."""
