"""What a call that ended badly means for the next: for its session's budget and standing, and for a person to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.daemon import record
from kv.daemon.clock import boot_time
from kv.errors import KvError

if TYPE_CHECKING:
    from brokers.contract import BrokerError
    from kv.audit.entry import Fields
    from kv.daemon.house import House
    from kv.model import Caller

_UNAUTHORIZED = 401  # what a refused login counts as


def of_failure(house: House, caller: Caller, connection: str, error: BrokerError) -> None:
    """Count a refused login, since accounts lock by these as well; another host key is an alarm."""
    if error.code == "login":
        house.budget.note(caller.session, connection, _UNAUTHORIZED, boot_time())
    if error.code == "host-key":
        title = f"another host key than the pinned {error.fields['pinned']}: {error.fields['found']}"
        told: Fields = {"verb": "call", "connection": connection, "outcome": "refused", "title": title}
        house.audit.alarm(**record.merge(record.who(caller), told))


def of_guess(house: House, caller: Caller) -> None:
    """Raise `KvError("withheld")`, and count: three guesses confirmed are a search, not an accident."""
    if house.approvals.withheld(caller.session):
        _frozen(house, caller, "three results confirmed a guess")
    raise KvError("withheld", why="it holds a guessable secret that was not lent to this call")


def of_heard_guess(house: House, caller: Caller) -> None:
    """Freeze the session: where its output stopped confirms one guess of many (`listener`)."""
    house.approvals.freeze(caller.session, "where its output stopped confirmed a guess at a secret")
    _frozen(house, caller, "output that went out as it came confirmed a guess")


def _frozen(house: House, caller: Caller, rule: str) -> None:
    told: Fields = {"verb": "call", "outcome": "frozen", "rule": rule, "title": rule}
    house.audit.alarm(**record.merge(record.who(caller), told))
