"""The seam to the multi-pattern matcher: folded bytes in, every occurrence of every pattern out.

Rules of this file
- Nothing else imports `ahocorasick_rs`; a faster matcher is another class with the same `find`.
- *All* occurrences are reported, overlapping ones too: a byte of a secret must not survive because another secret
  began before it.
- The automaton holds one short anchor of each pattern and not the pattern; a hit of an anchor is verified against the
  text. Speed is a matter of the processor's cache, so of few states and of fewer visited: the anchor begins with the
  rarest letter that the pattern has. So nearly all anchors begin with the same few letters, and a scan seldom leaves
  the automaton's first state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ahocorasick_rs import BytesAhoCorasick, MatchKind

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST = 6  # bytes of a pattern at least; and the length of an anchor
_RARE_FIRST = b"~^`|@!?$&*#qzjxkvw7986453210ybpgfmucdlhrsnioate"
_RANK = bytes(_RARE_FIRST.find(byte) if byte in _RARE_FIRST else 255 for byte in range(256))


class Engine(Protocol):
    """Finds every occurrence of its patterns."""

    def find(self, haystack: bytes) -> list[tuple[int, int, int]]:
        """`(start, end, index of the pattern)` of each occurrence, in no particular order."""


class AhoCorasick:
    """An Aho-Corasick automaton over anchors. `patterns` are distinct, of `SHORTEST` bytes or more."""

    def __init__(self, patterns: Sequence[bytes]) -> None:
        anchors: dict[bytes, list[tuple[int, bytes, int]]] = {}
        for index, pattern in enumerate(patterns):
            at = _anchor(pattern)
            anchors.setdefault(pattern[at : at + SHORTEST], []).append((at, pattern, index))
        self._candidates = list(anchors.values())
        self._automaton = BytesAhoCorasick(list(anchors), matchkind=MatchKind.Standard)

    def find(self, haystack: bytes) -> list[tuple[int, int, int]]:
        """See `Engine.find`."""
        return [
            (start - at, start - at + len(pattern), index)
            for anchor, start, _end in self._automaton.find_matches_as_indexes(haystack, overlapping=True)
            for at, pattern, index in self._candidates[anchor]
            if at <= start and haystack.startswith(pattern, start - at)
        ]


def _anchor(pattern: bytes) -> int:
    """Where to take the anchor: where the row of its letters' ranks is least."""
    ranks = pattern.translate(_RANK)
    last = len(pattern) - SHORTEST
    rarest = min(ranks[: last + 1])
    return min((at for at in range(last + 1) if ranks[at] == rarest), key=lambda at: ranks[at : at + SHORTEST])
