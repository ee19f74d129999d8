"""What a record says, encoded and decoded."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault.world import code_of

from kv.vault.contents import KINDS, check_name, check_value, decode_meta, encode_meta, lookup

SEGMENT = st.text("abcXYZ019_.-", min_size=1, max_size=64).filter(lambda s: s not in {".", ".."})
NAME = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)
NUMBERS = st.integers(-(1 << 63), 1 << 63) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
META = st.dictionaries(st.text(), JSON, max_size=6)
STAMP = st.integers(0, (1 << 53) - 1).map(lambda microseconds: microseconds / 1_000_000)


@settings(max_examples=100)
@given(st.sampled_from(KINDS), NAME, STAMP, META, st.integers(1, 1 << 40))
def test_round_trip(kind: str, name: str, created: float, meta: dict[str, object], revision: int) -> None:
    """What is encoded is decoded to the same, whatever JSON it is."""
    record = decode_meta(encode_meta(kind, name, created, meta), revision)  # type: ignore[arg-type]
    assert (record.kind, record.name, record.revision, record.meta) == (kind, name, revision, meta)
    assert abs(record.created - created) < 2e-6


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    """Bytes that were not encoded by us are a `ValueError`, never another exception and never a record."""
    with pytest.raises(ValueError, match="no record"):
        decode_meta(data, 1)


@settings(max_examples=100)
@given(NAME, META, st.data())
def test_decoding_is_canonical(name: str, meta: dict[str, object], data: st.DataObject) -> None:
    """A changed byte is refused, or is the encoding of just what it decodes to: no record has two forms."""
    encoded = bytearray(encode_meta("secret", name, 1.0, meta))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        record = decode_meta(bytes(encoded), 1)
        assert encode_meta(record.kind, record.name, record.created, record.meta) == bytes(encoded)


@pytest.mark.parametrize(
    "text",
    [
        '{"created":1,"kind":"secret","meta":{},"name":"a","name":"a"}',
        '{"created":1, "kind":"secret","meta":{},"name":"a"}',
        '{"kind":"secret","created":1,"meta":{},"name":"a"}',
        '{"created":1,"kind":"secret","meta":{},"name":"a","more":1}',
        '{"created":1,"kind":"secret","meta":{}}',
        '{"created":1,"kind":"other","meta":{},"name":"a"}',
        '{"created":1,"kind":["secret"],"meta":{},"name":"a"}',
        '{"created":1.5,"kind":"secret","meta":{},"name":"a"}',
        '{"created":true,"kind":"secret","meta":{},"name":"a"}',
        '{"created":-1,"kind":"secret","meta":{},"name":"a"}',
        '{"created":9007199254740992,"kind":"secret","meta":{},"name":"a"}',
        '{"created":1,"kind":"secret","meta":[],"name":"a"}',
        '{"created":1,"kind":"secret","meta":{"x":NaN},"name":"a"}',
        '{"created":1,"kind":"secret","meta":{},"name":"../a"}',
        '{"created":1,"kind":"secret","meta":{},"name":7}',
        '{"created":1,"kind":"secret","meta":{},"name":"a"} ',
        '{"created":1,"kind":"secret","meta":' + "[" * 60_000 + "]" * 60_000 + ',"name":"a"}',
        "[]",
    ],
)
def test_strict(text: str) -> None:
    """Members doubled, missing, too many, of another type, out of bounds or out of order are refused."""
    with pytest.raises(ValueError, match="no record"):
        decode_meta(text.encode(), 1)


@pytest.mark.parametrize("created", [-5.0, 1e30])
def test_wrong_clock(created: float) -> None:
    """A clock that is wrong beyond sense stops nobody from storing."""
    assert decode_meta(encode_meta("secret", "a", created, {}), 1).created >= 0


@pytest.mark.parametrize(
    "meta",
    [{"x": float("nan")}, {"x": b"bytes"}, {"x": {1: 2}}, {"x": object()}, json.loads('{"x":' * 40 + "1" + "}" * 40)],
)
def test_meta_is_json(meta: dict[str, object]) -> None:
    """Metadata that is no JSON, or nests without end, is the program's mistake."""
    with pytest.raises(ValueError, match="JSON"):
        encode_meta("secret", "a", 1.0, meta)


def test_meta_bound() -> None:
    """Metadata beyond 1 MiB is refused."""
    assert code_of(lambda: encode_meta("secret", "a", 1.0, {"x": "y" * (1 << 20)})) == "too-large"


@given(NAME)
@settings(max_examples=100)
def test_names(name: str) -> None:
    """One to four segments of letters, digits, `_`, `.` and `-` are a name."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "a/b/c/d/e",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "x" * 65,
        "ä",
        "a b",
        "a\n",
        "a\0",
        "a=b",
        "~",
        "٣",
    ],
)
def test_no_names(name: str) -> None:
    """Anything else is none, path tricks and look-alike digits included."""
    assert code_of(lambda: check_name(name)) == "bad-name"


def test_value_bounds() -> None:
    """A value has 1 byte to 1 MiB, of any kind."""
    assert check_value(b"\0") == b"\0"
    assert check_value(bytes(1 << 20)) == bytes(1 << 20)
    assert code_of(lambda: check_value(b"")) == "value-size"
    assert code_of(lambda: check_value(bytes((1 << 20) + 1))) == "value-size"


def test_lookup_is_injective() -> None:
    """No two records have one id's input."""
    assert len({lookup(kind, name) for kind in KINDS for name in ("a", "secret", "a/b")}) == 3 * len(KINDS)
