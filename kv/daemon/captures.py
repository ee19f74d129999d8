"""New credentials in answers: into the vault before anything of the answer is shown, with a reference in their place.

Rules of this file
- A captured name is new and lies beside the connection's own secret: no agent replaces a secret by a call, or plants
  one elsewhere. That is refused before the call is made, and the name is held until it is over.
- A value is stored, and is a needle, before anything else looks at the answer that it came in.
- Where one is not found, the answer is withheld, since the credential may stand anywhere in it: guessing which member
  it is, and showing the rest, would show it on the day that the guess is wrong. The names of its members are told, so
  that the next call says the right one. What was made stays at the service, for a person to fetch or revoke.
- An answer that says no made nothing, and is shown like any.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kv.daemon import answer_tree, shape
from kv.daemon.safe import label
from kv.errors import KvError
from kv.redact import GUESSABLE, Redaction, has_reference, is_mask, strength, too_short
from kv.vault.contents import check_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from brokers.contract import Outcome, Plan
    from kv.daemon.house import House
    from kv.daemon.uses import Use

_MOST = 1 << 20  # bytes of an answer that is read for a credential: a thousand times what such answers are
_LONGEST = 64 << 10  # bytes of a value: what can stand in a request
_SUFFIXES = range(2, 100)  # of a name that somebody took while the call was under way
_MEMBERS, _DEEP = 64, 4  # names of members that are told, and how deep they lie
_MEMBER = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")  # a word without digits: a member's name is told, no value is


class Captures:
    """The names that calls under way will store. One per pipeline."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._held: set[str] = set()

    def check(self, plan: Plan) -> None:
        """Raise `KvError` unless what `plan` captures may be stored: bad-name, bad-argument, vault-older."""
        vault, wanted = self._house.vault, _wanted(plan)
        if wanted and vault.read_only:
            raise KvError("vault-older", found=vault.generation, seen=vault.seen or 0)
        for name in wanted.values():
            check_name(name)
            check_name(f"{name}-{_SUFFIXES[-1]}")
            if not any(_beside(name, own) for own in plan.connection.secrets.values()):
                folders = sorted({own.rpartition("/")[0] for own in plan.connection.secrets.values()})
                where = f"below {folders[0]}/" if folders and folders[0] else "without a folder"
                _refuse(f"a captured secret lies beside the connection's own: its name is one {where}")
            if vault.get("secret", name) is not None or name in self._held:
                _refuse(f"'{name}' exists already, and a call replaces no secret: give another name")

    @contextmanager
    def held(self, plan: Plan) -> Iterator[None]:
        """Keep the names of `plan` for its call. Raises as `check`."""
        self.check(plan)
        names = {*_wanted(plan).values()}
        self._held |= names
        try:
            yield
        finally:
            self._held -= names

    async def show(self, outcome: Outcome, plan: Plan, args: Use, desk: shape.Desk) -> shape.Shown:
        """As `shape.show`, with what is captured stored first. Raises `KvError`, `BrokerError`."""
        wanted = _wanted(plan)
        if not wanted or shape.status(outcome) // 100 != 2:  # noqa: PLR2004 - RFC 9110 section 15.3
            return await shape.show(outcome, plan, args, desk)
        body, whole = await _read(outcome)
        document = answer_tree.read(body) if whole else None
        lent = *plan.connection.secrets.values(), label(plan.connection.name)
        known = Redaction(desk.database, lent, overlook=True)
        values: dict[str, bytes] = {}
        missing: dict[str, str] = {}
        for member, name in wanted.items():
            value, why = _value(document, member, known)
            if value is None:
                missing[member] = why
            else:
                values[name] = value
        stored = self._store(plan, values)
        told: dict[str, object] = {f: "{{kv:" + stored[n] + "}}" for f, n in wanted.items() if n in stored}
        desk = replace(desk, database=await self._house.database(), lent=tuple(stored.values()))
        if missing:
            return _withheld(outcome, plan, args, desk, document, {"captured": told, "uncaptured": missing}, len(body))
        outcome.body = _again(body)
        shown = await shape.show(outcome, plan, args, desk)
        shown.members["captured"] = told
        return shown

    def _store(self, plan: Plan, values: Mapping[str, bytes]) -> dict[str, str]:
        """Store all of `values`, or none; under which name each is, where a person took its own meanwhile."""
        house, connection = self._house, plan.connection.name
        names: dict[str, str] = {}
        for name in values:
            names[name] = self._free(name, {*names.values(), *(self._held - {name})})
        note = f"from an answer of {connection}"
        rows = [
            (
                "secret",
                names[name],
                {"class": "normal", "note": note, "strength": strength(value), "short": False},
                value,
            )
            for name, value in values.items()
        ]
        if rows:
            house.vault.put_many(rows, now=time.time())
            for stored in names.values():
                house.add_needles(stored)
            house.audit.event(durable=True, verb="capture", connection=connection, title=", ".join(names.values()))
        return names

    def _free(self, name: str, given: set[str]) -> str:
        vault = self._house.vault
        each = (name, *(f"{name}-{number}" for number in _SUFFIXES))
        return next(free for free in each if free not in given and vault.get("secret", free) is None)


def _refuse(why: str) -> None:
    raise KvError("bad-argument", argument="capture", why=why)


def _wanted(plan: Plan) -> dict[str, str]:
    """Members of the answer, and the secret that each will be."""
    return dict(cast("Sequence[tuple[str, str]]", plan.request.get("capture", ())))


def _beside(name: str, own: str) -> bool:
    folder = own.rpartition("/")[0]
    return name.startswith(f"{folder}/") if folder else "/" not in name


async def _read(outcome: Outcome) -> tuple[bytes, bool]:
    """The body, and whether that is all of it."""
    body = bytearray()
    async for chunk in outcome.body:
        body += chunk
        if len(body) > _MOST:
            return bytes(body), False
    return bytes(body), True


async def _again(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _value(document: object, member: str, known: Redaction) -> tuple[bytes | None, str]:
    """The credential at `member`; or why there is none."""
    found = document
    for part in member.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isascii() and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            found = None
    if document is None:
        return None, "the answer is neither JSON nor XML that can be read in one way, or is larger than 1 MiB"
    if not isinstance(found, str):
        return None, "there is no such member" if found is None else "it is no text"
    value = found.encode("utf-8", "surrogatepass")
    if too_short(value) or len(value) > _LONGEST:
        return None, "it is shorter than 8 bytes, or longer than 64 KiB"
    if strength(value) < GUESSABLE:  # as a needle it would have other answers withheld
        return None, "it could be guessed"
    if is_mask(value) or has_reference(value) or "\0" in found or not _is_text(found):
        return None, "it is no value that can be stored"
    return (value, "") if known.scrub(value, "body") == value else (None, "the vault has it already")


def _is_text(found: str) -> bool:
    try:
        found.encode()
    except UnicodeError:
        return False
    return True


def _withheld(  # noqa: PLR0913, PLR0917 - what there is to say
    outcome: Outcome, plan: Plan, args: Use, desk: shape.Desk, document: object, told: dict[str, object], came: int
) -> shape.Shown:
    """An answer of which only the status and the names of members are told."""
    lent = *plan.connection.secrets.values(), label(plan.connection.name), *desk.lent
    redaction = Redaction(desk.database, lent)
    members = redaction.present_all(list(_members(document)), "body")
    shown = shape.Shown(shape.status(outcome), came, {}, redaction.verdict.withhold)
    if not shown.withheld:
        shown.members = {
            "status": shown.status,
            "headers": {},
            "verb": args.VERB,
            "form": "none",
            "redactions": 0,
            "truncated": False,
            "untrusted": True,
            "source": plan.connection.name,
            **told,
            "members": members,
        }
    return shown


def _members(document: object) -> Iterator[str]:
    """Where texts stand in an answer, by the names of members alone; of a list, in its first place."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), document)]
    found = 0
    while waiting and found < _MEMBERS:
        path, value = waiting.pop(0)
        if isinstance(value, str) and path:
            found += 1
            yield ".".join(path)
        elif isinstance(value, list) and value and len(path) < _DEEP:
            waiting.append(((*path, "0"), value[0]))
        elif isinstance(value, dict) and len(path) < _DEEP:
            waiting += [((*path, name), held) for name, held in value.items() if _MEMBER.fullmatch(name)]
