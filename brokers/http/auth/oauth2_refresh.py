"""OAuth 2.0 refresh tokens: an access token in a person's name, anew each time (RFC 6749 section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import spelled, visible
from brokers.http.auth.minting import BearsToken, Endpoint, Minted, endpoint_of, granted, seconds_in, token_in
from brokers.http.auth.oauth2 import OPTIONS, check_options, client_forms, token_request

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential, Secret
    from brokers.message import Moment, Request, Response

SLOT = "refresh_token"


class Oauth2Refresh(BearsToken):
    """One secret, and the client's own in slot `client_secret` where it has one. Options as `oauth2-client` has them.

    A refresh token that the endpoint replaces goes out as the slot's new secret: the old one is dead from then on.
    """

    name = "oauth2-refresh"
    slots: tuple[str, ...] = (SLOT,)
    spelling = "oauth2-refresh:TOKEN_URL,client=ID[,scope=…,audience=…,resource=…,auth=post]"

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
        """One request."""
        del moment
        self.check(options)
        token, rotated, seconds = yield from refreshed(credential[SLOT], credential, options)
        return Minted(token, seconds, {} if rotated is None else {SLOT: rotated})

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """`client:secret` of a client that has one."""
        return client_forms(credential, options)


def refreshed(
    held: Secret, credential: Credential, options: Mapping[str, str]
) -> Generator[Request, Response, tuple[Secret, Secret | None, float]]:
    """An access token for the refresh token `held`, the refresh token that replaces it if any does, and the seconds."""
    fields = (("grant_type", "refresh_token"), ("refresh_token", visible(held)))
    members = granted((yield token_request(endpoint_of(options).path, fields, credential, options)))
    token = token_in(members)
    rotated = token_in(members, "refresh_token") if members.get("refresh_token") is not None else None
    return token, rotated, seconds_in(members)
