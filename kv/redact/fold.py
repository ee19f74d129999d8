"""Folding: what two spellings of one secret have in common.

Rules of this file
- Needles and texts are folded by the same table before they are compared, so whatever folding forgets can be changed
  in an echo without hiding it: letter case, white space (a wrapped base64, a PEM key on one line, a value spaced
  out), NUL and other controls (UTF-16), backslashes (an escaped `/` or `"`), `:` `-` `+` (hex with separators, a
  UUID without dashes, `+` for a space, base64url), and `=` (quoted-printable: a soft line break goes, and a text of
  which every byte is escaped is its hex).
- Folding only ever joins spellings: it can redact too much (a look-alike), never too little.
- Positions survive: `Kept` maps a byte of the folded text back to where it stood.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

DELETED = bytes(range(0x21)) + b"\x7f\\:+-="
LINE_BREAKS = b"\r\n"
_FOLD = bytes(range(256)).lower().replace(b"_", b"/")
_BLOCK = 2048  # a power of two: a lookup halves it


def fold(data: bytes) -> bytes:
    """`data` with every distinction forgotten that an echo may lose."""
    return data.translate(_FOLD, DELETED)


class Kept:
    """Positions of the bytes of `data` that a deletion of `deleted` keeps: `kept[i]` is where the i-th one stood.

    Built only for texts with hits, and of counts alone: a hit costs a few looks into one block, not the whole text.
    """

    def __init__(self, data: bytes, deleted: bytes) -> None:
        self._data = data
        self._deleted = deleted
        counts = (self._count(at, _BLOCK) for at in range(0, len(data), _BLOCK))
        self._counts = list(accumulate(counts, initial=0))

    def _count(self, at: int, size: int) -> int:
        return len(self._data[at : at + size].translate(None, self._deleted))

    def __getitem__(self, index: int) -> int:
        block = bisect_right(self._counts, index) - 1
        at, rest, size = block * _BLOCK, index - self._counts[block], _BLOCK
        while size > 1:
            size //= 2
            if (count := self._count(at, size)) <= rest:
                at, rest = at + size, rest - count
        return at
