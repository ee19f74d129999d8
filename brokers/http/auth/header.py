"""A secret in a header of its own: `X-Api-Key: <secret>`, or `Authorization: Token <secret>` with a prefix."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import header_name, misspelt, only, visible, with_header
from brokers.http.auth.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response

_PREFIX = re.compile(r"([\x21-\x7e][\x20-\x7e]{0,63})?")


class Header(Plain):
    """One secret. Options: `name` of the header; `prefix` before the value, its own space included (`Token `)."""

    name = "header"
    spelling = "header:NAME[=PREFIX]"

    def parse(self, rest: str) -> dict[str, str]:
        """The header's name; a prefix as it is, its space included: `Authorization=Token `."""
        name, mark, prefix = rest.partition("=")
        if not name:
            misspelt()
        return {"name": name, "prefix": prefix} if mark else {"name": name}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return options["name"] + (f"={options['prefix']}" if "prefix" in options else "")

    def check(self, options: Mapping[str, str]) -> None:
        """Demand a header that may carry a credential."""
        only(options, ("name", "prefix"))
        header_name(options.get("name", ""))
        if not _PREFIX.fullmatch(options.get("prefix", "")):
            raise BrokerError("options", why="a prefix is at most 64 visible characters")

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the header."""
        self.check(options)
        value = f"{options.get('prefix', '')}{visible(credential['secret'])}"
        yield with_header(request, header_name(options["name"]), value)
