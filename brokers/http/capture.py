"""Which members of an answer are new credentials, and what they will be called: what a call says, and its pack. Pure.

Rules of this file
- A member is named by its path, `data.api_key`, with a number for a place in a list; an XML answer's from its outermost
  element on. It is one string or it is none.
- What the pack declares is captured whether the call says so or not: it may give it another name, and not leave it out.
- Whether a name may be had is the application's to say; here it only has to be text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from brokers.arguments import refuse
from brokers.contract import Effect
from brokers.http.pattern import fold

if TYPE_CHECKING:
    from brokers.contract import Connection
    from brokers.http.arguments import Draft
    from brokers.http.pack import Pack
    from brokers.http.target import Pair

MOST = 4  # of one call: an id, a key, its secret, and a token
_MAX_NAME = 259  # characters of a secret's name
_FIELD = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,7}")


def decode(value: object) -> tuple[Pair, ...]:
    """The argument `capture`, members to names, sorted. Raises `BrokerError("argument")`."""
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        refuse("capture", "a mapping of members of the answer to names of secrets")
    pairs = tuple(sorted(value.items()))
    if len(pairs) > MOST or len({name for _, name in pairs}) != len(pairs):
        refuse("capture", "at most 4 members, each under a name of its own")
    for field, name in pairs:
        if not is_field(field) or not 0 < len(name) <= _MAX_NAME:
            refuse("capture", "a member is written as data.api_key, and its name is a secret's")
    return pairs


def is_field(text: str) -> bool:
    """Whether `text` names a member of an answer."""
    return _FIELD.fullmatch(text) is not None


def of(draft: Draft, connection: Connection, pack: Pack | None, operation: str = "") -> tuple[Pair, ...]:
    """What is captured of the answer: what the call says, and what else its pack declares.

    `operation` is the one that the call names (`actions`), "" where it names none.
    """
    folder = min(connection.secrets.values(), default="").rpartition("/")
    declared = {} if pack is None else _declared(pack, draft, connection.options.get("service", ""), operation)
    named = {field: f"{folder[0]}{folder[1]}{name}" for field, name in declared.items()}
    found = tuple(sorted({**named, **dict(draft.captures)}.items()))
    if len(found) > MOST or len({name for _, name in found}) != len(found):
        refuse("capture", "at most 4 members, with those that the service is known to give, each under its own name")
    return found


def _declared(pack: Pack, draft: Draft, service: str, operation: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in pack.operations:
        if each.service == service and each.name.casefold() == operation.casefold():
            found.update(each.gives)
    for row in pack.rows(fold(draft.segments)):
        if not row.methods or draft.method in row.methods:
            found.update(row.gives)
    return found


def at_least(effect: Effect, because: str, captures: tuple[Pair, ...]) -> tuple[Effect, str]:
    """A call whose answer holds a new credential makes one, whatever else it does."""
    if not captures or effect.severity >= Effect.MINT.severity:
        return effect, because
    return Effect.MINT, "its answer is said to hold a new credential"
