"""The confirmation oracle: what a hit would tell an agent that guesses."""

from __future__ import annotations

import base64

import pytest

from kv.redact import GUESSABLE, Hit, Needles, Redaction, strength
from kv.redact.strength import reaches


def redaction(*lent: str, bits: int = 20) -> Redaction:
    """Over a weak secret, a strong one and a DSN with a weak password."""
    needles = Needles()
    needles.add("WEAK", b"hunter22hunter", bits=bits)
    needles.add("STRONG", b"sk_live_4eC39HqLyjWDarjtT1zdp7dc", bits=140)
    needles.add("DSN", b"postgres://shop:letmein123@db.internal.test:5432/shop", bits=90)
    return Redaction(needles.database(), lent)


@pytest.mark.parametrize("encode", [bytes, base64.b64encode, bytes.upper, lambda guess: guess.hex().encode()])
def test_a_right_guess_at_a_weak_secret_withholds_everything(encode: type[bytes]) -> None:
    """Printing the right guess at a weak secret that was not lent is not confirmed by its redaction."""
    call = redaction("STRONG")
    call.scrub(b"is it " + encode(b"hunter22hunter") + b"?", "body")
    assert call.verdict.withhold
    assert call.verdict.guessed == ("WEAK",)


def test_a_wrong_guess_is_shown() -> None:
    """A guess that is no secret's value is printed as it is."""
    call = redaction("STRONG")
    assert call.scrub(b"is it hunter33hunter?", "body") == b"is it hunter33hunter?"
    assert not call.verdict.withhold


def test_a_lent_secret_does_not_withhold() -> None:
    """A call's own weak secret is redacted, and the rest of its answer is shown."""
    call = redaction("WEAK")
    assert call.scrub(b"key hunter22hunter", "body") == b"key {{kv:WEAK}}"
    assert not call.verdict.withhold


def test_a_strong_secret_that_was_not_lent_is_redacted_and_shown() -> None:
    """Nobody guesses 64 bits: such a hit is redacted, counted, and the answer is shown."""
    call = redaction("WEAK")
    assert call.scrub(b"sk_live_4eC39HqLyjWDarjtT1zdp7dc", "body") == b"{{kv:STRONG}}"
    assert call.verdict.hits == (Hit("STRONG", "raw", "body", lent=False, count=1),)
    assert not call.verdict.withhold


@pytest.mark.parametrize(("bits", "withheld"), [(GUESSABLE - 1, True), (GUESSABLE, False)])
def test_the_threshold_is_64_bits(bits: int, withheld: bool) -> None:  # noqa: FBT001 - a table's column
    """A secret of 63 bits can be guessed at, one of 64 cannot."""
    call = redaction("STRONG", bits=bits)
    call.scrub(b"hunter22hunter", "header x-echo")
    assert call.verdict.withhold is withheld


def test_a_part_is_as_weak_as_itself() -> None:
    """A strong DSN's weak password is judged by the password."""
    call = redaction("STRONG")
    assert call.scrub(b"letmein123", "body") == b"{{kv:DSN}}"
    assert call.verdict.guessed == ("DSN",)
    whole = redaction("STRONG")
    whole.scrub(b"postgres://shop:letmein123@db.internal.test:5432/shop", "body")
    assert not whole.verdict.withhold


def test_what_stands_inside_a_longer_find_confirms_nothing() -> None:
    """A weak value inside a lent one is not counted: nothing of it shows."""
    needles = Needles()
    needles.add("WORD", b"hunter22", bits=10)
    needles.add("LENT", b"https://hooks.test/hunter22/Zq8Kd02mfT", bits=99)
    call = Redaction(needles.database(), ["LENT"])
    assert call.scrub(b"at https://hooks.test/hunter22/Zq8Kd02mfT", "body") == b"at {{kv:LENT}}"
    assert [hit.name for hit in call.verdict.hits] == ["LENT"]
    assert not call.verdict.withhold


def test_one_place_withholds_all() -> None:
    """A weak hit in a header withholds the whole outcome: the verdict is the call's."""
    call = redaction("STRONG")
    call.scrub(b"nothing here", "body")
    call.scrub_text("Basic hunter22hunter", "header")
    call.scrub(b"nor here", "file")
    assert call.verdict.withhold


def test_hits_are_counted_by_name_form_and_place() -> None:
    """Counts and places are kept, values are not."""
    call = redaction("STRONG")
    value = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    call.scrub(value + b" " + base64.b64encode(value) + b" " + value, "body")
    call.scrub(value, "header")
    assert call.verdict.hits == (
        Hit("STRONG", "base64", "body", lent=True, count=1),
        Hit("STRONG", "raw", "body", lent=True, count=2),
        Hit("STRONG", "raw", "header", lent=True, count=1),
    )
    assert call.verdict.count == 4
    assert value.decode() not in repr(call.verdict)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"password", b"hunter2hunter2", b"Passw0rd!2024", b"correcthorsebattery",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"abcabcabcabcabcabcabcabcabc", b"12345678901234567890",
        b"production", b"http://localhost:8080", b"a" * 5000,
    ],
)  # fmt: skip
def test_guessable_values_are_weak(value: bytes) -> None:
    """Words, dates, repetitions and sequences are under 64 bits."""
    assert 0 <= strength(value) < GUESSABLE


@pytest.mark.parametrize(
    "value",
    [
        b"sk_live_4eC39HqLyjWDarjtT1zdp7dc", b"ghp_16C7e42F292c6912E7710c838347Ae178B4a", b"AKIAIOSFODNN7EXAMPLE",
        b"f47ac10b-58cc-4372-a567-0e02b2c3d479", b"9f86d081884c7d659a2feaa0c55ad015",
        b"\x8a\xf1\x02\x9c\xd7\x33\xe8\x5b\x10\xc4\x6f\xb2", b"vE7#mQ2!xL9@wR4$", bytes(range(256)),
    ],
)  # fmt: skip
def test_random_values_are_strong(value: bytes) -> None:
    """Keys that services issue are 64 bits and more, and no estimate is beyond 4,096."""
    assert GUESSABLE <= strength(value) <= 4096


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"hunter2hunter2",
        b"a" * 5000,
        b"sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        b"Xk3jQ9vLw2Zr8TnB:short",
        bytes(range(256)),
    ],
)
@pytest.mark.parametrize("bits", [1, GUESSABLE, 4096])
def test_a_beginning_that_reaches_is_enough(value: bytes, bits: int) -> None:
    """The short way and the whole estimate agree."""
    assert reaches(value, bits) == (strength(value) >= bits)
