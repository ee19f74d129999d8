"""How costly a guess a server makes the proof that SCRAM gives it: read off its first message. Pure.

Rules of this file
- Who takes a stopped server's port chooses salt and iterations. With one iteration each guess at the password costs
  four hashes, offline: the answer is not given below what every server has by itself. Nor above what makes libpq
  stand for seconds.
- Only where there is no TLS: there the certificate says who asks, and the message cannot be seen.
- The message comes whole before libpq answers it, whatever portions it comes in.
"""

from __future__ import annotations

import re
import struct

from brokers.contract import BrokerError

LEAST, MOST = 4096, 1_000_000  # iterations: RFC 7677 section 4 and PostgreSQL's default; a second of a processor
_HEAD = 5  # bytes: the kind of a message, and its length without the kind
_CONTINUE = struct.pack(">I", 11)  # AuthenticationSASLContinue
_FIRST = re.compile(rb"r=[^,]*,s=[^,]*,i=([1-9][0-9]{0,8})")


class Watch:
    """Looks at what a server says while a session logs in, before libpq does."""

    def __init__(self, *, insecure: bool) -> None:
        self._least = 1 if insecure else LEAST
        self._held = b""

    def look(self, data: bytes) -> None:
        """The next bytes. Raises `BrokerError("login")`, and `broken` for what is no message."""
        self._held += data
        at, held = 0, self._held
        while len(held) - at >= _HEAD:
            kind, size = struct.unpack_from(">cI", held, at)
            if size < _HEAD - 1:
                raise BrokerError("broken")
            if len(held) - at <= size:
                break
            body = held[at + _HEAD : at + size + 1]
            at += size + 1
            if kind == b"R" and body.startswith(_CONTINUE):
                self._check(body.removeprefix(_CONTINUE))
        self._held = held[at:]

    def _check(self, first: bytes) -> None:
        found = _FIRST.fullmatch(first)
        if found is None or not self._least <= int(found[1]) <= MOST:
            raise BrokerError("login", why="the server asks for a proof that the password could be guessed from")
