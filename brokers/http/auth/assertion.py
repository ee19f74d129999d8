"""Signed assertions: JSON Web Tokens by RS256 (RFC 7519, RFC 7515), which services take instead of a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_BITS, MOST_BITS = 2048, 8192  # RFC 7518 section 3.3; above 8192 a signature takes a second


def rs256(claims: Mapping[str, object], pem: str, key_id: str = "") -> str:
    """`claims` as a token signed with the RSA key in `pem`. Raises `BrokerError("credential")` for another key.

    RS256 is deterministic (RFC 8017 section 8.2), so equal claims make equal tokens.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BrokerError("credential", why="the value is not an unencrypted private key in PEM") from None
    if not isinstance(key, RSAPrivateKey) or not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise BrokerError("credential", why="the key is not an RSA key of 2048 to 8192 bits")
    return jwt.encode(dict(claims), key, algorithm="RS256", headers={"kid": key_id} if key_id else None)
