"""OAuth 2.0 refresh tokens: an access token in a person's name, anew each time (RFC 6749 section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.http.auth import visible
from brokers.http.auth.minting import Minted, endpoint_of, granted, seconds_in, token_in
from brokers.http.auth.oauth2 import Oauth2, token_request

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential, Secret
    from brokers.message import Moment, Request, Response

SLOT = "refresh_token"


class Oauth2Refresh(Oauth2):
    """One secret, and the client's own in slot `client_secret` where it has one. Options as `Oauth2` has them.

    A refresh token that the endpoint replaces goes out as the slot's new secret: the old one is dead from then on.
    """

    name = "oauth2-refresh"
    slots: tuple[str, ...] = (SLOT,)
    spelling = "oauth2-refresh:TOKEN_URL,client=ID[,scope=…,audience=…,resource=…,auth=post]"

    def mint(
        self, credential: Credential, options: Mapping[str, str], moment: Moment
    ) -> Generator[Request, Response, Minted]:
        """One request."""
        del moment
        self.check(options)
        token, rotated, seconds = yield from refreshed(credential[SLOT], credential, options)
        return Minted(token, seconds, {} if rotated is None else {SLOT: rotated})


def refreshed(
    held: Secret, credential: Credential, options: Mapping[str, str]
) -> Generator[Request, Response, tuple[Secret, Secret | None, float]]:
    """An access token for the refresh token `held`, the refresh token that replaces it if any does, and the seconds."""
    fields = (("grant_type", "refresh_token"), ("refresh_token", visible(held)))
    members = granted((yield token_request(endpoint_of(options).path, fields, credential, options)))
    token = token_in(members)
    rotated = token_in(members, "refresh_token") if members.get("refresh_token") is not None else None
    return token, rotated, seconds_in(members)
