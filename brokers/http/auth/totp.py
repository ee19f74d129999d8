"""A one-time code in a header, a parameter or the body (RFC 6238): the secret makes it, and does not travel.

In a body it stands behind what was approved, and the place is the connection's, which was approved with it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pyotp

from brokers.contract import BrokerError
from brokers.http.auth import header_name, misspelt, only, query_name, visible, with_header, with_query, within

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential, Secret
    from brokers.message import Request, Response

_BASE32 = re.compile(r"[A-Z2-7]{16,256}")  # RFC 4226, R6 asks for 128 bits; services are seen to give 80
_DIGESTS = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}


class Totp:
    """One secret: base32 as services show it (six digits, 30 s, SHA-1), or an `otpauth://totp/` address.

    Option: `place`, `header:NAME`, `query:NAME`, `json:NAME` or `form:NAME`, the last two in a body that is a JSON
    object or a form. Beside another secret it is a place of `several`.
    """

    name = "totp"
    slots: tuple[str, ...] = ("secret",)
    spelling = "totp:header:NAME, query:NAME, json:NAME or form:NAME"
    reads_answers = False

    def parse(self, rest: str) -> dict[str, str]:
        """The place."""
        if not rest:
            misspelt()
        return {"place": rest}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return options["place"]

    def check(self, options: Mapping[str, str]) -> None:
        """Demand a place."""
        only(options, ("place",))
        check_code_place(options.get("place", ""))

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with the code of the moment."""
        self.check(options)
        yield put_code(request, options["place"], credential["secret"])

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: six digits are no needle, and are worth nothing after half a minute."""
        del credential, options
        return ()


def place(text: str) -> tuple[str, str]:
    """Where a value goes, `header` or `query`, and under which name. Raises `BrokerError("options")`."""
    where, _, name = text.partition(":")
    if where == "header":
        return where, header_name(name)
    if where == "query":
        return where, query_name(name)
    raise BrokerError("options", why="a place is header:NAME or query:NAME")


def check_code_place(text: str) -> tuple[str, str]:
    """As `place`, with places in a body, where only a code may stand: it is no credential once it has been used."""
    kind, _, name = text.partition(":")
    return (kind, query_name(name)) if kind in within.KINDS else place(text)


def put_code(request: Request, where: str, secret: Secret) -> Request:
    """`request` with the code of its moment in that place. Raises `BrokerError`: `argument`, `credential`."""
    kind, name = check_code_place(where)
    if kind not in within.KINDS:
        return put(request, where, code(secret, request.moment.now))
    within.check(request, kind, name)  # first: a plan is made without the secret, and is to be refused for this
    return within.put(request, kind, name, code(secret, request.moment.now))


def put(request: Request, where: str, value: str) -> Request:
    """`request` with `value` in that place."""
    kind, name = place(where)
    return (with_header if kind == "header" else with_query)(request, name, value)


def code(secret: Secret, now: float) -> str:
    """The code of the time `now`. Raises `BrokerError("credential")`."""
    value = visible(secret)
    asked = {"secret": value.replace(" ", "").replace("-", "").upper()}
    if value.startswith("otpauth://"):
        asked = _asked(value)
    key = asked["secret"].rstrip("=")
    digits, period = asked.get("digits", "6"), asked.get("period", "30")
    digest = _DIGESTS.get(asked.get("algorithm", "SHA1").upper())
    # RFC 4226 section 5.3 has six to eight digits; a period of under 15 s would not outlive a slow call.
    known = digits in {"6", "7", "8"} and period in {"15", "30", "60", "90"} and digest is not None
    if not known or not _BASE32.fullmatch(key):
        raise BrokerError("credential", why="the value is no base32 secret, and no otpauth://totp/ address")
    padded = key + "=" * (-len(key) % 8)
    try:
        base64.b32decode(padded)
    except ValueError:
        raise BrokerError("credential", why="the value is no base32 secret") from None
    return pyotp.TOTP(padded, digits=int(digits), digest=digest).generate_otp(int(now) // int(period))


def _asked(address: str) -> dict[str, str]:
    try:
        parts = urlsplit(address)
        found = parse_qs(parts.query, strict_parsing=True)
    except ValueError:
        return {"secret": ""}
    if parts.netloc != "totp" or "secret" not in found or any(len(values) > 1 for values in found.values()):
        return {"secret": ""}
    return {name: values[0] for name, values in found.items()}
