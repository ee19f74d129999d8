"""A secret in a cookie: `Cookie: NAME=<secret>` (RFC 6265 section 4.2). No answer's cookie is ever kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import only, visible, with_header
from brokers.http.auth.plain import Named

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential, Secret
    from brokers.message import Request, Response

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_OCTETS = re.compile(r'[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+|"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+"')


class Cookie(Named):
    """One secret. Option: `name` of the cookie."""

    name = "cookie"
    spelling = "cookie:NAME"

    def check(self, options: Mapping[str, str]) -> None:
        """Demand a name that is a token."""
        only(options, ("name",))
        cookie_name(options.get("name", ""))

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the header."""
        self.check(options)
        yield with_header(request, "cookie", f"{options['name']}={cookie_value(credential['secret'])}")


def cookie_name(name: str) -> str:
    """`name` of a cookie; raises `BrokerError("options")`."""
    if not _NAME.fullmatch(name):
        raise BrokerError("options", why="a cookie's name is an HTTP token")
    return name


def cookie_value(secret: Secret) -> str:
    """The secret as it may stand in a cookie: one with a `;` would begin a second. Raises `BrokerError`."""
    value = visible(secret)
    if not _OCTETS.fullmatch(value):
        raise BrokerError("credential", why="the value cannot stand in a cookie")
    return value
