"""What OAuth 2.0 grants have in common: their options, and the request to the token endpoint.

Grammar of the request: RFC 6749 section 2.3.1 and appendix B.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

from brokers.contract import BrokerError
from brokers.http.auth import spelled, visible
from brokers.http.auth.minting import PLACE, BearsToken, Endpoint, endpoint_of
from brokers.message import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import Credential
    from brokers.http.target import Pair

CLIENT_SECRET = "client_secret"  # noqa: S105 - the slot's name
FORM = (
    ("accept", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("user-agent", "kv"),
)
OPTIONS = ("client", "scope", "audience", "resource", "auth", *PLACE[1:])  # of every grant, behind its token_url


class Oauth2(BearsToken):
    """The declared half of such a scheme: a token URL and a client.

    Options: `token_url`, `client`; `scope`, `audience`, `resource`; `auth`: basic or post. `more`: a scheme's own.
    """

    more: tuple[str, ...] = ()

    def parse(self, rest: str) -> dict[str, str]:
        """The token URL, then the others by name."""
        return spelled.read(rest, "token_url", *self.more, *OPTIONS)

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return spelled.write(options, "token_url")

    def check(self, options: Mapping[str, str]) -> None:
        """Demand a token URL and a client."""
        spelled.check(options, ("token_url", "client"), (*OPTIONS, *self.more))
        endpoint_of(options)
        if options.get("auth", "basic") not in {"basic", "post"}:
            raise BrokerError("options", why="auth is basic (a header) or post (two fields of the form)")

    def endpoint(self, options: Mapping[str, str]) -> Endpoint:
        """The declared token URL."""
        return endpoint_of(options)

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """`client:secret` of a client that has one: its base64 is what travels."""
        if CLIENT_SECRET not in credential.slots:
            return ()
        return (f"{options['client']}:{visible(credential[CLIENT_SECRET])}".encode(),)


def token_request(
    path: str, fields: tuple[Pair, ...], credential: Credential, options: Mapping[str, str], secret: str = CLIENT_SECRET
) -> Request:
    """A POST of `fields` by the declared client; one without a secret in slot `secret` only says who it is."""
    headers = [*FORM]
    wanted = [(name, options[name]) for name in ("scope", "audience", "resource") if name in options]
    sent, client = [*fields, *wanted], options["client"]
    if secret in credential.slots and options.get("auth", "basic") == "basic":
        # Both are form-encoded first: RFC 6749 section 2.3.1, which many servers need and none minds.
        pair = f"{quote_plus(client)}:{quote_plus(visible(credential[secret]))}"
        headers.append(("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
    else:
        sent.append(("client_id", client))
        if secret in credential.slots:
            sent.append(("client_secret", visible(credential[secret])))
    return Request("POST", path, (), tuple(headers), urlencode(sent).encode())
