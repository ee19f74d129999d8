"""The scanner: megabytes of text through redaction for a thousand secrets, beside the usual matcher from PyPI."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.corpus import corpus, made_up
from bench.measure import NotMeasured, alternate, cpu_seconds
from bench.table import Goal, Row

from kv.redact import Needles, Redaction
from kv.redact.engine import AhoCorasick
from kv.redact.fold import fold
from kv.redact.forms import forms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

_SECRETS = 1000
_HITS = 100  # of them stand in the text: an answer repeats a secret now and then, not in every line
_CHUNK = 64 << 10
_MEGABYTE = 1_000_000
_MARKER = b"{{kv:"
_RIVAL = "pyahocorasick, one level"


def rows(scale: Scale) -> Iterator[Row]:
    """The whole of redaction, then the matcher alone. The rival is given the text folded, and looks at it once."""
    size = scale.of(9, 3) * _MEGABYTE
    values = [value.encode() for value in made_up(_SECRETS)]
    text = _sprinkled(corpus(size), values[:_HITS])
    folded = fold(text)
    patterns = tuple({form.pattern for value in values for form in forms(value)})
    rival = _Rival(patterns)
    ours = _Ours(values)
    if ours.scrub(text) < _HITS or rival.find(folded) < _HITS:
        raise RuntimeError("secrets were overlooked")
    megabytes = size / _MEGABYTE
    mine, other = alternate(
        lambda: megabytes / cpu_seconds(lambda: ours.scrub(text)),
        lambda: megabytes / cpu_seconds(lambda: rival.find(folded)),
        scale.of(5, 3),
    )
    what = f"redaction of {megabytes:g} MB, {_SECRETS:,} secrets, two levels"
    yield Row(what, "MB/cpu-s", mine, _RIVAL, other, Goal(10, at_least=True))
    engine = AhoCorasick(patterns)
    mine, other = alternate(
        lambda: megabytes / cpu_seconds(lambda: engine.find(folded)),
        lambda: megabytes / cpu_seconds(lambda: rival.find(folded)),
        scale.of(5, 3),
    )
    yield Row("  the matcher alone, on the text folded", "MB/cpu-s", mine, _RIVAL, other)


class _Ours:
    """Redaction as a call does it: in chunks, every view looked at, every find replaced."""

    def __init__(self, values: list[bytes]) -> None:
        needles = Needles()
        for number, value in enumerate(values):
            needles.add(f"bench/{number}", value, bits=128)
        needles.merge()
        self._database = needles.database()

    def scrub(self, text: bytes) -> int:
        scrubber = Redaction(self._database).stream("body")
        chunks = (text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK))
        return sum(scrubber.feed(chunk).count(_MARKER) for chunk in chunks) + scrubber.flush().count(_MARKER)


class _Rival:
    """An automaton of the same patterns. It takes text, so bytes become characters of the same number."""

    def __init__(self, patterns: tuple[bytes, ...]) -> None:
        try:
            ahocorasick: Any = importlib.import_module("ahocorasick")
        except ImportError:
            raise NotMeasured("pyahocorasick is not installed") from None
        self._automaton = ahocorasick.Automaton()
        for number, pattern in enumerate(patterns):
            self._automaton.add_word(pattern.decode("latin-1"), number)
        self._automaton.make_automaton()

    def find(self, text: bytes) -> int:
        return sum(1 for _ in self._automaton.iter(text.decode("latin-1")))


def _sprinkled(text: bytes, values: list[bytes]) -> bytes:
    """`text` with every value in it once, evenly."""
    step = len(text) // len(values)
    pieces = [text[number * step : (number + 1) * step - len(value)] + value for number, value in enumerate(values)]
    return b"".join(pieces)
