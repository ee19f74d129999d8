"""What a connection's target says of commands, read once and kept for the next plan. Pure.

Rules of this file
- The same target is the same book: it is kept by the text of what it was read from, never by a connection's name.
- A target that does not say whether the built-in reading profiles count has them.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.ssh import readonly
from brokers.ssh.profiles import Book, classify, declared

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["classify", "of"]


def of(target: Mapping[str, object]) -> Book:
    """The profiles, patterns and roots of `target`. Raises `BrokerError("options")`."""
    said = {name: target.get(name) for name in ("profiles", "readonly", "allow", "roots")}
    try:
        return _read(json.dumps(said, sort_keys=True))
    except (TypeError, ValueError):
        raise BrokerError("options", why="the connection is not one that kv connect declared") from None


@lru_cache(maxsize=64)  # patterns are compiled once for each connection
def _read(said: str) -> Book:
    found = json.loads(said)
    allow, roots = (tuple(found[name] or ()) for name in ("allow", "roots"))
    return Book(
        declared(found["profiles"] or {}), () if found["readonly"] is False else readonly.PROFILES, allow, roots
    )
