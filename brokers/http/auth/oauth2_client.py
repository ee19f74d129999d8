"""OAuth 2.0 client credentials: an access token for the client itself (RFC 6749 section 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import spelled
from brokers.http.auth.minting import BearsToken, Endpoint, Minted, endpoint_of, granted, seconds_in, token_in
from brokers.http.auth.oauth2 import CLIENT_SECRET, OPTIONS, check_options, client_forms, token_request

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Moment, Request, Response


class Oauth2Client(BearsToken):
    """One secret. Options: `token_url`, `client`; `scope`, `audience`, `resource`; `auth`: basic or post."""

    name = "oauth2-client"
    slots: tuple[str, ...] = (CLIENT_SECRET,)
    spelling = "oauth2-client:TOKEN_URL,client=ID[,scope=…,audience=…,resource=…,auth=post]"

    def parse(self, rest: str) -> dict[str, str]:
        """The token URL, then the others by name."""
        return spelled.read(rest, "token_url", *OPTIONS)

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return spelled.write(options, "token_url")

    def check(self, options: Mapping[str, str]) -> None:
        """Demand a token URL and a client."""
        check_options(options)

    def endpoint(self, options: Mapping[str, str]) -> Endpoint:
        """The declared token URL."""
        return endpoint_of(options)

    def mint(
        self, credential: Credential, options: Mapping[str, str], moment: Moment
    ) -> Generator[Request, Response, Minted]:
        """One request. A refresh token is not asked for, and one that comes is dropped (section 4.4.3)."""
        del moment
        self.check(options)
        credential[CLIENT_SECRET]  # without a secret this grant would be anybody's
        fields = (("grant_type", "client_credentials"),)
        members = granted((yield token_request(endpoint_of(options).path, fields, credential, options)))
        return Minted(token_in(members), seconds_in(members))

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """`client:secret`."""
        return client_forms(credential, options)
