"""A scene of a story: a world with a hostile upstream connected to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upstream import Upstream
    from world import World

KEY = b'sk_live_51Hq+7Zk/9vXw=Tt"0aB'  # URL, JSON, HTML and base64 forms all differ from the raw one


@dataclass
class Scene:
    """A world, an upstream that wants `key`, and the connection `echo` to it."""

    world: World
    upstream: Upstream
    key: bytes = KEY
