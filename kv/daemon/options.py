"""What a keeper is started with: one JSON line on the pipe of its birth, before the key."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kv.daemon.budget import PER_MINUTE
from kv.errors import KvError

_DAY = 86400.0


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`idle` and `cap` in seconds; `until` is a wall-clock time in seconds, 0 for none."""

    vault: str
    wire: int
    idle: Annotated[float, msgspec.Meta(gt=0, le=7 * _DAY)] = 4 * 3600.0
    cap: Annotated[float, msgspec.Meta(gt=0, le=7 * _DAY)] = 12 * 3600.0
    until: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    calls_per_minute: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = PER_MINUTE
    admin_only: bool = False
    accept_older: bool = False
    seen: int | None = None
    agent_uids: tuple[int, ...] = ()


def decode(line: bytes) -> Options:
    """The options in `line`. Raises `KvError("keeper-start")`."""
    try:
        return msgspec.json.decode(line, type=Options, strict=True)
    except msgspec.DecodeError:
        raise KvError("keeper-start", why="client and keeper differ in version") from None
