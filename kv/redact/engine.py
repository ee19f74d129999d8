"""The seam to the multi-pattern matcher: folded bytes in, every occurrence of every pattern out.

Rules of this file
- Nothing else imports `ahocorasick_rs`; a faster matcher is another class with the same `find`.
- *All* occurrences are reported, overlapping ones too: a byte of a secret must not survive because another secret began before it.
- The automaton holds one short anchor of each pattern and not the pattern: the states that a text wanders through stay in the
  processor's cache, and a hit of an anchor is verified against the text. Ten thousand whole patterns as a DFA take 220 MiB, their anchors 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST = 6  # bytes of a pattern; also the length of an anchor
_DENSE = 20_000  # anchors up to which a DFA is worth its memory (about 0.9 KiB an anchor)
_COMMON = frozenset(b"etaoinsrhldcu /.")


class Engine(Protocol):
    """Finds every occurrence of its patterns."""

    def find(self, haystack: bytes) -> list[tuple[int, int, int]]:
        """`(start, end, index of the pattern)` of each occurrence, in no particular order."""


class AhoCorasick:
    """An Aho-Corasick automaton over anchors. `patterns` are distinct, of `SHORTEST` bytes or more."""

    def __init__(self, patterns: Sequence[bytes]) -> None:
        anchors: dict[bytes, list[tuple[int, bytes, int]]] = {}
        for index, pattern in enumerate(patterns):
            at = _rarest(pattern)
            anchors.setdefault(pattern[at : at + SHORTEST], []).append((at, pattern, index))
        self._candidates = list(anchors.values())
        dense = Implementation.DFA if len(anchors) <= _DENSE else Implementation.ContiguousNFA
        self._automaton = BytesAhoCorasick(list(anchors), matchkind=MatchKind.Standard, implementation=dense)

    def find(self, haystack: bytes) -> list[tuple[int, int, int]]:
        """See `Engine.find`."""
        return [
            (start - at, start - at + len(pattern), index)
            for anchor, start, _end in self._automaton.find_matches_as_indexes(haystack, overlapping=True)
            for at, pattern, index in self._candidates[anchor]
            if at <= start and haystack.startswith(pattern, start - at)
        ]


def _rarest(pattern: bytes) -> int:
    """Where to take the anchor: of five places the one with the most variety and the fewest common letters."""
    last = len(pattern) - SHORTEST
    places = {0, last // 4, last // 2, last * 3 // 4, last}
    return max(sorted(places), key=lambda at: len(set(pattern[at : at + SHORTEST]) - _COMMON))
