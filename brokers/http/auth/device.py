"""OAuth 2.0 for whoever has no browser: a person enters a code elsewhere (RFC 8628), once, at `login`.

Rules of this file
- `login` is a pure machine: it says what to send, what to show and how long to wait, and is told the answers.
- What it shows comes from the service: bounded, without controls, and an address only over https.
- How often and how long it asks is bounded here: an endpoint cannot keep it going, nor make it hurry.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from brokers.contract import BrokerError, Secret
from brokers.http import target
from brokers.http.auth import document
from brokers.http.auth.minting import (
    MAX_LIFE,
    Minted,
    endpoint_of,
    granted,
    members_of,
    seconds_in,
    token_in,
)
from brokers.http.auth.oauth2 import Oauth2, token_request
from brokers.http.auth.oauth2_refresh import refreshed
from brokers.personal import Prompt

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Moment, Request, Response

SLOT = "login"
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL, _SLOWER = 5.0, 5.0  # seconds: RFC 8628 sections 3.2 and 3.5
_LEAST, _MOST = 1.0, 60.0  # seconds between two questions, whatever the service says
_PATIENCE = 1800.0  # seconds in all: the longest that a person is waited for
_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 -]{0,30}[A-Za-z0-9])?")  # no sentence: it is shown as a line of kv's own
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:/[\x21-\x7e]{0,500})?")  # no user in it


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds, then go on with None."""

    seconds: float


class Device(Oauth2):
    """One secret, which `login` makes: JSON with a refresh token, or with an access token of a service that gives none.

    Options as `Oauth2` has them, and `device_path`: where codes are given out, at the token URL's origin.
    """

    name = "device"
    slots: tuple[str, ...] = (SLOT,)
    more = ("device_path",)
    spelling = "device:TOKEN_URL,client=ID,device_path=PATH[,scope=…,audience=…,auth=post]"

    def check(self, options: Mapping[str, str]) -> None:
        """Demand a token URL, a client and where codes are given out."""
        super().check(options)
        _device_path(options)

    def mint(
        self, credential: Credential, options: Mapping[str, str], moment: Moment
    ) -> Generator[Request, Response, Minted]:
        """One request, or none where the service gave a lasting token."""
        del moment
        self.check(options)
        held = _held(credential[SLOT])
        if held.name == "access_token":
            return Minted(held, MAX_LIFE)
        token, rotated, seconds = yield from refreshed(held, credential, options)
        return Minted(token, seconds, {} if rotated is None else {SLOT: _kept(rotated)})

    def login(
        self, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request | Prompt | Pause, Response | None, Minted]:
        """A person's login: the secret that it makes is `rotated` of what it returns.

        Requests go to `endpoint`. Raises `BrokerError`: `login` for one that was declined or took too long, `refused`.
        """
        self.check(options)
        members = members_of(_told((yield token_request(_device_path(options), (), credential, options))))
        code, prompt, interval = _offered(members)
        yield prompt
        waited = 0.0
        fields = (("grant_type", _GRANT), ("device_code", code))
        path, asked = endpoint_of(options).path, _without_scope(options)
        while waited + interval <= prompt.seconds:
            yield Pause(interval)
            waited += interval
            answer = _told((yield token_request(path, fields, credential, asked)))
            error = members_of(answer).get("error")
            if error == "slow_down":
                interval = min(interval + _SLOWER, _MOST)
            elif error != "authorization_pending":
                return _logged_in(granted(answer))
        raise BrokerError("login", why="the code was not entered in time")


def _device_path(options: Mapping[str, str]) -> str:
    try:
        return "/" + "/".join(target.split_path(options.get("device_path", "")))
    except BrokerError:
        raise BrokerError("options", why="device_path is a path, like /login/device/code") from None


def _without_scope(options: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if name not in {"scope", "audience", "resource"}}


def _told(answer: Response | None) -> Response:
    if answer is None:
        raise TypeError("a request is answered with a response")
    return answer


def _offered(members: Mapping[str, object]) -> tuple[str, Prompt, float]:
    """The device code, what to show, and the interval. Raises `BrokerError("login")`."""
    texts = [members.get(name) for name in ("device_code", "user_code", "verification_uri", "verification_url")]
    code, shown, address = texts[0], texts[1], texts[2] or texts[3]  # the last is Google's, older than the RFC
    complete = members.get("verification_uri_complete", "")
    if not isinstance(code, str) or not 1 <= len(code) <= 4096 or not code.isprintable():  # noqa: PLR2004 - a JWT fits
        raise BrokerError("login", why="the service gives out no code to this client")
    if not isinstance(shown, str) or not _CODE.fullmatch(shown):
        raise BrokerError("login", why="the service's code for the person cannot be shown")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise BrokerError("login", why="the service's address for the person is not an https address")
    whole = complete if isinstance(complete, str) and _leads_to(complete, address) else ""
    given = members.get("interval", _INTERVAL)
    known = isinstance(given, int | float) and not isinstance(given, bool) and _LEAST <= given <= _MOST
    patience = min(seconds_in(members) or _PATIENCE, _PATIENCE)
    return code, Prompt(shown, address, whole, patience), float(given) if known else _INTERVAL  # type: ignore[arg-type]  # a number, as `known` says


def _logged_in(members: Mapping[str, object]) -> Minted:
    token = token_in(members)
    lasting = members.get("refresh_token") is None
    kept = _kept(token if lasting else token_in(members, "refresh_token"))
    return Minted(token, seconds_in(members), {SLOT: kept})


def _kept(token: Secret) -> Secret:
    return Secret(SLOT, json.dumps({token.name: document(token)}).encode())


def _held(secret: Secret) -> Secret:
    try:
        members = json.loads(document(secret))
        [(name, value)] = members.items()
    except (ValueError, RecursionError, AttributeError):
        name, value = "", ""
    if name not in {"access_token", "refresh_token"}:
        raise BrokerError("credential", why="nobody has logged in: kv login")
    return token_in({name: value}, name)


def _leads_to(complete: str, address: str) -> bool:
    """Whether the address with the code in it is the page that a person could go to by hand (RFC 8628 section 5.4)."""
    return bool(_ADDRESS.fullmatch(complete)) and urlsplit(complete)[:2] == urlsplit(address)[:2]
