"""Which needles a run has: how long it takes to look at a guess tells nothing, for there is nothing to match."""

from __future__ import annotations

import base64

from kv.redact import strength
from kv.runner.known import Known, Row

STRONG, WEAK = b"sk_live_4eC39HqLyjWDarjtT1zdp7dc", b"sunshine42"
OTHER = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0"  # travels in a value's place
DSN = b"postgres://shop:XbtZS9Uf1J6i4yn50XX@db.internal.test:5432/shop"
LOGIN = b'{"user": "shopkeeper", "key": "mK83hQvR2nWz7LpT5cYd9sFb4Gx"}'


def known() -> Known:
    """Of a vault with strong, weak and mixed values, and a weak earlier revision of a strong one."""
    rows: list[Row] = [(name, value, strength(value), []) for name, value in (
        ("STRONG", STRONG), ("STRONG", b"letmein123"), ("WEAK", WEAK), ("DSN", DSN), ("LOGIN", LOGIN),
    )]  # fmt: skip
    return Known([*rows, ("MINTED", b"ghp_16C7e42F292c6912E7710c838347Ae178B4a", 128, [OTHER])])


def found(text: bytes, *lent: str) -> set[str]:
    """The secrets whose needles match."""
    return {find.needle.name for find in known().database(lent).scan(text)}


def test_what_can_be_guessed_is_not_among_a_runs_needles() -> None:
    """Neither a value nor a part of one nor a kept revision, in any encoding."""
    for guess in (WEAK, b"letmein123", b"shopkeeper"):
        for text in (guess, base64.b64encode(guess), guess.hex().encode(), guess[::-1]):
            assert found(text) == set()


def test_what_cannot_be_guessed_is() -> None:
    """Lent or not: whole, in part, and what travels in its place."""
    assert found(STRONG) == {"STRONG"}
    assert found(b"XbtZS9Uf1J6i4yn50XX") == {"DSN"}
    assert found(LOGIN[-29:-2]) == {"LOGIN"}
    assert found(OTHER) == {"MINTED"}


def test_what_was_lent_is_whole() -> None:
    """Of any strength, with its weak parts and revisions; and others' as ever."""
    assert found(WEAK, "WEAK") == {"WEAK"}
    assert found(b"letmein123", "STRONG") == {"STRONG"}
    assert found(b"shopkeeper " + STRONG, "LOGIN") == {"LOGIN", "STRONG"}
    assert found(WEAK, "STRONG", "LOGIN", "NONE") == set()
