"""What a caller is told of its call, or its run, while that waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.card import card
from kv.daemon.clock import boot_time

if TYPE_CHECKING:
    from kv.model import Pending


def waits(pending: Pending, then: str = "") -> dict[str, object]:
    """The ticket, how long the asking stands, the card, and a sentence: what to ask the user, and what to do `then`."""
    now = boot_time()
    shown = card(pending, now)
    return {
        "pending": pending.id,
        "expires": round(max(0.0, pending.expires - now), 1),
        "card": shown,
        "say": f"{shown['why']}. ask the user to run:  kv approve {pending.id}   (in another terminal){then}",
    }
