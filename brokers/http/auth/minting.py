"""Schemes that first have a token made for them: what they promise, and how a token endpoint's answer is read.

Rules of this file
- `mint` says what is sent; where it goes, only `endpoint` says, from what a person declared. No answer and no secret
  chooses a destination, and a redirect is a refusal.
- An endpoint's answer may quote the credential. Nothing of it but the token goes on, and no error quotes it.
- How long a token lasts is the endpoint's word, so it is bounded: it decides what is kept.

Grammar of the answers: RFC 6749 sections 5.1 and 5.2.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from brokers import addresses
from brokers.contract import BrokerError, Secret
from brokers.http import target
from brokers.http.auth import visible, with_header
from brokers.http.auth.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.http.target import Origin
    from brokers.message import Moment, Request, Response

TOKEN = "token"  # noqa: S105 - the slot in which a minted token is lent to the flow; no connection declares it
MAX_LIFE = 86400.0  # seconds: an endpoint that says more, or nothing of an end, is asked again every day
NO_WORD = 300.0  # seconds that a token is kept whose endpoint does not say how long it lasts
LEAST = 8  # characters: a shorter token could not be looked for in answers
MOST = 16 << 10  # characters: twice what servers take in a header

PLACE = ("token_url", "token_addresses", "token_ca")  # the options of `endpoint_of`
_URL = re.compile(r"(https?://[^/?#]+)(/[^?#]*)?", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+")
# RFC 6749 section 5.2, RFC 8628 section 3.5: what an endpoint may say, in our words.
_REFUSALS = {
    "invalid_client": "the token endpoint does not know this client, or not with this secret",
    "invalid_grant": "the token endpoint does not take this grant: it is used up, revoked or another client's",
    "unauthorized_client": "the token endpoint does not let this client ask in this way",
    "unsupported_grant_type": "the token endpoint does not know this grant",
    "invalid_scope": "the token endpoint refuses the scope",
    "invalid_request": "the token endpoint finds the request incomplete",
    "access_denied": "the request was declined",
    "expired_token": "the code was not entered in time",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where tokens are made, if not at the connection's own origin. `own_ca`: it is held to the connection's CA."""

    origin: Origin
    path: str
    pins: tuple[str, ...] = ()
    own_ca: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Minted:
    """A token, the seconds it lasts from now, and what from now on stands in the place of a slot's secret."""

    token: Secret
    seconds: float
    rotated: Mapping[str, Secret] = field(default_factory=dict)


@runtime_checkable
class Mints(Protocol):
    """What an auth scheme has besides, whose `flow` takes a minted token, in slot `TOKEN`."""

    def endpoint(self, options: Mapping[str, str]) -> Endpoint | None:
        """Where `mint` goes; None for the connection's own origin, beneath its base path."""

    def mint(
        self, credential: Credential, options: Mapping[str, str], moment: Moment
    ) -> Generator[Request, Response, Minted]:
        """Pure: the requests that make a token, or none where the token is made of the credential alone."""


class BearsToken(Plain):
    """The usual half of such a scheme: `Authorization: Bearer <token>`."""

    slots: tuple[str, ...] = ()

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the header."""
        self.check(options)
        yield with_header(request, "authorization", f"Bearer {visible(credential[TOKEN])}")


def endpoint_of(options: Mapping[str, str]) -> Endpoint:
    """The endpoint that `token_url` names, dialled at `token_addresses` (with blanks between) if any are given.

    The connection's CA counts for it, unless `token_ca` is "system". Raises `BrokerError("options")`.
    """
    found = _URL.fullmatch(options.get("token_url", ""))
    if found is None or options.get("token_ca", "system") != "system":
        raise BrokerError("options", why="token_url is a URL without a query, and token_ca, if given, is system")
    origin, pins = (
        target.parse_origin(found[1]),
        addresses.check_pins(tuple(options.get("token_addresses", "").split())),
    )
    if origin.scheme == "http" and not (pins and all(map(addresses.is_loopback, pins))):
        raise BrokerError("options", why="a token_url over plain http needs a loopback address in token_addresses")
    try:
        segments = target.split_path(found[2] or "/", "token_url")
    except BrokerError:
        raise BrokerError("options", why="the path of token_url is not a plain one") from None
    return Endpoint(origin, "/" + "/".join(segments), pins, "token_ca" not in options)


def members_of(response: Response) -> dict[str, object]:
    """The answer's JSON members. Raises `BrokerError("refused")` for what is none, and for a redirect."""
    if 300 <= response.status < 400:  # noqa: PLR2004 - RFC 9110 section 15.4
        raise BrokerError("refused", why="the token endpoint points elsewhere, and no credential follows")
    try:
        members = json.loads(response.body)
    except (ValueError, RecursionError):
        members = None
    if isinstance(members, dict):
        return members
    if response.status >= 400:  # noqa: PLR2004 - RFC 9110 section 15.5
        raise BrokerError("refused", why="the token endpoint refuses, and does not say why in JSON")
    raise BrokerError("refused", why="the token endpoint's answer is not a JSON object")


def granted(response: Response) -> dict[str, object]:
    """The members of an answer that grants a bearer token. Raises `BrokerError`: `login`, `refused`."""
    members = members_of(response)
    error = members.get("error")
    if error is not None or response.status >= 300:  # noqa: PLR2004 - some say 200 to an error, none an error to a token
        why = _REFUSALS.get(error) if isinstance(error, str) else None
        raise BrokerError("login", why=why or "the token endpoint refuses for a reason of its own")
    kind = members.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise BrokerError("login", why="the token endpoint grants tokens of another type than bearer")
    return members


def token_in(members: Mapping[str, object], name: str = "access_token") -> Secret:
    """The token that stands in member `name`. Raises `BrokerError("login")` for one that cannot be sent or found."""
    value = members.get(name)
    if not isinstance(value, str) or not LEAST <= len(value) <= MOST or not _TOKEN.fullmatch(value):
        raise BrokerError("login", why="the token endpoint's answer has no usable token in it")
    return Secret(name, value.encode("ascii"))


def seconds_in(members: Mapping[str, object], name: str = "expires_in") -> float:
    """How long a token lasts: at most a day, 0 where the endpoint's word makes no sense (it is then used once)."""
    value = members.get(name)
    if value is None:
        return NO_WORD
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:  # noqa: PLR2004 - some quote it
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:  # which NaN is not either
        return 0.0
    return float(min(value, MAX_LIFE))
