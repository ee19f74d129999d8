"""Basic authentication: `Authorization: Basic base64(user:password)` (RFC 7617)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import only, visible, with_header

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response

_MAX_PART = 256  # characters of a declared user or password: a name or a constant, not a document


class Basic:
    """One secret, which is the password of option `user`, or the user of option `password`, or both in one.

    `{"user": "ada"}` sends `ada:<secret>`; `{"password": ""}` sends `<secret>:`, as services do whose key is the
    user; no option sends the secret as it is, which must then read `user:password`.
    """

    name = "basic"
    slots: tuple[str, ...] = ("secret",)
    spelling = "basic[:USER or ::PASSWORD]"
    reads_answers = False

    def parse(self, rest: str) -> dict[str, str]:
        """A user, or a password behind a second colon, as the two stand in what is sent."""
        if rest.startswith(":"):
            return {"password": rest[1:]}
        return {"user": rest} if rest else {}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return f":{options['password']}" if "password" in options else options.get("user", "")

    def check(self, options: Mapping[str, str]) -> None:
        """Demand at most one of `user` and `password`, without what RFC 7617 excludes."""
        only(options, ("user", "password"))
        if len(options) > 1:
            raise BrokerError("options", why="basic takes a user or a password, not both: the secret is the other")
        if any(len(text) > _MAX_PART or not text.isascii() or not text.isprintable() for text in options.values()):
            raise BrokerError("options", why="user and password are at most 256 visible ASCII characters")
        if ":" in options.get("user", ""):
            raise BrokerError("options", why="a user name has no ':'")

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the header."""
        self.check(options)
        pair = base64.b64encode(_pair(credential, options)).decode("ascii")
        yield with_header(request, "authorization", f"Basic {pair}")

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """`user:password`: its base64 is met by decoding runs of base64 and looking for this within."""
        return (_pair(credential, options),)


def _pair(credential: Credential, options: Mapping[str, str]) -> bytes:
    secret = visible(credential["secret"])
    if "user" in options:
        return f"{options['user']}:{secret}".encode("ascii")
    if ":" in secret and "password" in options:
        raise BrokerError("credential", why="a user name has no ':'")
    if "password" in options:
        return f"{secret}:{options['password']}".encode("ascii")
    if ":" not in secret:
        raise BrokerError("credential", why="without a user, the value must read user:password")
    return secret.encode("ascii")
