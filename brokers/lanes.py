"""Lanes: what is kept open to one place for one credential, and how many such places there are at once.

Rules of this file
- A lane in use is never closed for another one's sake: then there are more for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Lane(Protocol):
    """What is kept open to one place."""

    @property
    def busy(self) -> bool:
        """Somebody is in it, or waits to be."""

    def close(self) -> None:
        """Let go of what is idle in it."""


K = TypeVar("K")
L = TypeVar("L", bound=Lane)


class Lanes(OrderedDict[K, L]):
    """The lanes by their keys, the least recently used first. A key is all that decides who is at the other end."""

    def at(self, key: K, make: Callable[[], L], most: int) -> L:
        """The lane of `key`, made where there is none. Of more than `most` the one that rested longest gives way."""
        lane = self.pop(key, None) or make()
        self[key] = lane
        if len(self) > most:
            resting = next((key for key, held in self.items() if not held.busy and held is not lane), None)
            if resting is not None:
                self.pop(resting).close()
        return lane

    def close(self) -> None:
        """Close them all."""
        for lane in self.values():
            lane.close()
        self.clear()
