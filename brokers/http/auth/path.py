"""A secret in the path, where the service has no other place: `/bot<secret>/getMe`, by a person's template."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import only, visible
from brokers.http.auth.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response

_TEMPLATE = re.compile(r"(/[A-Za-z0-9_.~-]+)*/[A-Za-z0-9_.~-]*\{secret\}[A-Za-z0-9_.~-]*(/[A-Za-z0-9_.~-]+)*")
# Nothing that ends a segment, escapes or climbs: a value with '/' would choose another path.
_SEGMENT = re.compile(r"[A-Za-z0-9_~:=@!$+-][A-Za-z0-9_.~:=@!$+-]*")


class Path(Plain):
    """One secret. Option: `template`, put before the call's path; `/{secret}` unless said otherwise."""

    name = "path"
    spelling = "path[:TEMPLATE]"

    def parse(self, rest: str) -> dict[str, str]:
        """A template, or none."""
        return {"template": rest} if rest else {}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return options.get("template", "")

    def check(self, options: Mapping[str, str]) -> None:
        """Demand one place for the secret and no dot segments."""
        only(options, ("template",))
        template = options.get("template", "/{secret}")
        if not _TEMPLATE.fullmatch(template) or {".", ".."} & set(template.split("/")):
            raise BrokerError("options", why="a template is a path with {secret} in it once, like /bot{secret}")

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request beneath the filled template."""
        self.check(options)
        value = visible(credential["secret"])
        if not _SEGMENT.fullmatch(value):
            raise BrokerError("credential", why="the value cannot stand in a path")
        prefix = options.get("template", "/{secret}").replace("{secret}", value)
        yield replace(request, path=prefix + request.path)
