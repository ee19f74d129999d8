"""The scrubber: bytes in, redacted bytes out, held back so that timing tells nothing.

Rules of this file
- Release never depends on a partial match: what leaves after a `feed` is decided by how much was fed, never by what.
  The last `LOOKAHEAD` bytes always stay, until `flush`.
- The text is scanned in windows with enough of it around them that a find does not depend on where a window ends: any
  split into chunks gives the same output as one chunk. Memory is one window, its views and the tail.
- Overlapping finds are one stretch and one marker, the first one's: no byte of either survives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kv.redact.decode import MARGIN
from kv.redact.forms import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kv.redact.database import Database, Find
    from kv.redact.tally import Tally


class Geometry(NamedTuple):
    """Sizes in bytes. All are constants: how much is held back says nothing about what the vault holds.

    A find is at most `reach` long, forty times the longest value that is looked for whole. (Every character escaped
    as six, and each of these as six again, is 36 times.) What a text decodes to may depend on `margin` bytes before
    and after. At most `window` is scanned at a time, and at least `quantum`, lest single bytes fed cost a scan each.
    """

    reach: int = 40 * WHOLE
    margin: int = MARGIN
    window: int = 256 << 10
    quantum: int = 4 << 10

    @property
    def lookahead(self) -> int:
        """What is always held back, and what a reader takes beyond any cap on what is shown."""
        return self.reach + self.margin


GEOMETRY = Geometry()
LOOKAHEAD = GEOMETRY.lookahead


def leftmost(finds: Iterable[Find], lent: frozenset[str]) -> list[Find]:
    """Leftmost first, then longest; of equals a lent one, then the weakest."""

    def order(find: Find) -> tuple[int, int, bool, int, str, str]:
        needle = find.needle
        return find.start, -find.end, needle.name not in lent, needle.bits, needle.name, find.how

    return sorted(finds, key=order)


class Scrubber:
    """Redacts one stream. `place` names it in the tally ("body", "header set-cookie")."""

    def __init__(self, database: Database, tally: Tally, place: str, geometry: Geometry = GEOMETRY) -> None:
        self._database = database
        self._tally = tally
        self._place = place
        self._size = geometry
        self._text = bytearray()
        self._base = 0  # where the first byte of _text stands in the stream
        self._done = 0  # released up to here
        self._covered = 0  # the finds so far reach up to here
        self._names: set[str] = set()  # counted already in the stretch that ends at _covered
        self._flushed = -geometry.reach

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the stream and give those that are settled, redacted."""
        self._text += chunk
        settled = self._base + len(self._text) - self._size.lookahead
        return self._release(settled - settled % self._size.quantum)

    def flush(self) -> bytes:
        """Give all that is held: at the end of a stream, or after a silence that the caller has measured.

        The stream may go on: of a secret that the flush cut in two, the first part is gone and the rest is still
        covered.
        """
        out = self._release(self._base + len(self._text))
        self._flushed = self._done
        return out

    def end(self) -> bytes:
        """Give all that is held: the stream is over."""
        return self.flush()

    def cut(self, at: int) -> bytes:
        """Give what is held of the stream's first `at` bytes. What came behind them is looked at, and never given."""
        return self._release(at)

    def _release(self, until: int) -> bytes:
        out: list[bytes] = []
        while self._done < until:
            self._settle(min(until, self._done + self._size.window), out)
        return b"".join(out)

    def _settle(self, until: int, out: list[bytes]) -> None:
        """Scan and give the stream from `_done` to `until`."""
        size = self._size
        # After a flush, what began before it counts too. Otherwise a find in the context before `_done` is no news,
        # or is a token's torn half.
        earliest = self._done - (size.reach if self._done - self._flushed < size.reach else 0)
        base = max(self._base, earliest - size.margin)
        del self._text[: base - self._base]
        self._base = base
        window = bytes(self._text[: until + size.lookahead - base])
        for find in leftmost(self._database.scan(window), self._tally.lent):
            start, end = base + find.start, base + find.end
            if earliest <= start < until and end > max(self._covered, self._done) and end - start <= size.reach:
                if start >= self._covered:
                    out.append(window[max(self._covered, self._done) - base : max(start - base, 0)])
                    out.append(self._database.marker(find.needle.name))
                    self._names.clear()
                self._count(find)
                self._covered = end
        out.append(window[max(self._covered, self._done) - base : until - base])
        self._done = until

    def _count(self, find: Find) -> None:
        """Once a name in each stretch."""
        if find.needle.name not in self._names:
            self._names.add(find.needle.name)
            self._tally.note(find.needle, find.how, self._place)
