"""OAuth 2.0 client credentials: an access token for the client itself (RFC 6749 section 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth.minting import Minted, endpoint_of, granted, seconds_in, token_in
from brokers.http.auth.oauth2 import CLIENT_SECRET, Oauth2, token_request

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Moment, Request, Response


class Oauth2Client(Oauth2):
    """One secret. Options as `Oauth2` has them."""

    name = "oauth2-client"
    slots: tuple[str, ...] = (CLIENT_SECRET,)
    spelling = "oauth2-client:TOKEN_URL,client=ID[,scope=…,audience=…,resource=…,auth=post]"

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
