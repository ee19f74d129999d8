"""What comes in chunks is presented as the whole of it would be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kv.redact import LOOKAHEAD, Needles, Presenter, Redaction, Scrubber
from kv.redact.stream import Geometry
from kv.redact.tally import Tally

VALUE = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc"

# What sequences are made of, whole and in parts, with text and characters of several bytes between.
_PARTS = st.sampled_from(
    [
        *(
            "\x1b",
            "[",
            "]",
            "\x1b[31m",
            "\x1b]0;title",
            "\x07",
            "\x1b\\",
            "\x9b",
            "\x90",
            "1;2",
            "m",
            " ",
            "a",
            "ß",
            "∅",
        ),
        *("\u200b", "\x00", "\n", "sk_live_4eC39Hq", "LyjWDarjtT1zdp7dc", VALUE.decode()),
    ]
)


def redaction() -> Redaction:
    """Of a vault with one secret, which was lent."""
    needles = Needles()
    needles.add("demo/KEY", VALUE, bits=128)
    return Redaction(needles.database(), ["demo/KEY"])


def small() -> Presenter:
    """A presenter that holds as little back as its value's length allows, so that short texts are released in parts."""
    needles = Needles()
    needles.add("demo/KEY", VALUE, bits=128)
    database, tally = needles.database(), Tally(frozenset({"demo/KEY"}))
    geometry = Geometry(reach=len(VALUE) + 4, margin=8, window=64, quantum=4)
    return Presenter(*(Scrubber(database, tally, "stdout", geometry) for _ in range(2)))


def presented(*chunks: bytes, presenter: Presenter | None = None) -> bytes:
    """What a presenter gives of them."""
    presenter = presenter or redaction().presenter("stdout")
    return b"".join(presenter.feed(chunk) for chunk in chunks) + presenter.end()


@given(st.lists(_PARTS, max_size=30), st.lists(st.integers(0, 200), max_size=8))
def test_every_split_gives_what_the_whole_gives(parts: list[str], cuts: list[int]) -> None:
    """Wherever the chunks end: in a sequence, in a character, in the value."""
    text = "".join(parts)
    data = text.encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    shown = presented(*(data[a:b] for a, b in pairwise(places)), presenter=small())
    assert shown.decode() == redaction().present(text, "stdout")


@pytest.mark.parametrize("between", ["\x1b[0m", "\x1b]0;x\x07", "\u200b", "\x00"])
def test_a_value_that_controls_take_apart_is_found(between: str) -> None:
    """Stripping makes it whole; it is looked for behind that too, however far apart its halves were released."""
    half, rest = VALUE[:9], VALUE[9:]
    shown = presented(b"x" * LOOKAHEAD * 3 + half, between.encode(), rest + b"y" * LOOKAHEAD * 3)
    assert half + rest not in shown
    assert b"{{kv:demo/KEY}}" in shown


def test_a_silence_gives_all_but_what_is_half_of_a_sequence() -> None:
    """What is said is seen; what goes on is covered still."""
    presenter = redaction().presenter("stdout")
    assert presenter.feed(b"password: " + VALUE[:9] + b"\x1b") == b""
    assert presenter.flush() == b"password: " + VALUE[:9]
    assert VALUE[9:] not in presenter.feed(b"[0m" + VALUE[9:]) + presenter.end()


def test_what_is_no_text_stays() -> None:
    """Bytes that are no UTF-8 come out as they went in."""
    assert presented(b"\xff\xfe", b"caf\xe9", b" \xc3", b"\xbf") == b"\xff\xfecaf\xe9 \xc3\xbf"


def test_a_sequence_without_end_holds_nothing_up() -> None:
    """Of a command that is longer than any only the introducer goes; memory stays small."""
    presenter = redaction().presenter("stdout")
    shown = b"".join(presenter.feed(part) for part in [b"\x1b]", *[b"x" * 4096] * 20])
    assert len(shown) > 4096
    assert shown + presenter.end() == b"x" * 4096 * 20
