"""Two texts that were redacted apart and are shown one behind the other."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kv.redact import LOOKAHEAD, Needles, Redaction

VALUE = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc"
MARKER = b"{{kv:K}}"
PLAIN = st.binary(max_size=40).map(lambda data: data.hex().encode()[:40])


def redaction(bits: int = 128, lent: str = "K") -> Redaction:
    """Of a call that was lent that secret; K has the value."""
    needles = Needles()
    needles.add("K", VALUE, bits=bits)
    return Redaction(needles.database(), [lent])


@given(st.sampled_from([VALUE, base64.b64encode(VALUE).rstrip(b"="), VALUE.hex().encode(), VALUE[::-1]]), st.data())
def test_a_value_is_found_wherever_it_is_cut(form: bytes, data: st.DataObject) -> None:
    """Both texts keep what lies around it."""
    at = data.draw(st.integers(1, len(form) - 1))
    before, after = b"before: " + b"." * data.draw(st.sampled_from([0, LOOKAHEAD, 3 * LOOKAHEAD])), b" after"
    found = redaction()
    assert found.scrub_joined(before + form[:at], form[at:] + after, "body") == (before + MARKER, after)
    assert found.verdict.count == 1


@given(PLAIN, PLAIN)
def test_what_says_nothing_stays(first: bytes, second: bytes) -> None:
    """Nothing is counted or changed."""
    found = redaction()
    assert found.scrub_joined(first, second, "body") == (first, second)
    assert found.verdict.count == 0


@pytest.mark.parametrize("gap", [b"\n", b"\r\n", b"  "])
def test_white_space_between_is_none(gap: bytes) -> None:
    """A stream ends with a line's end, and the value goes on behind it."""
    first, second = redaction().scrub_joined(VALUE[:9] + gap, VALUE[9:], "body")
    assert (first, second) == (MARKER, b"")


def test_two_that_share_the_seam_are_one_stretch() -> None:
    """No byte of either is left, and both are counted."""
    needles = Needles()
    needles.add("K", b"abcdefghij0123456789", bits=128)
    needles.add("L", b"ghij0123456789klmnop", bits=128)
    found = Redaction(needles.database(), ["K"])
    assert found.scrub_joined(b"<abcdefghij0123", b"456789klmnop>", "body") == (b"<" + MARKER, b">")
    assert {hit.name for hit in found.verdict.hits} == {"K", "L"}


def test_a_guess_that_is_cut_in_two_is_withheld_like_any() -> None:
    """A marker would tell that it was right."""
    found = redaction(bits=30, lent="L")
    found.scrub_joined(VALUE[:9], VALUE[9:], "body")
    assert found.verdict.withhold


def test_without_one_of_them_there_is_no_seam() -> None:
    """What one text holds by itself is for its own scrubber."""
    assert redaction().scrub_joined(b"", b"text", "body") == (b"", b"text")
