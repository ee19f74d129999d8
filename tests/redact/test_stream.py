"""The scrubber as a stream: what it holds back, what it forgets, what it costs."""

from __future__ import annotations

import base64
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.redact import LOOKAHEAD, Needles, Redaction, Scrubber
from kv.redact.stream import GEOMETRY
from kv.redact.tally import Tally

VALUE = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc"
MARKER = b"{{kv:K}}"


def redaction(*values: bytes) -> Redaction:
    """Of a call that was lent K, which has these values."""
    needles = Needles()
    for value in values or (VALUE,):
        needles.add("K", value, bits=128)
    return Redaction(needles.database(), ["K"])


def small(value: bytes = VALUE, tally: Tally | None = None) -> Scrubber:
    """A scrubber of windows so small that a few kilobytes are many."""
    needles = Needles()
    needles.add("K", value, bits=128)
    return Scrubber(
        needles.database(), tally or Tally(frozenset()), "body", GEOMETRY._replace(window=4096, quantum=512)
    )


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30_000), max_size=8), st.integers(0, len(VALUE) - 1), st.integers(0, 40_000))
def test_release_says_nothing_about_a_guess(sizes: list[int], right: int, at: int) -> None:
    """How much leaves after each chunk is the same for a right beginning of a value and for a wrong one."""
    total = sum(sizes)
    guesses = (VALUE[:right] + b"!", b"#" * right + b"!", base64.b64encode(VALUE[:right]).ljust(right + 1, b"!"))
    released = []
    for guess in guesses:
        text = (b"." * at + guess[: right + 1]).ljust(total, b".")[:total]
        scrubber = redaction().stream("body")
        lengths, start = [], 0
        for size in sizes:
            lengths.append(len(scrubber.feed(text[start : start + size])))
            start += size
        released.append(lengths)
    assert released[0] == released[1] == released[2]
    held = total - sum(released[0])
    assert held == total or LOOKAHEAD <= held < LOOKAHEAD + GEOMETRY.quantum


def test_nothing_leaves_before_the_lookahead_is_full() -> None:
    """Output is held back although nothing in it looks like a secret."""
    scrubber = redaction().stream("body")
    assert scrubber.feed(b"." * LOOKAHEAD) == b""
    assert scrubber.feed(b"." * GEOMETRY.quantum) == b"." * GEOMETRY.quantum
    assert scrubber.flush() == b"." * LOOKAHEAD
    assert scrubber.flush() == b""


def test_a_value_over_any_two_chunks() -> None:
    """A value written in two halves, wherever it is cut, comes out as one marker."""
    for encoded in (VALUE, base64.b64encode(base64.b64encode(VALUE)), "".join(f"\\u{b:04x}" for b in VALUE).encode()):
        whole = redaction().scrub(b"<" + encoded + b">", "body")
        for cut in range(1, len(encoded)):
            scrubber = redaction().stream("body")
            parts = scrubber.feed(b"<" + encoded[:cut]), scrubber.feed(encoded[cut:] + b">"), scrubber.flush()
            assert b"".join(parts) == whole


def test_windows_do_not_show() -> None:
    """Values around every window's end are found, in a text much longer than a window."""
    period = 1009  # a prime, so that values stand at every place relative to windows and quanta
    unit = (b"lorem ipsum %41 dolor \\n sit amet " * 50)[: period - len(VALUE)] + VALUE
    count = 60
    scrubber = small()
    out = b"".join(scrubber.feed(unit) for _ in range(count)) + scrubber.flush()
    assert out == (unit.replace(VALUE, MARKER)) * count


def test_the_rest_of_a_value_cut_by_a_flush_is_covered() -> None:
    """When a silence let go of half a value, the other half does not follow."""
    scrubber = redaction().stream("stdout")
    first = scrubber.feed(b"key: " + VALUE[:10])
    assert first + scrubber.flush() == b"key: " + VALUE[:10]
    later = scrubber.feed(VALUE[10:] + b" done, " + VALUE) + scrubber.flush()
    assert later == MARKER + b" done, " + MARKER


def test_overlapping_values_leave_nothing() -> None:
    """Of two values that overlap, no byte of either survives, and both are counted."""
    needles = Needles()
    needles.add("A", b"abcdefgh", bits=128)
    needles.add("B", b"efghijkl", bits=128)
    found = Redaction(needles.database())
    assert found.scrub(b"<abcdefghijkl>", "body") == b"<{{kv:A}}>"
    assert [(hit.name, hit.count) for hit in found.verdict.hits] == [("A", 1), ("B", 1)]
    assert found.scrub(b"efghijkl abcdefgh", "body") == b"{{kv:B}} {{kv:A}}"


def test_an_endless_value_is_one_marker() -> None:
    """Overlapping finds without end are one stretch, across windows, and counted once."""
    tally = Tally(frozenset())
    scrubber = small(b"aaaaaaaa", tally)
    assert scrubber.feed(b"<" + b"a" * 20_000 + b">") + scrubber.flush() == b"<{{kv:K}}>"
    assert tally.verdict().count == 1


def test_a_value_within_an_encoded_line_of_megabytes() -> None:
    """A line of base64 that is longer than any window is decoded where the value stands."""
    chance = random.Random(3)  # noqa: S311 - the same bytes in every run
    noise = chance.randbytes(700_000)
    for inner in (VALUE, base64.b64encode(VALUE), VALUE.hex().encode()):
        for shift in range(3):
            data = noise[: 300_000 + shift] + inner + noise[300_000:]
            found = redaction()
            out = found.scrub(base64.b64encode(data), "body")
            assert found.verdict.count == 1
            rest = len(base64.b64encode(data)) - (len(out) - len(MARKER))
            assert len(inner) * 4 // 3 <= rest <= len(inner) * 4 // 3 + 4


@pytest.mark.parametrize("name", ["quiet", "endless base64", "escapes"])
def test_memory_does_not_grow_with_the_body(name: str) -> None:
    """Once it has begun, a body goes through in less than 8 MiB for a thousand secrets, whatever the body holds."""
    program = f"""
import base64, resource, random
from kv.redact import Needles, Redaction
chance = random.Random(1)
needles = Needles()
for number in range(1000):
    needles.add(f"K{{number}}", chance.randbytes(15).hex().encode(), bits=128)
chunks = {{"quiet": b"plain text, " * 5461, "endless base64": base64.b64encode(b"readable text " * 3510),
          "escapes": b"%41&amp;text and some more, " * 2340}}
chunk = chunks[{name!r}]
scrubber = Redaction(needles.database()).stream("body")
for _ in range(4):
    scrubber.feed(chunk)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range({{"quiet": 100}}.get({name!r}, 12)):
    scrubber.feed(chunk)
scrubber.flush()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert int(done.stdout) < 8 << 10


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"%2541%41bcdefgh", b"541Abcdefgh"),
        (b"&#x4141;&#65;bcdefgh", b"41;Abcdefgh"),
        (b"\\u00e9\\u0041bcdefgh", b"00e9Abcdefgh"),
    ],
)
def test_a_window_that_tears_a_token_finds_nothing_new(text: bytes, value: bytes) -> None:
    """What only half a token would decode to is no find, wherever a window begins."""
    needles = Needles()
    needles.add("K", value, bits=128)
    for window in range(1, len(text)):
        geometry = GEOMETRY._replace(window=window, quantum=1)
        scrubber = Scrubber(needles.database(), Tally(frozenset()), "body", geometry)
        assert scrubber.feed(text) + scrubber.flush() == text


def test_a_find_is_never_longer_than_the_reach() -> None:
    """What is spread wider than can be held back is not one value: that is the stated limit."""
    spread = VALUE[:9] + b" " * GEOMETRY.reach + VALUE[9:]
    assert redaction().scrub(spread, "body") == spread
    near = VALUE[:9] + b" " * (GEOMETRY.reach - len(VALUE)) + VALUE[9:]
    assert redaction().scrub(near, "body") == MARKER


def test_a_scrubber_counts_for_its_call() -> None:
    """Places of one call are counted apart, and together."""
    needles = Needles()
    needles.add("K", VALUE, bits=128)
    tally = Tally(frozenset({"K"}))
    for place in ("header", "body"):
        scrubber = Scrubber(needles.database(), tally, place)
        scrubber.feed(VALUE + b", " + VALUE)
        scrubber.flush()
    assert [(hit.place, hit.count, hit.lent) for hit in tally.verdict().hits] == [
        ("body", 2, True),
        ("header", 2, True),
    ]
