"""Which passphrases are good enough to stand a stolen file."""

from __future__ import annotations

import pytest
from vault.world import code_of

from kv.errors import KvError
from kv.vault.passphrase import FLOOR_BITS, WORDS, _words, require_strong, strength, suggest


@pytest.mark.parametrize(
    "passphrase",
    [
        b"",
        b"a",
        b"password1",
        b"correcthorsebatterystaple",
        b"Tr0ub4dor&3",
        b"qwertyuiopasdfghjkl",
        b"aaaaaaaaaaaaaaaaaaaaaaaa",
        b"2024-11-23",
        b"abcabcabcabcabcabc",
    ],
)
def test_weak(passphrase: bytes) -> None:
    """What a guessing program tries early is refused, with its strength, the floor and a better one."""
    with pytest.raises(KvError) as caught:
        require_strong(passphrase)
    error = caught.value
    assert error.code == "weak-passphrase"
    assert int(error.fields["bits"]) < FLOOR_BITS == error.fields["floor"]
    assert len(error.hint.split(":  ")[1].split()) == WORDS
    assert not passphrase or len(passphrase) < 3 or passphrase.decode() not in f"{error} {error.hint}"


@pytest.mark.parametrize(
    "passphrase",
    [
        b"quixotic plover 92 anthem giraffe",
        bytearray(b"x9#Kq2!vLm7@pRw4"),
        "пароль длинный и странный 74".encode(),
        bytes.fromhex("ff80fe81c0c1f5a0aabbccddee90919f"),
    ],
)
def test_strong(passphrase: bytes | bytearray) -> None:
    """Random ones and long strange ones are accepted, in any alphabet or none."""
    require_strong(passphrase)


def test_suggestions() -> None:
    """A suggestion is six words of at least 70 bits together, new each time, and passes the test itself."""
    words = _words()
    assert len(words) == len(set(words)) == 7776
    assert len(words) ** WORDS > 1 << 70
    assert all(word.isascii() and word.replace("-", "").isalpha() for word in words)
    found = {suggest() for _ in range(20)}
    assert len(found) == 20
    for each in found:
        assert set(each.split()) <= set(words)
        require_strong(each.encode())


def test_long_ones_are_judged_quickly() -> None:
    """Length costs no time: the first 72 characters are judged; beyond 1 KiB it is refused."""
    assert strength(b"x9#Kq2!vLm7@pRw4" * 60) >= FLOOR_BITS
    assert code_of(lambda: require_strong(b"x9#Kq2!vLm7@pRw4" * 70)) == "too-large"
