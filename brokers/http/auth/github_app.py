"""GitHub Apps: a token of one installation, asked for with a signed assertion of the app.

After "Authenticating as a GitHub App installation" of GitHub's documentation.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import document, misspelt, only
from brokers.http.auth.assertion import rs256
from brokers.http.auth.minting import BearsToken, Minted, members_of, token_in
from brokers.message import Request

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential
    from brokers.message import Moment, Response

SLOT = "private_key"
_BEFORE, _AFTER = 60, 540  # seconds around now: GitHub takes no assertion from its future, and none of over ten minutes
_LIFE = 3600.0  # seconds that an installation's token lasts; a clock that is wrong must not make it more
_APP = re.compile(r"[A-Za-z0-9.]{1,64}")  # a number, or a client id like Iv23li…
_INSTALLATION = re.compile(r"[0-9]{1,20}")


class GithubApp(BearsToken):
    """One secret, the app's private key in PEM. Options: `app`, its id or client id, and `installation`, a number."""

    name = "github-app"
    slots: tuple[str, ...] = (SLOT,)
    spelling = "github-app:APP/INSTALLATION"

    def parse(self, rest: str) -> dict[str, str]:
        """The app and the installation."""
        app, mark, installation = rest.partition("/")
        if not mark:
            misspelt()
        return {"app": app, "installation": installation}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return f"{options['app']}/{options['installation']}"

    def check(self, options: Mapping[str, str]) -> None:
        """Demand both."""
        only(options, ("app", "installation"))
        if not _APP.fullmatch(options.get("app", "")) or not _INSTALLATION.fullmatch(options.get("installation", "")):
            raise BrokerError("options", why="github-app takes an app's id and an installation's number: 12345/678")

    def endpoint(self, options: Mapping[str, str]) -> None:
        """None: tokens are made where they are used."""
        del options

    def mint(
        self, credential: Credential, options: Mapping[str, str], moment: Moment
    ) -> Generator[Request, Response, Minted]:
        """One request."""
        self.check(options)
        now = int(moment.now)
        claims = {"iat": now - _BEFORE, "exp": now + _AFTER, "iss": options["app"]}
        signed = rs256(claims, document(credential[SLOT]))
        headers = (
            ("accept", "application/vnd.github+json"),
            ("authorization", f"Bearer {signed}"),
            ("user-agent", "kv"),
            ("x-github-api-version", "2022-11-28"),
        )
        path = f"/app/installations/{options['installation']}/access_tokens"
        answer = yield Request("POST", path, (), headers, b"", assertion=signed.encode())
        members = members_of(answer)
        if answer.status != 201:  # noqa: PLR2004 - RFC 9110 section 15.3.2
            raise BrokerError("login", why=_WHY.get(answer.status, "GitHub grants no token to the app"))
        return Minted(token_in(members, "token"), _seconds(members.get("expires_at"), moment.now))


_WHY = {
    401: "GitHub does not take the app's key, or the clocks differ by more than a minute",
    404: "GitHub knows no such installation of the app",
    403: "GitHub has suspended the installation, or asks to wait",
}


def _seconds(expires: object, now: float) -> float:
    """How long until `expires`, as far as it can be believed: 0 for what is not in the future."""
    try:
        until = datetime.fromisoformat(str(expires)).timestamp() - now if isinstance(expires, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, min(until, _LIFE))
