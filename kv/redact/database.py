"""A snapshot of needles, and the scan of one stretch of text with it.

Rules of this file
- Immutable: a call is redacted from its first byte to its last with what was known when it began.
- Two levels: the text, its views, and their views. A form may itself be encoded once (`forms`), so a value is found
  under two encodings of any kind, and under three where the innermost is base64, hex or reversal.
- Only places are decided here; what is written in place of them, and what is held back, is `stream`'s.
- What is overlooked is no needle at all: it neither makes a find nor moves or hides one, and no marker is chosen by it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kv.redact.decode import views
from kv.redact.escapes import Place
from kv.redact.fold import DELETED, LINE_BREAKS, Kept, fold
from kv.redact.strength import GUESSABLE, strength

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kv.redact.decode import View
    from kv.redact.engine import Engine
    from kv.redact.forms import Form

LEVELS = 2
_AROUND = 4_000  # bytes on each side of a window: with it a find stays within what is held back (`stream`)
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_LOOSE = frozenset(DELETED + b"{}?kv")  # what folding takes off the end of a form, and trimming (see `forms`)


class Needle(NamedTuple):
    """One form of a secret, whose strength is `bits`; or of `part`, a part of it that may be weaker."""

    name: str
    form: Form
    bits: int
    part: bytes | None = None

    def strength(self) -> int:
        """Bits of what was found. A part's are estimated only now: a hit on one is rare, an unlock is not."""
        return self.bits if self.part is None else min(self.bits, strength(self.part))


class Find(NamedTuple):
    """A stretch `text[start:end]` that encodes a needle; `how` names the encodings, outermost first."""

    start: int
    end: int
    needle: Needle
    how: str


class Shelf(NamedTuple):
    """An engine, its patterns by index, and the needles of each pattern; one without is no longer looked for."""

    engine: Engine
    patterns: Sequence[bytes]
    owners: Mapping[bytes, Sequence[Needle]]


class Database:
    """Needles ready to scan with.

    `lent` is None where all are looked for, else the names of which the guessable ones are, too.
    """

    def __init__(self, shelves: Sequence[Shelf], lent: frozenset[str] | None = None) -> None:
        self._shelves = shelves
        self._lent = lent
        self._strong: dict[tuple[str, bytes], bool] = {}  # by name and pattern: an estimate takes milliseconds
        self._markers: dict[str, bytes] = {}

    def joined(self, other: Database) -> Database:
        """The needles of both."""
        return Database([*self._shelves, *other._shelves])

    def overlooking(self, lent: frozenset[str]) -> Database:
        """The same needles, but for those that can be guessed and are of no secret in `lent`.

        How long a scan takes still tells whether one of these is there. Where that can be measured, they must not be
        in a shelf at all: see `Needles.add`.
        """
        return Database(self._shelves, lent)

    def scan(self, text: bytes) -> list[Find]:
        """Every find in `text`, in no particular order."""
        return list(self._walk(text, ()))

    def _walk(self, data: bytes, above: tuple[View, ...]) -> Iterator[Find]:
        for place, needle in self._matches(data):
            span = _outermost(place, above)
            if span:
                how = " of ".join([*(view.form for view in above), needle.form.label])
                yield Find(span.start, span.end, needle, how)
                if (span.first, span.last) != (span.start, span.end):
                    # What is around a window may be spread too wide to be a find (`Geometry.reach`); the window is one.
                    yield Find(span.first, span.last, needle, how)
        if len(above) < LEVELS:
            for view in views(data, above[-1] if above else None):
                yield from self._walk(view.data, (*above, view))

    def _matches(self, data: bytes) -> Iterator[tuple[Place, Needle]]:
        """The needles in `data` as it stands, with the bytes at their ends that the folded form does not hold."""
        folded = fold(data)
        kept: Kept | None = None
        for shelf in self._shelves:
            for start, end, index in shelf.engine.find(folded):
                for needle in self._looked_for(shelf, shelf.patterns[index]):
                    kept = kept or Kept(data, DELETED)
                    form = needle.form
                    edges = []
                    for first, last in (_grown(folded, start, end, form), (start, end)):
                        edges.append(_widened(data, kept[first], -1, form.left, shared=form.shared[0]))
                        edges.append(_widened(data, kept[last - 1], 1, form.right, shared=form.shared[1]) + 1)
                    yield Place(*edges), needle

    def _looked_for(self, shelf: Shelf, pattern: bytes) -> Sequence[Needle]:
        owners = shelf.owners.get(pattern, ())
        if self._lent is None:
            return owners
        return [needle for needle in owners if needle.name in self._lent or self._is_strong(needle)]

    def _is_strong(self, needle: Needle) -> bool:
        key = needle.name, needle.form.pattern
        if key not in self._strong:
            self._strong[key] = needle.strength() >= GUESSABLE
        return self._strong[key]

    def marker(self, name: str) -> bytes:
        """What stands in place of a value: `{{kv:NAME}}`, or `{{kv:?}}` where that name would itself say a value."""
        if name not in self._markers:
            marker = b"{{kv:%b}}" % name.encode()
            unsafe = self._joins(fold(marker)) or self.scan(marker)
            self._markers[name] = b"{{kv:?}}" if unsafe else marker
        return self._markers[name]

    def _joins(self, marker: bytes) -> bool:
        """True if text around this (folded) marker could make a needle together with an end of it."""
        cuts = range(1, len(marker))
        return any(
            marker in pattern or any(pattern.startswith(marker[at:]) or pattern.endswith(marker[:at]) for at in cuts)
            for pattern in self._braced
        )

    @cached_property
    def _braced(self) -> list[bytes]:
        """The few patterns that could take a marker's end: it ends and begins with braces."""
        return [
            pattern
            for shelf in self._shelves
            for pattern in shelf.owners
            if (b"}}" in pattern or b"{{" in pattern) and self._looked_for(shelf, pattern)
        ]


def _outermost(place: Place, above: tuple[View, ...]) -> Place | None:
    """A place in the innermost view, led back to the text."""
    span: Place | None = place
    for view in reversed(above):
        span = view.span(span) if span else None
    return span


def _grown(folded: bytes, start: int, end: int, form: Form) -> tuple[int, int]:
    """A window with all the text around it that an excerpt can have there, whatever that text is.

    Going only as far as the text agrees with the value would show which byte is the first to differ, and so spell the
    value out, a byte at a time, to whoever can have guesses echoed behind 64 bytes that are known.
    """
    if form.around is None:
        return start, end
    before, after = form.around()
    return max(0, start - min(len(before), _AROUND)), min(len(folded), end + min(len(after), _AROUND))


def _widened(data: bytes, at: int, step: int, loose: int, *, shared: bool) -> int:
    """The last byte in direction `step` of a form that ends at `at`: what folding took off, then a shared character."""
    while loose and 0 <= at + step < len(data) and data[at + step] in _LOOSE:
        at += step
        loose -= 1
    beyond = at + step
    for _byte in LINE_BREAKS:
        if 0 <= beyond < len(data) and data[beyond] in LINE_BREAKS:
            beyond += step
    return beyond if shared and 0 <= beyond < len(data) and data[beyond] in _BASE64 else at
