"""Whether functions that a read calls are stored in the database itself, and not what kv's list knows by their names.

Rules of this file
- A server looks a name up among the database's functions where it has none of its own: MariaDB for what only MySQL has
  (`is_uuid`), an older server for what a newer one has, and both for a word of the grammar (`first (1)`).
- Asked in the read's own session and transaction. Blocking.

`information_schema.ROUTINES` reads every routine before it looks at a condition: 300 of them take 20 ms, the tenfold
of the read itself (MariaDB 10.11). So the names are kept for half a minute, and forgotten when something is written
through the lane: an agent makes no function that it can then call unasked. Who makes one by another way and knows of
the half minute may write to the database without kv.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from brokers.sql import own
from brokers.sql.tokens import lower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.contract import Plan
    from brokers.sql.mysql.pool import Lane
    from brokers.sql.mysql.session import Session

KEPT = 30.0  # seconds
_QUESTION = (
    "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
    "WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_TYPE = 'FUNCTION'"
)


class Routines(NamedTuple):
    """The names of a database's functions, until when they count, and how many writes there had been before."""

    names: frozenset[str]
    until: float
    writes: int


def check(session: Session, lane: Lane, plan: Plan) -> None:
    """Refuse a read that calls one of them. Raises `BrokerError("refused")`."""
    called = own.names(plan).get("functions")
    if not called:
        return
    kept, writes = lane.routines, lane.writes
    if kept is None or kept.writes != writes or kept.until < time.monotonic():
        found = frozenset(lower((row[0] or b"").decode("utf-8", "replace")) for row in session.fetch(_QUESTION))
        kept = lane.routines = Routines(found, time.monotonic() + KEPT, writes)
    if same := [name for name in called if name in kept.names or _accented(name, kept.names)]:
        raise own.refusal(same)


def _accented(name: str, routines: frozenset[str]) -> Sequence[str]:
    """Routines that the server takes for `name` though they are spelled otherwise: to it `fïrst` is `first`.

    Its rule compares character by character, so a letter beyond ASCII stands for any.
    """
    return [
        routine
        for routine in routines
        if not routine.isascii()
        and len(routine) == len(name)
        and all(one == two or not one.isascii() for one, two in zip(routine, name, strict=True))
    ]
