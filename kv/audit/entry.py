"""One entry of the audit: a closed set of bounded fields, and one way to write them down.

Rules of this file
- Pure. A field that is not listed here cannot be recorded: there is none for a value, a body or a query.
- What others wrote (title, reason, labels, programs' names) is cleaned and clipped, head and tail kept: a long
  reason must not be a way to have no record. What kv itself made (ids, digests, codes) is refused when malformed.
- Canonical JSON: fields in the order below, those at their default left out, keys of maps sorted, no spaces,
  UTF-8. `decode` accepts exactly the bytes that `encode` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import msgspec
from msgspec import Meta

from kv.errors import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

# Bytes of one entry: 1,024 names of 259 characters and every text at its bound fit; nothing larger is read.
BODY_MAX = 1 << 19

NAMES_MAX = 1024  # secrets of one `kv run`; more are refused before they are lent
TEXT_MAX = {"title": 300, "reason": 200, "label": 120, "rule": 120, "exe": 64}

_MOST = (1 << 63) - 1
_U63 = Annotated[int, Meta(ge=0, le=_MOST)]  # what SQLite and every reader of JSON with integers can hold
_Id = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:-]{0,64}\Z")]
_Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_./-]{0,259}\Z")]  # 4 parts of 64 and the 3 slashes
_Place = Annotated[str, Meta(pattern=r"\A[a-z-]{1,16}\Z")]


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The process that asked, from the kernel. `exe` is a basename: a label, never evidence."""

    pid: _U63
    exe: Annotated[str, Meta(max_length=64)]
    uid: _U63


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is recorded of one act.

    `time` is wall time in seconds, `clock` the boot-time clock in ns (it shows a wall clock that was moved).
    `of` is the entry that a settle settles. `count` is how many things an event stands for. `ms` is the call's
    duration, `bytes_in` what came from the other side, `bytes_out` what went there. `redactions` counts by place.
    """

    seq: Annotated[int, Meta(ge=1, le=_MOST)]
    epoch: Annotated[int, Meta(ge=1, le=_MOST)]
    time: Annotated[float, Meta(ge=0, lt=1e12)]
    clock: _U63
    kind: Literal["intend", "settle", "event", "alarm"]
    of: _U63 = 0
    call: _Id = ""
    verb: _Id = ""
    connection: _Name = ""
    effect: Literal["", "read", "write", "unknown", "destroy", "mint", "release", "reveal", "admin"] = ""
    title: Annotated[str, Meta(max_length=300)] = ""
    plan: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""
    rule: Annotated[str, Meta(max_length=120)] = ""
    decision: Literal["", "allow", "ask", "deny"] = ""
    approval: _Id = ""
    scope: Literal["", "once", "session", "project"] = ""
    strength: Literal["none", "totp", "pin", "passphrase", "descriptor-passphrase", "window", "admission"] = "none"
    session: _Id = ""
    label: Annotated[str, Meta(max_length=120)] = ""
    peer: Peer | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""
    names: Annotated[tuple[_Name, ...], Meta(max_length=NAMES_MAX)] = ()
    outcome: _Id = ""
    status: Annotated[int, Meta(ge=0, le=65535)] = 0
    bytes_in: _U63 = 0
    bytes_out: _U63 = 0
    ms: _U63 = 0
    redactions: Annotated[dict[_Place, _U63], Meta(max_length=16)] = msgspec.field(default_factory=dict)
    count: _U63 = 0


class Fields(TypedDict, total=False):
    """The fields of an entry that a caller gives; the log adds `seq`, `epoch`, `time`, `clock`, `kind` and `of`.

    `title` is a method and a path, or a statement's kind: cut before the query, redacted like every output.
    """

    call: str
    verb: str
    connection: str
    effect: str
    title: str
    plan: str
    rule: str
    decision: str
    approval: str
    scope: str
    strength: str
    session: str
    label: str
    peer: Peer | None
    reason: str
    names: tuple[str, ...]
    outcome: str
    status: int
    bytes_in: int
    bytes_out: int
    ms: int
    redactions: dict[str, int]
    count: int


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Entry, strict=True)


def build(fields: Mapping[str, object]) -> Entry:
    """The entry with `fields`, its texts cleaned. Raises `ValueError` for an unknown or malformed field: misuse."""
    tidy = dict(fields)
    for name in TEXT_MAX:
        if name in tidy:
            tidy[name] = _clip(name, tidy[name])
    peer = tidy.get("peer")
    if isinstance(peer, Peer):
        tidy["peer"] = {"pid": peer.pid, "exe": _clip("exe", peer.exe), "uid": peer.uid}
    try:
        return msgspec.convert(tidy, Entry, strict=True)
    except msgspec.ValidationError:
        raise ValueError("an audit field is malformed") from None  # msgspec may quote what it was given


def _clip(name: str, value: object) -> object:
    bound = TEXT_MAX[name]
    if not isinstance(value, str):
        return value
    if len(value) <= bound and value.isascii() and value.isprintable():  # nearly all, at a tenth of the price
        return value
    return clean(value, limit=bound)


def encode(entry: Entry) -> bytes:
    """The canonical JSON of `entry`, at most `BODY_MAX` bytes."""
    return _ENCODER.encode(entry)


def decode(body: bytes) -> Entry:
    """The entry that `body` is the canonical JSON of. Raises `ValueError` for any other bytes."""
    try:
        entry = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not an entry") from None
    if len(body) > BODY_MAX or encode(entry) != body:
        raise ValueError("not canonical")
    return entry
