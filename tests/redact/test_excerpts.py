"""Excerpts of long values: which are found, what is taken out with them, and what that shows."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING

import pytest

from kv.redact import LOOKAHEAD, Needles, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable

    Encode = Callable[[bytes], bytes]


def test_a_long_value_is_found_by_any_127_bytes() -> None:
    """Of a value over 256 bytes any excerpt of 127 bytes or more is redacted to its last byte, encoded or not."""
    value = random.Random(5).randbytes(900).hex().encode()[:1500]  # noqa: S311 - the same bytes in every run
    needles = Needles()
    needles.add("LONG", value, bits=999)
    database = needles.database()
    for at in [*range(0, 140, 3), 700, 701, 1500 - 127]:
        for size in (127, 150, 400):
            excerpt = value[at : at + size]
            for spelled in (excerpt, excerpt[::-1]):
                assert _nothing_left(Redaction(database).scrub(b"<" + spelled + b">", "body"), b"LONG")
            made = Redaction(database).scrub(b"<" + excerpt.hex().encode() + b">", "body")
            assert _nothing_left(made, b"LONG")


def _nothing_left(made: bytes, name: bytes) -> bool:
    marker = b"{{kv:" + name + b"}}"
    return marker in made and set(made.replace(marker, b"")) <= set(b"<>")


@pytest.mark.parametrize("outer", [base64.b64encode, base64.b32encode, lambda data: data.hex().encode()])
@pytest.mark.parametrize("inner", [base64.b64encode, lambda data: data.hex().encode()])
def test_an_excerpt_under_two_encodings_among_others(outer: Encode, inner: Encode) -> None:
    """An excerpt's ends are covered in a decoded run too, though other runs stand beside it."""
    value = random.Random(9).randbytes(150).hex().encode()  # noqa: S311 - the same bytes in every run
    needles = Needles()
    needles.add("LONG", value, bits=999)
    beside = outer(b"readable text that is no secret at all")
    for start, end in ((10, 150), (1, 128), (100, 290)):
        made = outer(inner(value[start:end]))
        out = Redaction(needles.database()).scrub(b" ".join((beside, made, beside)), "body")
        before, _, after = out.partition(b"{{kv:LONG}}")
        assert (beside + b" " + made).startswith(before)
        assert (made + b" " + beside).endswith(after)
        # A group of the run may be left at either end, or one more be taken.
        assert max(len(before), len(after)) <= len(beside) + 1 + 8
        assert min(len(before), len(after)) >= len(beside) - 8


def test_an_excerpt_beside_a_wide_gap() -> None:
    """White space beside an excerpt, wider than what is held back, does not let the window through."""
    value = random.Random(9).randbytes(150).hex().encode()  # noqa: S311 - the same bytes in every run
    needles = Needles()
    needles.add("LONG", value, bits=999)
    gap = b" " * LOOKAHEAD
    out = Redaction(needles.database()).scrub(b"x" * 99 + gap + value[10:150] + gap + b"x" * 99, "body")
    assert b"{{kv:LONG}}" in out
    assert value[64:128] not in out


def test_a_guess_behind_a_known_window_shows_nothing() -> None:
    """What is taken out around 64 known bytes does not depend on whether the next byte is guessed right."""
    chance = random.Random(7)  # noqa: S311 - the same bytes in every run
    value = (
        b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC"
        + chance.randbytes(600).hex().encode()
    )
    needles = Needles()
    needles.add("PEM", value, bits=999)
    database = needles.database()
    known = 78
    for tail in (b">", b"." * 300):
        for spell in (bytes, lambda text: ":".join(f"{byte:02x}" for byte in text).encode()):
            guesses = {
                bytes([c]): Redaction(database).scrub(spell(value[:known] + bytes([c])) + tail, "body")
                for c in b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
            }
            right = guesses[value[known : known + 1]]
            others = {made for guess, made in guesses.items() if guess != value[known : known + 1]}
            assert others == {right}


def test_a_very_long_value_is_found_by_what_is_promised() -> None:
    """Of a value of 1 MiB any excerpt of 63 bytes and a 1,024th of its length is redacted."""
    chance = random.Random(6)  # noqa: S311 - the same bytes in every run
    value = chance.randbytes(1 << 19).hex().encode()
    needles = Needles()
    needles.add("HUGE", value, bits=999)
    redaction = Redaction(needles.database())
    for at in (0, 1, 5000, (1 << 20) - 1087):
        assert _nothing_left(redaction.scrub(b"<" + value[at : at + 1087] + b">", "body"), b"HUGE")


def test_windows_that_say_nothing_are_left_out() -> None:
    """A key store's zeros do not redact every other file's zeros."""
    value = random.Random(8).randbytes(300) + bytes(300) + b"A" * 300  # noqa: S311 - the same bytes in every run
    needles = Needles()
    needles.add("STORE", value, bits=999)
    for common in (bytes(200), b"0" * 300, b"A" * 300):
        assert Redaction(needles.database()).scrub(common, "body") == common
