"""What is overlooked leaves no trace: a guess comes out as it would of a vault that never held its secret."""

from __future__ import annotations

import base64
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.redact import Hit, Needles, Redaction, Scrubber, Verdict
from kv.redact.stream import GEOMETRY
from kv.redact.tally import Tally

STRONG, LENT, WEAK = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc", b"lent-hunter22", b"hunter22"
DSN = b"postgres://shop:letmein123@db.internal.test:5432/shop"
SMALL = GEOMETRY._replace(reach=400, window=67, quantum=16)
NAMES = frozenset({"LENT"})

# Guesses as they are, encoded, torn, and beside and across what is looked for.
PIECES = st.sampled_from(
    [
        *(encode(value) for value in (STRONG, LENT, WEAK, DSN, b"letmein123") for encode in (
            bytes, base64.b64encode, bytes.upper, lambda v: v.hex().encode(), lambda v: quote(v[::-1]).encode(),
        )),
        *(STRONG[:9], STRONG[9:], WEAK[:5], WEAK[5:], b"lent-", b" ", b"=", b"{{kv:", b"}}", b"%68", b". " * 40),
    ]
)  # fmt: skip


def needles(*, weak: bool) -> Needles:
    """Of a vault, with or without what can be guessed; a secret's name is a guessable value, and so is a brace's."""
    found = Needles()
    for name, value in (("STRONG", STRONG), ("LENT", LENT), ("hunter22", STRONG[::-1] + b"Zq8")):
        found.add(name, value, bits=30 if name == "LENT" else 128)
    if weak:
        for name, value in (("WEAK", WEAK), ("DSN", DSN), ("BRACE", b"22}}hunter")):
            found.add(name, value, bits=11)
    return found


def scrubbed(found: Needles, chunks: list[bytes]) -> tuple[list[bytes], Verdict]:
    """What comes out after each chunk and at the end, and the verdict."""
    tally = Tally(NAMES)
    scrubber = Scrubber(found.database().overlooking(NAMES), tally, "stdout", SMALL)
    return [*map(scrubber.feed, chunks), scrubber.flush()], tally.verdict()


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 900), max_size=6))
def test_a_guess_comes_out_as_of_a_vault_without_the_secret(text: bytes, cuts: list[int]) -> None:
    """The same bytes after each chunk, however the text is cut, and the same verdict."""
    chunks = [text[start:end] for start, end in pairwise([0, *sorted(cuts), len(text)])]
    assert scrubbed(needles(weak=True), chunks) == scrubbed(needles(weak=False), chunks)


def test_what_was_lent_and_what_is_strong_is_redacted() -> None:
    """Of any strength the one, wherever it comes from the other; a guess that lies in a find goes with it."""
    call = Redaction(needles(weak=True).database(), NAMES, overlook=True)
    assert (
        call.scrub(b"a " + LENT + b" b " + STRONG + b" c " + WEAK, "body") == b"a {{kv:LENT}} b {{kv:STRONG}} c " + WEAK
    )
    assert [(hit.name, hit.count) for hit in call.verdict.hits] == [("LENT", 1), ("STRONG", 1)]
    assert not call.verdict.withhold


def test_a_marker_says_no_guess() -> None:
    """A marker that holds a guessable value is what it would be without that one."""
    call = Redaction(needles(weak=True).database(), NAMES, overlook=True)
    assert call.scrub(STRONG[::-1] + b"Zq8", "body") == b"{{kv:hunter22}}"


@pytest.mark.parametrize(("lent", "shown"), [("STRONG", b"letmein123"), ("DSN", b"{{kv:DSN}}")])
def test_a_part_is_overlooked_by_its_own_strength(lent: str, shown: bytes) -> None:
    """The weak password of a DSN that nobody could guess whole."""
    found = Needles()
    found.add("DSN", DSN, bits=90)
    call = Redaction(found.database(), [lent], overlook=True)
    assert call.scrub(b"letmein123", "body") == shown
    assert bool(call.verdict.hits) == (lent == "DSN")


def test_one_value_under_two_names_is_looked_for_if_either_is() -> None:
    """A value that is lent as A is redacted as A, though it is B's as well."""
    found = Needles()
    for name in ("A", "B"):
        found.add(name, WEAK, bits=11)
    call = Redaction(found.database(), ["B"], overlook=True)
    assert call.scrub(WEAK, "body") == b"{{kv:B}}"
    assert call.verdict.hits == (Hit("B", "raw", "body", lent=True, count=1),)
