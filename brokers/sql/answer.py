"""An answer that is made before it is told: the session, or the file, is free by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.contract import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def whole(body: bytes) -> Outcome:
    """The outcome of a document."""
    return Outcome({}, _once(body), _nothing)


def refused(sqlstate: object, body: bytes) -> Outcome:
    """The outcome of a refusal by the other side, which is an answer too."""
    return Outcome({"failed": True, "sqlstate": sqlstate}, _once(body), _nothing)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _nothing() -> None:
    """Nothing is held any more."""
