"""What a kind of connection says of itself before any call: how a person declares one.

Rules of this file
- As `contract`: standard library only, no I/O, no import of `kv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import Connection, Credential


class Kind(Protocol):
    """What a person declares of connections of one kind. Pure, and light: the driver is the broker's to import.

    `verb` is that of the calls ("call", "query", "ssh"). `schemes` are the ways to authenticate, each with the slots of
    the secrets that it takes; the first is what a connection has where nothing was said. Where there are none, the
    credential enters by an `AuthScheme`, and what a person declares may be completed by a provider.
    `inspected`: its broker is one of `personal.Inspects`. `members` are those of a declaration that its targets have.
    """

    name: str
    verb: str
    schemes: Mapping[str, tuple[str, ...]]
    inspected: bool
    members: frozenset[str]

    def target(self, given: Mapping[str, object], before: Mapping[str, object], scheme: str) -> dict[str, object]:
        """The whole target, of what was stated now over what stood before. Raises `BrokerError("options")`."""

    def place(self, target: Mapping[str, object]) -> str:
        """Where it leads, for people: "postgres://127.0.0.1:5433/shop"."""

    def forms(self, credential: Credential, target: Mapping[str, object]) -> tuple[bytes, ...]:
        """Strings derived from the credential that travel in its place, or that it contains: needles too."""


@runtime_checkable
class Jumps(Protocol):
    """A kind whose connections may lead through another one, whose name is in their target."""

    def jump(self, target: Mapping[str, object]) -> str:
        """That name; "" for none."""

    def through(self, connection: Connection, jump: Connection) -> Connection:
        """The connection with the other one within, as it is planned and used. Raises `BrokerError("options")`."""
