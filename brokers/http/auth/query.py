"""A secret in a query parameter: `?key=<secret>`. The weakest place, since servers log it; some take no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import misspelt, only, query_name, visible, with_query

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Request, Response


class Query:
    """One secret. Option: `name` of the parameter."""

    name = "query"
    slots: tuple[str, ...] = ("secret",)
    spelling = "query:NAME"
    reads_answers = False

    def parse(self, rest: str) -> dict[str, str]:
        """The parameter's name."""
        if not rest:
            misspelt()
        return {"name": rest}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return options["name"]

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

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: the secret itself is what travels, URL-encoded at most."""
        del credential, options
        return ()
