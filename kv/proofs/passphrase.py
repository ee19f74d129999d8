"""The passphrase as a proof, without sending it. Standard library only: client and keeper both import this.

The client takes the slot (public data), opens it with the passphrase, derives the proofs subkey, and sends a MAC over
what it asks for and a nonce of the keeper's. So a listener on the socket learns nothing it could use: the MAC fits one
request, once.

    digest = SHA-256("kv request 1" || JSON {"arguments":…,"body":SHA-256 of the body, hex,"verb":…})
    proof  = BLAKE2b-256(nonce || digest, key = proofs subkey, person "kv passphrase 1")

JSON has sorted keys, no spaces and ASCII only. The keeper draws a nonce of 32 random bytes for one request and burns
it with the answer, right or wrong: `check` judges a proof and remembers nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Literal

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Mapping

NONCE_BYTES = KEY_BYTES = DIGEST_BYTES = PROOF_BYTES = 32


def request_digest(verb: str, arguments: Mapping[str, object], body_sha256: bytes) -> bytes:
    """32 bytes that stand for one request. `arguments` are JSON values as they travel, without the proof itself.

    Raises `ValueError` for what is no JSON: a key that is not text (JSON would make one of it, and so two requests
    could have one digest), NaN, bytes.
    """
    if len(body_sha256) != DIGEST_BYTES or not _is_json(arguments):
        raise ValueError("a request is a verb, JSON arguments and the SHA-256 of its body")
    text = json.dumps(
        {"arguments": dict(arguments), "body": body_sha256.hex(), "verb": verb},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(b"kv request 1" + text.encode("ascii")).digest()


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float)


def make(proofs_subkey: bytes, digest: bytes, nonce: bytes) -> bytes:
    """The proof, 32 bytes, that whoever holds `proofs_subkey` asks for this request now."""
    if (len(proofs_subkey), len(digest), len(nonce)) != (KEY_BYTES, DIGEST_BYTES, NONCE_BYTES):
        raise ValueError("key, digest and nonce have 32 bytes each")
    return hashlib.blake2b(
        nonce + digest, digest_size=PROOF_BYTES, key=proofs_subkey, person=b"kv passphrase 1"
    ).digest()


def check(proofs_subkey: bytes, digest: bytes, nonce: bytes, proof: bytes, *, left: int) -> Literal[True]:
    """Whether `proof` was made for this digest and nonce: true, or `proof-wrong`. Constant time."""
    if not hmac.compare_digest(make(proofs_subkey, digest, nonce), proof):
        raise KvError("proof-wrong", left=left)
    return True
