"""Whether functions that a read calls are stored in the database itself, and not what kv's list knows by their names.

Rules of this file
- A server looks a name up among the database's functions where it has none of its own: MariaDB for what only MySQL has
  (`is_uuid`), an older server for what a newer one has, and both for a word of the grammar (`first (1)`).
- Asked before each such read, in its own session and transaction. Blocking. What is made between the question and the
  statement, a moment later, is not seen: no transaction of these servers holds functions still.
- The server compares: to it `fïrst` is `first`.

`information_schema.ROUTINES` reads every routine unless schema and name are given as one value each; then it looks
them up, which takes 0.4 ms and 0.2 ms for each further name, where a database of 300 functions takes 8 ms to be
read (MariaDB 10.11). An older server reads it anew for every name. So a few are looked up, and many are read once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.sql import own
from brokers.sql.mysql.literal import literal
from brokers.sql.tokens import lower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.contract import Plan
    from brokers.sql.mysql.session import Session

FEW = 4  # names that are looked up one by one
_QUESTION = (
    "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
    "WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_NAME "
)


def question(names: Sequence[str]) -> str:
    """What the database is asked: which functions it has by these names."""
    spelled = [literal(name) for name in names]
    if len(spelled) <= FEW:
        return " UNION ALL ".join(f"{_QUESTION}= {name}" for name in spelled)
    return f"{_QUESTION}IN ({', '.join(spelled)})"


def check(session: Session, plan: Plan) -> None:
    """Refuse a read that calls one of the database's own. Raises `BrokerError("refused")`."""
    called = own.names(plan).get("functions")
    found = (
        [lower((row[0] or b"").decode("utf-8", "replace")) for row in session.fetch(question(called))] if called else []
    )
    if found:
        raise own.refusal(found)
