"""`kv peek`: what tells two values apart, and says nothing of either.

Rules of this file
- Keyed BLAKE2b (RFC 7693) under a subkey of the vault's: without the vault nobody can try values against it, and no
  character of the value is in it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kv.vault.session import Vault

_BYTES = 10  # two values that differ agree in it once in 2^80
_GROUP = 4  # hex digits, for the eye


def fingerprint(vault: Vault, name: str) -> str:
    """The newest value's, as `9f3a-04c1-…`: 20 hex digits. Raises `KvError("unknown-secret")`."""
    value = vault.value("secret", name).expose()
    with vault.subkey("needles") as key:
        text = hashlib.blake2b(value, digest_size=_BYTES, key=bytes(key), person=b"kv fingerprint 1").hexdigest()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))
