"""PINs: which are refused, and how one is kept."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.errors import KvError
from kv.proofs import pin

KEY, SALT = bytes(range(32)), bytes(range(16))


@pytest.mark.parametrize("good", ["493817", "000417", "90210735", "314951827364", "112394"])
def test_kept(good: str) -> None:
    """A PIN is right against what was kept of it, and only then."""
    kept = pin.stored(good, KEY, SALT)
    assert pin.check(good, KEY, kept, left=4) is True
    for other in (good[:-1], good + "0", f"{good} ", good[::-1], "", "x" * 5000, "٤٩٣٨١٧", "49381\ud800"):
        with pytest.raises(KvError) as caught:
            pin.check(other, KEY, kept, left=4)
        assert (caught.value.code, caught.value.fields) == ("proof-wrong", {"left": 4})


def test_as_specified() -> None:
    """What is kept is the salt and a keyed BLAKE2b of the digits."""
    hashed = hashlib.blake2b(b"493817", digest_size=32, key=KEY, salt=SALT, person=b"kv pin 1").digest()
    assert pin.stored("493817", KEY, SALT) == SALT + hashed
    assert hashed.hex() == "a7fcfc2a7a316c051b7759cd523da136ba6f13bf19cbe33ea64de6a5fe6fd8be"


def test_key_and_salt_matter() -> None:
    """Under another vault's key, or another salt, the same PIN is kept as something else."""
    kept = pin.stored("493817", KEY, SALT)
    assert kept[16:] != pin.stored("493817", KEY, bytes(16))[16:]
    for key in (bytes(32), KEY[::-1]):
        with pytest.raises(KvError, match="the proof is wrong"):
            pin.check("493817", key, kept, left=1)


@pytest.mark.parametrize(
    ("weak", "why"),
    [
        ("12345", "a PIN has 6 to 12 digits"),
        ("1234567890123", "a PIN has 6 to 12 digits"),
        ("49 3817", "a PIN has 6 to 12 digits"),
        ("49381x", "a PIN has 6 to 12 digits"),
        ("٤٩٣٨١٧", "a PIN has 6 to 12 digits"),
        ("²²²³³³", "a PIN has 6 to 12 digits"),
        ("000000", "it repeats one or two digits"),
        ("999999999999", "it repeats one or two digits"),
        ("121212", "it repeats one or two digits"),
        ("111222", "it repeats one or two digits"),
        ("123456", "it counts up or down"),
        ("789012", "it counts up or down"),
        ("987654", "it counts up or down"),
        ("0987654321", "it counts up or down"),
        ("123123", "it repeats a group"),
        ("4938149381", "it repeats a group"),
        ("493849384", "it repeats a group"),
        ("112233", "it is made of pairs"),
        ("447799", "it is made of pairs"),
        ("314159", "it is a well-known one"),
    ],
)
def test_weak(weak: str, why: str) -> None:
    """The PINs that are tried first are refused, with the reason and without the PIN."""
    with pytest.raises(KvError) as caught:
        pin.stored(weak, KEY, SALT)
    assert caught.value.code == "usage"
    assert caught.value.message.endswith(why)
    assert weak not in caught.value.message


def test_few_are_refused() -> None:
    """The refusals leave nearly all PINs: fewer than one in a hundred is lost to a guesser's benefit."""
    refused = sum(bool(pin._weakness(f"{number:06}")) for number in range(0, 1_000_000, 7))
    assert 0 < refused < 1_000_000 / 7 / 100


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=14))
def test_any_text(text: str) -> None:
    """Whatever is typed as a PIN is refused in the declared way or is six to twelve ASCII digits."""
    try:
        pin.require_strong(text)
    except KvError as error:
        assert error.code == "usage"  # noqa: PT017  # the other end is asserted as well
    else:
        assert set(text) <= set("0123456789")


def test_damage_and_misuse() -> None:
    """A hash of another length is damage; a key or salt of another length is misuse."""
    with pytest.raises(KvError, match="the PIN's hash is malformed"):
        pin.check("493817", KEY, b"short", left=1)
    for key, salt in ((b"", SALT), (KEY, b"")):
        with pytest.raises(ValueError, match="32 bytes"):
            pin.stored("493817", key, salt)
