"""Keys, macs and heads, byte by byte."""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.audit.chain import GENESIS, Chain, Head, walk
from kv.audit.entry import build, encode
from kv.errors import KvError

KEY = bytes(range(32))


def body(seq: int, epoch: int = 1) -> bytes:
    """The bytes of a small entry."""
    return encode(build({"seq": seq, "epoch": epoch, "time": 1.5, "clock": 2, "kind": "event"}))


def written(chain: Chain, *bodies: bytes) -> list[tuple[int, bytes, bytes]]:
    """The rows that `chain` makes of `bodies`."""
    rows = []
    for each in bodies:
        mac = chain.sign(each)
        chain.advance(mac)
        rows.append((chain.head.last, each, mac))
    return rows


def test_as_specified() -> None:
    """Keys and macs are those of the module's first page, computed here without it."""

    def h(key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, hashlib.sha256).digest()

    rows = written(Chain(KEY, 7, GENESIS), body(1, 7), body(2, 7))
    first = h(KEY, b"kv audit epoch 1" + bytes(7) + b"\x07" + bytes(32))
    mac1 = h(first, bytes(32) + body(1, 7))
    mac2 = h(h(first, b"ratchet"), mac1 + body(2, 7))
    assert [mac for _, _, mac in rows] == [mac1, mac2]
    third = h(KEY, b"kv audit epoch 1" + bytes(7) + b"\x08" + mac2)
    after = Head(7, 1, 2, mac2)
    assert written(Chain(KEY, 8, after), body(3, 8)) == [(3, body(3, 8), h(third, mac2 + body(3, 8)))]


def test_vector() -> None:
    """The first mac of a known key and entry does not change from one version to the next."""
    ((_, text, mac),) = written(Chain(KEY, 1, GENESIS), body(1))
    assert text == b'{"seq":1,"epoch":1,"time":1.5,"clock":2,"kind":"event"}'
    assert mac.hex() == "802b1f8be2814f9c733890824ded1eb2e2a974f3cb31d214bfb52a506c783a51"
    assert Head(1, 1, 1, mac).pack().hex() == f"01{1:016x}{1:016x}{1:016x}{mac.hex()}00"


def test_walk() -> None:
    """An intact chain over two epochs is walked to its end, and the heads on the way are the writer's."""
    chain = Chain(KEY, 1, GENESIS)
    rows = written(chain, body(1), body(2))
    chain = Chain(KEY, 2, chain.head)
    rows += written(chain, body(3, 2))
    heads = [head for head, _ in walk(rows, KEY, GENESIS)]
    assert heads[-1] == chain.head == Head(2, 3, 3, rows[-1][2])
    assert [head.last for head in heads] == [1, 2, 3]


def test_epochs_follow() -> None:
    """An epoch cannot be left out, repeated, or moved onto another history."""
    first = Chain(KEY, 1, GENESIS)
    rows = written(first, body(1))
    for epoch in (3, 1 << 62):
        with pytest.raises(KvError, match="entry 2: it belongs to another epoch"):
            list(walk([*rows, *written(Chain(KEY, epoch, first.head), body(2, epoch))], KEY, GENESIS))
    other = Chain(KEY, 1, GENESIS)
    written(other, body(1)[:-1] + b',"verb":"x"}')
    with pytest.raises(KvError, match="entry 2: it was edited, moved or signed with another key"):
        list(walk([*rows, *written(Chain(KEY, 2, other.head), body(2, 2))], KEY, GENESIS))


def test_stolen_key_signs_no_past() -> None:
    """Who reads the key from memory cannot make another mac for any entry that stands already."""
    chain = Chain(KEY, 1, GENESIS)
    rows = written(chain, *(body(n) for n in range(1, 6)))
    stolen = bytes(chain._key)
    for at, (before, row) in enumerate(pairwise([(0, b"", bytes(32)), *rows])):
        forged = body(row[0])[:-1] + b',"verb":"forged"}'
        key = stolen
        for _ in range(8):  # the ratchet leads onward only
            mac = hmac.digest(key, before[2] + forged, "sha256")
            with pytest.raises(KvError, match=f"entry {at + 1}: it was edited"):
                list(walk([*rows[:at], (row[0], forged, mac)], KEY, GENESIS))
            key = hmac.digest(key, b"ratchet", "sha256")


def test_forgotten() -> None:
    """A chain that forgot its key has none left in its memory."""
    chain = Chain(KEY, 1, GENESIS)
    kept = chain._key
    chain.forget()
    assert kept == bytes(32)


def test_sign_changes_nothing() -> None:
    """An entry that could not be stored leaves no trace in the chain: the next one fits."""
    chain = Chain(KEY, 1, GENESIS)
    chain.sign(body(1)[:-1] + b',"verb":"lost"}')
    rows = written(chain, body(1), body(2))
    assert [head.last for head, _ in walk(rows, KEY, GENESIS)] == [1, 2]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=70) | st.binary(min_size=58, max_size=58))
def test_head_strict(packed: bytes) -> None:
    """A sealed head is read in its one form; anything else is damage and nothing else."""
    try:
        head = Head.unpack(packed)
    except KvError as error:
        assert error.code == "audit-broken"  # noqa: PT017  # the other end is asserted as well
    else:
        assert head.pack() == packed


def test_head_forms() -> None:
    """A head survives packing; another format, length, flag or order of numbers is refused."""
    head = Head(3, 5, 9, bytes(range(32)), closed=True)
    packed = head.pack()
    assert Head.unpack(packed) == head
    assert Head.unpack(None) == GENESIS
    wrong = [
        packed[:-1],
        packed + b"\0",
        b"\2" + packed[1:],
        packed[:-1] + b"\2",
        b"",
        head._replace(first=10).pack(),
        head._replace(first=0).pack(),
        head._replace(epoch=0).pack(),
        head._replace(last=1 << 63).pack(),
    ]
    for each in wrong:
        with pytest.raises(KvError, match="the sealed head is malformed"):
            Head.unpack(each)


def test_key_length() -> None:
    """A subkey of another length is misuse, not a weaker key."""
    with pytest.raises(ValueError, match="32 bytes"):
        Chain(b"short", 1, GENESIS)
