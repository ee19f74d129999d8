"""A call on its way: who makes it, what was judged, and what it has until its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kv.daemon.holdings import Share
    from kv.daemon.judged import Judged
    from kv.daemon.listener import Listener
    from kv.daemon.uses import Use
    from kv.model import Caller


@dataclass(frozen=True, slots=True)
class Errand:
    """One call's. `folder` is a descriptor, for what is saved; `listener` hears what comes, as it comes."""

    caller: Caller
    judged: Judged
    args: Use
    share: Share
    folder: int | None = None
    listener: Listener | None = None
