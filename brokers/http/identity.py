"""The client certificates of connections that have one: a TLS context each, made of what one call was lent.

Rules of this file
- The key is never a file that has a name: OpenSSL reads it from an anonymous one in memory, which is wiped and gone.
- A context is one connection's, and one certificate's: with another certificate it is another, and so is the lane.
- Nothing asks at a terminal: an encrypted key is refused.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth.mtls import identity
from brokers.http.stream import new_context

if TYPE_CHECKING:
    from brokers.contract import Credential
    from brokers.http.reading import Destination

_MOST = 64  # as many as the transport keeps lanes


class Identities:
    """Mutable state: the contexts, under a keyed hash of what they were made of."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(32)
        self._made: dict[Destination, tuple[bytes, ssl.SSLContext]] = {}

    def of(self, to: Destination, credential: Credential) -> Destination:
        """`to` with the client's certificate. Raises `BrokerError("credential")` for one that OpenSSL cannot use."""
        pem = identity(credential).encode()
        mark = hashlib.blake2b(pem, key=self._salt, digest_size=32).digest()
        known, context = self._made.get(to, (b"", None))
        if context is None or known != mark:
            if to.origin.scheme != "https":
                raise BrokerError("options", why="a client certificate needs https")
            context = _context(to.ca, pem)
            if len(self._made) >= _MOST:
                self._made.clear()
            self._made[to] = mark, context
        return replace(to, identity=context)

    def clear(self) -> None:
        """Forget them all."""
        self._made.clear()


def _context(ca: str, pem: bytes) -> ssl.SSLContext:
    context = new_context(ca)
    if not hasattr(os, "memfd_create"):
        raise BrokerError("options", why="client certificates need a system with memory files: Linux")
    held = os.memfd_create("kv", os.MFD_CLOEXEC)
    try:
        os.pwrite(held, pem, 0)
        # (The empty password is never right; without one OpenSSL would ask for it at the terminal.)
        context.load_cert_chain(f"/proc/self/fd/{held}", password="")
    except (ssl.SSLError, OSError, ValueError):
        raise BrokerError("credential", why="certificate and key cannot be read, or do not belong together") from None
    finally:
        os.pwrite(held, bytes(len(pem)), 0)
        os.close(held)
    return context
