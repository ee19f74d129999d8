"""What is told of a read whose names may be code of the database's own. Pure.

Rules of this file
- Only a read is asked about (`reach` says which names): of anything else a person has seen the statement and said yes.
- What a name is on the list for does not count where a database has given it to a function of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError, Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brokers.contract import Plan

_ADVICE = "ask in mode=write, or have a person name it (kv connect --function)"


def names(plan: Plan) -> Mapping[str, Sequence[str]]:
    """What the database is to be asked about, kind by kind (`Reach`); nothing where it need not be."""
    reach = cast("Mapping[str, Sequence[str]]", plan.request.get("reach") or {})  # as `SqlBroker` planned it
    return reach if plan.effect is Effect.READ and any(reach.values()) else {}


def refusal(found: Iterable[str]) -> BrokerError:
    """The refusal of a read in which the names `found` are the database's own."""
    name = next((name for name in found if name.isascii() and name.isprintable()), "a name or cast in it")
    return BrokerError("refused", why=f"{name} may be code of this database's own here: {_ADVICE}")
