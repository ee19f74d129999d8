"""Encodings: one form for everything, and nothing forgiven."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.vault.format import (
    AUDIT_HEAD_MAX,
    HEAD_BYTES,
    Head,
    SlotRow,
    head_aad,
    pack_head,
    pad,
    padded_size,
    record_aad,
    slot_aad,
    slots_message,
    unpack_head,
    unpad,
)

U63 = st.integers(1, (1 << 63) - 1)
D32 = st.binary(min_size=32, max_size=32)
BLOB = st.binary(max_size=40)
U32 = st.integers(1, (1 << 32) - 1)
SLOT = st.builds(SlotRow, U32, U32, U32, U32, U32, BLOB, BLOB, st.binary(min_size=24, max_size=24), BLOB)


@given(st.integers(0, 1 << 20))
@settings(max_examples=100)
def test_padding_bounds(size: int) -> None:
    """Padding hides a length among others and at most doubles it; above 4 KiB it costs 12 % at most."""
    padded = padded_size(size)
    assert padded >= max(128, size + 4)
    assert padded_size(padded - 4) == padded
    if size > 8192:
        assert padded <= (size + 4) * 1.12
    elif size > 124:
        assert padded < 2 * (size + 4)


def test_size_classes() -> None:
    """Every value of up to 124 bytes looks alike, and few classes tell the others apart."""
    assert {padded_size(size) for size in range(125)} == {128}
    assert len({padded_size(size) for size in range(4093)}) == 6
    assert len({padded_size(size) for size in range(0, (1 << 20) + 1, 97)}) < 200


@given(st.binary(max_size=10_000))
@settings(max_examples=100)
def test_padding_round_trip(content: bytes) -> None:
    """What is padded comes back as it was."""
    assert unpad(pad(content)) == content


@given(st.binary(max_size=300), st.data())
@settings(max_examples=100)
def test_padding_is_strict(content: bytes, data: st.DataObject) -> None:
    """Bytes are refused, or are just what padding their content makes: no content has two forms."""
    padded = pad(content)
    padded[data.draw(st.integers(0, len(padded) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ValueError):
        assert pad(unpad(padded)) == padded


@pytest.mark.parametrize("size", [0, 3, 127])
def test_short_padding(size: int) -> None:
    """Less than the smallest class is refused, not indexed into."""
    with pytest.raises(ValueError, match="size"):
        unpad(bytearray(size))


@given(U63, st.integers(0, (1 << 64) - 1), D32, D32, st.binary(max_size=AUDIT_HEAD_MAX))
@settings(max_examples=100)
def test_head_round_trip(generation: int, rows: int, digest: bytes, slots: bytes, audit: bytes) -> None:
    """A head comes back as it was packed."""
    head = Head(generation, rows, digest, slots, audit)
    assert unpack_head(pack_head(head)) == head


@given(st.binary(min_size=HEAD_BYTES - 1, max_size=HEAD_BYTES + 1))
@settings(max_examples=100)
def test_head_is_canonical(packed: bytes) -> None:
    """Bytes are a head in one way, or not at all."""
    with suppress(ValueError):
        assert pack_head(unpack_head(packed)) == packed


def test_head_refusals() -> None:
    """No generation 0, no length beyond the field, nothing in the padding, no audit head that is too long."""
    good = pack_head(Head(1, 0, bytes(32), bytes(32), b"x"))
    bad = [bytes(8) + good[8:], good[:80] + b"\x80" + good[81:], good[:-1] + b"\x01", good[:80] + b"\x00" + good[81:]]
    for packed in bad:
        with pytest.raises(ValueError, match="form"):
            unpack_head(packed)
    with pytest.raises(ValueError, match="127"):
        pack_head(Head(1, 0, bytes(32), bytes(32), bytes(128)))


@given(st.lists(SLOT, max_size=3), st.lists(SLOT, max_size=3))
@settings(max_examples=100)
def test_slots_message_is_injective(left: list[SlotRow], right: list[SlotRow]) -> None:
    """Two sets of slots have one message only if they are the same."""
    vault = bytes(16)
    same = sorted(left) == sorted(right)
    assert (slots_message(vault, left) == slots_message(vault, right)) is same


@given(SLOT, SLOT)
@settings(max_examples=100)
def test_slot_aad(left: SlotRow, right: SlotRow) -> None:
    """A slot is sealed to every column but the seal's own, whatever bytes move from one to the next."""
    assert (slot_aad(bytes(16), left) == slot_aad(bytes(16), right)) is (left[:7] == right[:7])
    shifted = left._replace(salt=left.salt[:-1], public=left.salt[-1:] + left.public)
    assert not left.salt or slot_aad(bytes(16), left) != slot_aad(bytes(16), shifted)


def test_aad_domains() -> None:
    """Record, head and slot are sealed to different things, and a record to its place."""
    vault, other, record = bytes(16), bytes([1] * 16), bytes([2] * 16)
    slot = SlotRow(1, 1, 1, 1, 1, b"", b"", bytes(24), b"")
    texts = [
        record_aad(vault, record, 1, 1),
        record_aad(vault, record, 1, 2),
        record_aad(vault, record, 2, 1),
        record_aad(vault, other, 1, 1),
        record_aad(other, record, 1, 1),
        head_aad(vault),
        head_aad(other),
        slot_aad(vault, slot),
        slot_aad(other, slot),
    ]
    assert len(set(texts)) == len(texts)
