"""XChaCha20-Poly1305 and keyed BLAKE2b on buffers: the only importer of `nacl`.

Rules of this file
- Keys are views of an arena and go to libsodium by address: no copy of one becomes a Python object.
- Nonces are 24 random bytes, made here and nowhere else: with 192 bits they do not repeat, and nobody counts.
- A failed seal is `Forged` and says nothing more; what was decrypted on the way is wiped.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# The cffi module itself: nacl's public functions copy keys into `bytes`.
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # made by a compiler, so without stubs

from kv.vault.format import DIGEST, KEY, NONCE, PERSON, TAG

if TYPE_CHECKING:
    Buffer = bytes | bytearray | memoryview

if lib.sodium_init() < 0:
    raise ImportError("libsodium does not start")  # it picks its implementations for this processor here

_at = ffi.from_buffer  # an address, good for the length of a call
_blake2b = lib.crypto_generichash_blake2b_salt_personal
_NO_SALT = bytes(16)
_PERSON = PERSON.ljust(16, b"\0")


class Forged(Exception):  # noqa: N818 - it is a finding, told on as one of the listed errors
    """The seal is not one that this key made over these bytes."""


def seal(key: memoryview, plain: Buffer, aad: bytes) -> tuple[bytes, bytes]:
    """A new nonce, and `plain` sealed under it: ciphertext, then the tag of 16 bytes."""
    nonce = os.urandom(NONCE)
    sealed = bytearray(len(plain) + TAG)
    lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
        _at(sealed), ffi.NULL, _at(plain), len(plain), aad, len(aad), ffi.NULL, nonce, _at(key)
    )
    return nonce, bytes(sealed)


def unseal(key: memoryview, nonce: bytes, sealed: bytes, aad: bytes, into: bytearray | memoryview) -> None:
    """Open `sealed` into `into`, which has exactly its size less the tag. Raises `Forged`."""
    if len(nonce) != NONCE or len(sealed) != len(into) + TAG:
        raise Forged
    failed = lib.crypto_aead_xchacha20poly1305_ietf_decrypt(
        _at(into), ffi.NULL, ffi.NULL, sealed, len(sealed), aad, len(aad), nonce, _at(key)
    )
    if failed:
        wipe(into)
        raise Forged


def derive(key: memoryview, label: bytes, into: memoryview) -> None:
    """The subkey of `key` for `label`, 32 bytes: keyed BLAKE2b (RFC 7693) with this format's personalization."""
    _blake2b(_at(into), KEY, label, len(label), _at(key), KEY, _NO_SALT, _PERSON)


def mac(key: memoryview, message: bytes, size: int = DIGEST) -> bytes:
    """`size` bytes of keyed BLAKE2b over `message`."""
    out = bytearray(size)
    _blake2b(_at(out), size, message, len(message), _at(key), KEY, _NO_SALT, _PERSON)
    return bytes(out)


def fill(buffer: memoryview) -> None:
    """Fill with random bytes from the kernel, in place."""
    lib.randombytes(_at(buffer), len(buffer))


def wipe(buffer: bytearray | memoryview) -> None:
    """Overwrite with zeros, in a way that no optimizer leaves out."""
    lib.sodium_memzero(_at(buffer), len(buffer))
