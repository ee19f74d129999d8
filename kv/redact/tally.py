"""What a redaction found: counts and places, never values.

Rules of this file
- A stretch inside a longer find is not counted: what the reader sees there is the longer one's marker, which confirms
  nothing.
- The confirmation oracle: an agent prints guesses and watches which are replaced. So a hit on a secret that the call
  was not lent, and whose strength is under `GUESSABLE` bits, withholds everything: the caller throws the output away,
  redacted or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kv.redact.strength import GUESSABLE

if TYPE_CHECKING:
    from kv.redact.database import Needle


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """A secret that was replaced `count` times at one place, found under one chain of encodings (`form`)."""

    name: str
    form: str
    place: str
    lent: bool
    count: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an output. `guessed` names the secrets whose guess it would confirm."""

    hits: tuple[Hit, ...]
    guessed: tuple[str, ...]

    @property
    def withhold(self) -> bool:
        """True if showing the output, even redacted, would tell an agent that it guessed right."""
        return bool(self.guessed)

    @property
    def count(self) -> int:
        """Replacements in all."""
        return sum(hit.count for hit in self.hits)


class Tally:
    """Collects hits over all places of one call."""

    def __init__(self, lent: frozenset[str]) -> None:
        self.lent = lent
        self._counts: dict[tuple[str, str, str], int] = {}
        self._guessed: set[str] = set()
        # By pattern: an estimate takes milliseconds, and a hit may come a million times.
        self._weak: dict[bytes, bool] = {}

    def note(self, needle: Needle, form: str, place: str) -> None:
        """Count one replacement."""
        key = (needle.name, form, place)
        self._counts[key] = self._counts.get(key, 0) + 1
        if needle.name not in self.lent and needle.name not in self._guessed:
            pattern = needle.form.pattern
            if pattern not in self._weak:
                self._weak[pattern] = needle.strength() < GUESSABLE
            if self._weak[pattern]:
                self._guessed.add(needle.name)

    def verdict(self) -> Verdict:
        """What has been found so far."""
        hits = (Hit(name, form, place, name in self.lent, count) for (name, form, place), count in self._counts.items())
        return Verdict(tuple(sorted(hits)), tuple(sorted(self._guessed)))
