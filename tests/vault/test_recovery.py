"""Recovery codes, as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from vault.world import attempt, code_of

from kv.vault.recovery import generate, parse, write

SECRETS = st.binary(min_size=16, max_size=16)


@given(SECRETS)
def test_round_trip(secret: bytes) -> None:
    """A code reads back, in either case, with O for 0, I or L for 1, and with any separators or none."""
    code = write(secret)
    assert len(code) == 34
    assert [len(group) for group in code.split("-")] == [4] * 7
    assert not set(code) & set("ILOU")
    for typed in (
        code,
        code.lower(),
        code.replace("-", ""),
        code.replace("-", " - "),
        code.replace("0", "O").replace("1", "l"),
        f"\t{code.replace('1', 'I')}\r\n",
    ):
        assert parse(typed) == secret


@given(SECRETS, st.integers(0, 33), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_slips_are_found(secret: bytes, at: int, character: str) -> None:
    """One wrong character is found without Argon2id, but for one in 4,096."""
    code = write(secret)
    assume(code[at] not in {"-", character})
    typed = code[:at] + character + code[at + 1 :]
    assert attempt(lambda: parse(typed)) == "wrong-recovery" or parse(typed) != secret


@pytest.mark.parametrize("text", ["", "ABCD", "U" * 28, "0" * 29, "0" * 27, "é" * 28, "-" * 300, "0000 " * 1000])
def test_no_codes(text: str) -> None:
    """What cannot be a code is a wrong code, however long."""
    assert code_of(lambda: parse(text)) == "wrong-recovery"


def test_the_check_is_in_the_code() -> None:
    """A known code, for other programs to compare with; its neighbours in the check's bits are refused."""
    assert write(bytes(range(16))) == "000G-40R4-0M30-E209-185G-R38E-1W9Z"
    assert parse("000G-40R4-0M30-E209-185G-R38E-1W9Z") == bytes(range(16))
    assert code_of(lambda: parse("000G-40R4-0M30-E209-185G-R38E-1W9Y")) == "wrong-recovery"


def test_generated_codes_differ() -> None:
    """A new code is random: 128 bits of it."""
    assert len({generate() for _ in range(100)}) == 100
    secret, code = generate()
    assert parse(code) == secret
