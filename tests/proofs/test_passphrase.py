"""The passphrase proof: one request, one nonce, one key."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kv.errors import KvError
from kv.proofs import passphrase

KEY, NONCE = bytes(range(32)), bytes(range(32, 64))
NO_BODY = hashlib.sha256(b"").digest()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(), JSON, max_size=4)


def test_as_specified() -> None:
    """Digest and proof are those of the module's first page, computed here without it."""
    digest = passphrase.request_digest("set", {"name": "dev/KEY", "é": [1, None]}, NO_BODY)
    text = (
        '{"arguments":{"name":"dev/KEY","\\u00e9":[1,null]},'
        '"body":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","verb":"set"}'
    )
    assert digest == hashlib.sha256(b"kv request 1" + text.encode()).digest()
    proof = passphrase.make(KEY, digest, NONCE)
    assert proof == hashlib.blake2b(NONCE + digest, digest_size=32, key=KEY, person=b"kv passphrase 1").digest()
    assert proof.hex() == "756943a77c0f427a49d021a2df41c9b82cbc7905df6f9125f4d86b97eea45179"
    assert passphrase.check(KEY, digest, NONCE, proof, left=5) is True


@settings(max_examples=150, deadline=None)
@given(ARGUMENTS)
def test_same_on_both_ends(arguments: dict[str, object]) -> None:
    """What the keeper reads off the wire has the digest that the client made, in whatever order the keys came."""
    digest = passphrase.request_digest("set", arguments, NO_BODY)
    travelled = json.loads(json.dumps(arguments))
    backwards = dict(reversed(travelled.items()))
    assert passphrase.request_digest("set", backwards, NO_BODY) == digest


@settings(max_examples=150, deadline=None)
@given(ARGUMENTS, ARGUMENTS)
def test_other_requests(one: dict[str, object], other: dict[str, object]) -> None:
    """Requests that differ have digests that differ."""

    def digest(arguments: dict[str, object]) -> bytes:
        return passphrase.request_digest("set", arguments, NO_BODY)

    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) is same


def test_bound_to_everything() -> None:
    """A proof fits its verb, arguments, body, nonce and key, and none other."""
    digest = passphrase.request_digest("rm", {"name": "a"}, NO_BODY)
    proof = passphrase.make(KEY, digest, NONCE)
    elsewhere = [
        (KEY, passphrase.request_digest("mv", {"name": "a"}, NO_BODY), NONCE, proof),
        (KEY, passphrase.request_digest("rm", {"name": "b"}, NO_BODY), NONCE, proof),
        (KEY, passphrase.request_digest("rm", {"name": "a", "all": True}, NO_BODY), NONCE, proof),
        (KEY, passphrase.request_digest("rm", {"name": "a"}, hashlib.sha256(b"x").digest()), NONCE, proof),
        (KEY, digest, bytes(32), proof),
        (bytes(32), digest, NONCE, proof),
        (KEY, digest, NONCE, proof[:-1] + bytes([proof[-1] ^ 1])),
        (KEY, digest, NONCE, proof[:-1]),
        (KEY, digest, NONCE, b""),
        (KEY, NONCE, digest, proof),
    ]
    for key, asked, nonce, given_ in elsewhere:
        with pytest.raises(KvError) as caught:
            passphrase.check(key, asked, nonce, given_, left=2)
        assert (caught.value.code, caught.value.fields) == ("proof-wrong", {"left": 2})


@pytest.mark.parametrize(
    "arguments", [{1: "a"}, {"a": {1: 2}}, {"a": b"x"}, {"a": float("nan")}, {"a": [object()]}, {"a": {1}}]
)
def test_not_json(arguments: dict[str, object]) -> None:
    """What JSON would bend into something else is refused, so that two requests never share a digest."""
    with pytest.raises(ValueError, match="JSON"):
        passphrase.request_digest("set", arguments, NO_BODY)


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("length", [0, 31, 33])
def test_lengths(at: int, length: int) -> None:
    """A key, digest or nonce of another length is misuse: lengths are what keeps them apart."""
    parts = [KEY, NO_BODY, NONCE]
    parts[at] = bytes(length)
    with pytest.raises(ValueError, match="32 bytes"):
        passphrase.make(*parts)
    with pytest.raises(ValueError, match="SHA-256"):
        passphrase.request_digest("set", {}, bytes(length))
