"""A secret in a query parameter: `?key=<secret>`. The weakest place, since servers log it; some take no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import only, query_name, visible, with_query
from brokers.http.auth.plain import Named

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response


class Query(Named):
    """One secret. Option: `name` of the parameter."""

    name = "query"
    spelling = "query:NAME"

    def check(self, options: Mapping[str, str]) -> None:
        """Demand the parameter's name."""
        only(options, ("name",))
        query_name(options.get("name", ""))

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the parameter."""
        self.check(options)
        yield with_query(request, options["name"], visible(credential["secret"]))
