"""Google service accounts: a token for a signed assertion (RFC 7523 section 2.1), or the assertion itself as token.

After "Using OAuth 2.0 for Server to Server Applications" and AIP-4111 (self-signed JWT) of Google's documentation.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from brokers.contract import BrokerError, Secret
from brokers.http.auth import document, spelled
from brokers.http.auth.assertion import rs256
from brokers.http.auth.minting import PLACE, BearsToken, Endpoint, Minted, endpoint_of, granted, seconds_in, token_in
from brokers.http.auth.oauth2 import FORM
from brokers.message import Request

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Moment, Response

SLOT = "key"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE = 3600  # seconds: the longest that Google takes
_SKEW = 10  # seconds by which our clock may be ahead
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 section 3.3


class _Key(NamedTuple):
    email: str
    key_id: str
    pem: str


class GoogleService(BearsToken):
    """One secret, the account's JSON key. Option: `scope`, with blanks between several; or `audience`.

    With a scope, Google makes the token, at `token_url` (its own unless said otherwise; the key must name the same).
    With an audience, the signed assertion is the token, and nobody is asked.
    """

    name = "google-service"
    slots: tuple[str, ...] = (SLOT,)
    spelling = "google-service:SCOPE[,audience=URL]"

    def parse(self, rest: str) -> dict[str, str]:
        """The scopes, then the others by name. `-` stands for no scope."""
        found = spelled.read(rest, "scope", "audience", *PLACE)
        return {name: value for name, value in found.items() if (name, value) != ("scope", "-")}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return spelled.write({"scope": "-", **options}, "scope")

    def check(self, options: Mapping[str, str]) -> None:
        """Demand a scope or an audience."""
        spelled.check(options, (), ("scope", "audience", *PLACE))
        if ("scope" in options) == ("audience" in options):
            raise BrokerError("options", why="google-service takes a scope, or - and an audience")
        if "scope" in options and not _SCOPE.fullmatch(options["scope"]):
            raise BrokerError("options", why="scopes are URLs with one blank between them")
        endpoint_of(_with_url(options))

    def endpoint(self, options: Mapping[str, str]) -> Endpoint:
        """Google's token endpoint, or another that was declared; never the one that the key names."""
        return endpoint_of(_with_url(options))

    def mint(
        self, credential: Credential, options: Mapping[str, str], moment: Moment
    ) -> Generator[Request, Response, Minted]:
        """One request, or none with an audience."""
        self.check(options)
        url = _with_url(options)["token_url"]
        key, now = _read(document(credential[SLOT]), url), int(moment.now) - _SKEW
        claims: dict[str, object] = {"iss": key.email, "sub": key.email, "iat": now, "exp": now + _LIFE}
        if "audience" in options:
            signed = rs256({**claims, "aud": options["audience"]}, key.pem, key.key_id)
            return Minted(Secret("assertion", signed.encode()), float(_LIFE - _SKEW))
        signed = rs256({**claims, "aud": url, "scope": options["scope"]}, key.pem, key.key_id)
        body = urlencode((("grant_type", _GRANT), ("assertion", signed))).encode()
        path = endpoint_of(_with_url(options)).path
        members = granted((yield Request("POST", path, (), FORM, body, assertion=signed.encode())))
        return Minted(token_in(members), seconds_in(members))


def _with_url(options: Mapping[str, str]) -> dict[str, str]:
    return {"token_url": TOKEN_URL, **options}


def _read(text: str, url: str) -> _Key:
    """The key in `text`. One that names another token endpoint than `url` was made for somebody else to be asked."""
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict) or members.get("type") != "service_account":
        raise BrokerError("credential", why="the value is not the JSON key of a service account")
    if members.get("token_uri", url) != url:
        raise BrokerError("credential", why="the key names another token endpoint than the connection does")
    found = [members.get(name) for name in ("client_email", "private_key_id", "private_key")]
    if not all(isinstance(part, str) and part for part in found):
        raise BrokerError("credential", why="the JSON key is incomplete")
    return _Key(*map(str, found))
