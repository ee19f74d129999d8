"""What a record says, before it is sealed and after it was opened. Pure.

Rules of this file
- The metadata of a revision is one canonical JSON object that carries its own kind and name, so that a record
  found under a name's id can be held against that name.
- Decoding takes exactly what encoding makes. What does not fit was not written by kv, and is never guessed at.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Literal

from kv.errors import KvError
from kv.vault.format import META_MAX, VALUE_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["secret", "connection", "rule", "setting"]
KINDS: tuple[Kind, ...] = ("secret", "connection", "rule", "setting")

_SEGMENTS_MAX = 4
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PART = rf"(?!\.\.?(?:/|\Z)){_SEGMENT.pattern}"
_NAME = re.compile(rf"{_PART}(?:/{_PART}){{0,{_SEGMENTS_MAX - 1}}}")
_DEPTH_MAX = 32  # what a person declares nests three deep; deeper ends in Python's recursion limit
_MICROSECONDS = 1_000_000
_CREATED_MAX = (1 << 53) - 1  # whole in every JSON reader (RFC 8259, section 6); in microseconds the year 2255

# Keys sorted, no spaces, ASCII only. A repeated key, or a constant that is no JSON, does not survive the comparison.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode
_decode = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Record:
    """One revision without its value. `created` is in seconds since 1970, `meta` a JSON object."""

    kind: Kind
    name: str
    revision: int
    created: float
    meta: dict[str, object]


def check_name(name: str) -> str:
    """`name`, if it is one: 1 to 4 segments of `[A-Za-z0-9_.-]{1,64}` joined by `/`. Raises `KvError("bad-name")`."""
    if not _NAME.fullmatch(name):
        raise KvError("bad-name", why=_why_no_name(name.split("/")))
    return name


def _why_no_name(segments: list[str]) -> str:
    if len(segments) > _SEGMENTS_MAX:
        return f"it has more than {_SEGMENTS_MAX} parts"
    if not all(map(_SEGMENT.fullmatch, segments)):
        return "a part is empty, too long or has another character"
    return "'.' and '..' name no part"


def check_value(value: bytes) -> bytes:
    """`value`, if it may be stored: 1 byte to 1 MiB. Raises `KvError("value-size")`."""
    if not 1 <= len(value) <= VALUE_MAX:
        raise KvError("value-size")
    return value


def check_kind(kind: str) -> Kind:
    """`kind`, if there is such. Raises `ValueError`: kinds are the program's, not a person's."""
    if kind not in KINDS:
        raise ValueError("no such kind of record")
    return kind


def lookup(kind: str, name: str) -> bytes:
    """What a record's id is the keyed hash of. No kind has a NUL, so no two records have one."""
    return kind.encode("ascii") + b"\0" + name.encode("ascii")


def encode_meta(kind: Kind, name: str, created: float, meta: Mapping[str, object]) -> bytes:
    """The JSON that is sealed. Raises `KvError("too-large")`; `ValueError` for a meta that is no JSON object."""
    if not _is_json(dict(meta), _DEPTH_MAX):
        raise ValueError("meta is a JSON object")
    stamp = min(max(0, round(created * _MICROSECONDS)), _CREATED_MAX)  # a clock that is wrong stops nobody's work
    data = _canonical({"created": stamp, "kind": kind, "meta": dict(meta), "name": name})
    if len(data) > META_MAX:
        raise KvError("too-large", argument="meta", limit="1 MiB")
    return data


def decode_meta(data: bytes, revision: int) -> Record:
    """The record of what `encode_meta` made. Raises `ValueError` for anything else."""
    try:
        told = _decode(data.decode("ascii"))
        canonical = _canonical(told) == data
    except (ValueError, RecursionError):
        raise ValueError("this is no record") from None
    if not canonical or not isinstance(told, dict) or set(told) != {"created", "kind", "meta", "name"}:
        raise ValueError("this is no record")
    created, kind, meta, name = (told[member] for member in ("created", "kind", "meta", "name"))
    if type(created) is not int or not 0 <= created <= _CREATED_MAX or not isinstance(meta, dict):
        raise ValueError("this is no record")
    if kind not in KINDS or not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("this is no record")
    return Record(kind, name, revision, created / _MICROSECONDS, meta)


def same_meta(record: Record, meta: Mapping[str, object]) -> bool:
    """Whether `meta` would be sealed as what `record` holds already."""
    return _is_json(dict(meta), _DEPTH_MAX) and _canonical(record.meta) == _canonical(dict(meta))


def _is_json(value: object, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(each, depth - 1) for key, each in value.items())
    if isinstance(value, list | tuple):
        return all(_is_json(each, depth - 1) for each in value)
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | int)


def _canonical(value: object) -> bytes:
    return _encode(value).encode("ascii")
