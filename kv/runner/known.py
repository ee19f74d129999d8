"""What a nursery knows of the vault: the needles of its runs.

Rules of this file
- What can be guessed is not among a run's needles unless it was lent to it. Whatever a run did about it would confirm a
  guess: a marker, a gap, a count; and time, for a program can fill a pipe with one guess and measure how long the
  reader takes. What is lost is little: who prints such a value has not had it from kv.
- It is judged once, before any run: the estimates take milliseconds each, a fork takes one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from kv.redact import GUESSABLE, Needles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kv.redact import Database

Row = tuple[str, bytes, int, list[bytes]]  # name, value, bits of strength, what travels in the value's place


class Known:
    """The needles for all runs, and for each name the rows of which something was left out."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._left_out: defaultdict[str, list[Row]] = defaultdict(list)
        needles = Needles()
        for row in rows:
            name, value, bits, derived = row
            if not needles.add(name, value, bits=bits, derived=derived, least=GUESSABLE):
                self._left_out[name].append(row)
        needles.merge()
        self._database = needles.database()

    def database(self, lent: Iterable[str]) -> Database:
        """The needles of a run that is lent these."""
        more = [row for name in lent for row in self._left_out.get(name, ())]
        if not more:
            return self._database
        needles = Needles()
        for name, value, bits, derived in more:
            needles.add(name, value, bits=bits, derived=derived)
        return self._database.joined(needles.database())
