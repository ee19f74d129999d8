"""Results as a model reads them: one JSON text of at most 64 KiB, and the parts of what is longer.

Rules of this file
- The bound is on the whole text in UTF-8, whatever makes it long: a body, headers, a list of names. A part never ends
  within a character.
- What comes from outside says so first: `untrusted`, and the `source` it is of. Every part says it again.
- What is kept for later is bounded in number and bytes, and lives in this process: a ticket of another connection is
  one that does not exist.
- The keeper has taken terminal commands out of the whole before it is parted, so no two parts make one when joined.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from kv.errors import KvError

if TYPE_CHECKING:
    from kv.client import Answer

ROOM = 64 << 10  # bytes of a result: what clients take without cutting it themselves
_AROUND = 256  # of them for what tells a part's place: two numbers, a ticket, their names
_OURS = frozenset({"form", "verb"})  # members for programs: a model sees what it asked for and what came
_KEPT = 8  # long results that can be read on at once
_KEPT_BYTES = 32 << 20  # of them together; the newest always stays, and is itself bounded by the keeper's frames


class _Long(NamedTuple):
    """A result that comes in parts: members that every part repeats, and the whole that is parted."""

    members: dict[str, object]
    whole: bytes


class Pages:
    """The long results of one connection."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Long] = OrderedDict()

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._kept

    def first(self, answer: Answer) -> str:
        """The answer, or the first part of it."""
        members, body = _read(answer)
        text = _encode(members if body is None else {**members, "body": body})
        if len(text.encode()) <= ROOM:
            return text
        ticket = f"P{secrets.token_hex(4)}"
        self._kept[ticket] = _long(answer, members, body, text)
        while len(self._kept) > _KEPT or (len(self._kept) > 1 and self._bytes() > _KEPT_BYTES):
            self._kept.popitem(last=False)
        return self.part(ticket, 0)

    def part(self, ticket: str, offset: int) -> str:
        """The part that starts at byte `offset`. Raises `KvError("bad-argument")` where none does."""
        members, whole = self._kept[ticket]
        if not 0 <= offset < len(whole) or _within(whole, offset):
            raise KvError("bad-argument", argument="offset", why="no part starts there; take the one in 'more'")
        end = _cut(whole, offset, ROOM - len(_encode(members).encode()) - _AROUND)
        more = {"ticket": ticket, "offset": end} if end < len(whole) else None
        return _encode({**members, "body": whole[offset:end].decode(), "part_of": len(whole), "more": more})

    def _bytes(self) -> int:
        return sum(len(kept.whole) for kept in self._kept.values())


def _read(answer: Answer) -> tuple[dict[str, object], object]:
    """The answer's members, the marks first, and its body as JSON, text or base64; None without one."""
    members = {**_marks(answer), **{name: value for name, value in answer.ok.items() if name not in _OURS}}
    if isinstance(at := answer.ok.get("stdout"), int):
        both = {"stdout": answer.body[:at], "stderr": answer.body[at:]}
        return {**members, **{name: _text(part) for name, part in both.items()}}, None
    form = answer.ok.get("form")
    if form == "json":
        try:
            body = json.loads(answer.body)
            json.dumps(body, allow_nan=False)
        except (ValueError, RecursionError):  # a number beyond a float's, or nested deeper than Python goes
            return members, answer.body.decode()
        return members, body
    if form == "bytes":
        return members, {"base64": base64.b64encode(answer.body).decode()}
    return members, answer.body.decode() if form == "text" else None


def _text(data: bytes) -> object:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _long(answer: Answer, members: dict[str, object], body: object, text: str) -> _Long:
    """What of a long answer is parted: its body, where that is what makes it long; else the answer as it stands."""
    form = str(answer.ok.get("form", "json"))
    if body is not None and len(_encode(members).encode()) <= ROOM // 4:
        whole = body if isinstance(body, str) else _encode(body)
        return _Long({**members, "form": form}, whole.encode())
    return _Long({"source": "kv", **_marks(answer), "form": "json"}, text.encode())


def _marks(answer: Answer) -> dict[str, object]:
    """What says that an answer comes from outside, and from where."""
    return {name: answer.ok[name] for name in ("untrusted", "source") if name in answer.ok}


def _cut(whole: bytes, start: int, room: int) -> int:
    """Where the part from `start` ends: as far as `room` bytes of JSON text reach, between two characters."""
    end = min(len(whole), start + room)
    while True:
        while end < len(whole) and _within(whole, end):
            end -= 1
        beyond = len(_encode(whole[start:end].decode()).encode()) - room
        if beyond <= 0:
            return end
        end -= max(1, beyond // 6)  # an escape is six bytes for one at most


def _within(whole: bytes, at: int) -> bool:
    return whole[at] & 0xC0 == 0x80  # noqa: PLR2004 - UTF-8: a byte that continues a character


def _encode(value: object) -> str:
    """JSON text. Half a surrogate pair stays an escape: UTF-8 has no form for it, and the SDK would end over one."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()
