"""Several secrets at once, each in its place: `DD-API-KEY` and `DD-APPLICATION-KEY`, or a header and a parameter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import misspelt, visible, with_header
from brokers.http.auth.cookie import cookie_name, cookie_value
from brokers.http.auth.totp import check_code_place, place, put, put_code

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from brokers.contract import Credential, Secret
    from brokers.message import Request, Response

_MAX_SLOTS = 8  # services want two; eight is room, and bounds the request
_SLOT = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Several:
    """The options name the slots and where each goes: `{"api_key": "header:DD-API-KEY", "app": "query:app"}`.

    A place is `header:NAME`, `query:NAME` or `cookie:NAME`; `totp:header:NAME` puts the code of the moment there, of a
    slot that holds a TOTP secret, and `totp:json:NAME` or `totp:form:NAME` in the body.
    """

    name = "several"
    slots: tuple[str, ...] = ()  # those the options name
    spelling = "several:SLOT=PLACE,…"
    reads_answers = False

    def parse(self, rest: str) -> dict[str, str]:
        """Slots and their places, as in `api_key=header:X-Api-Key,app=query:app`."""
        pairs = [part.partition("=") for part in rest.split(",")]
        if not all(mark for _, mark, _ in pairs) or len({slot for slot, _, _ in pairs}) != len(pairs):
            misspelt()
        return {slot: place for slot, _, place in pairs}

    def spell(self, options: Mapping[str, str]) -> str:
        """See `parse`."""
        return ",".join(f"{slot}={place}" for slot, place in options.items())

    def check(self, options: Mapping[str, str]) -> None:
        """Demand 2 to 8 slots, each in a place of its own."""
        if not 2 <= len(options) <= _MAX_SLOTS:  # noqa: PLR2004 - one secret has a scheme of its own
            raise BrokerError("options", why="several takes 2 to 8 slots")
        if not all(_SLOT.fullmatch(slot) for slot in options):
            raise BrokerError("options", why="a slot is named by a-z 0-9 _")
        if len({_place(text) for text in options.values()}) != len(options):
            raise BrokerError("options", why="two secrets cannot stand in one place")

    def flow(
        self, request: Request, credential: Credential, options: Mapping[str, str]
    ) -> Generator[Request, Response, None]:
        """Yield the request with every secret in its place."""
        self.check(options)
        for slot, text in options.items():
            request = _put(request, text, credential[slot])
        yield request

    def forms(self, credential: Credential, options: Mapping[str, str]) -> tuple[bytes, ...]:
        """None: the secrets themselves are what travels."""
        del credential, options
        return ()


def _place(text: str) -> tuple[str, str]:
    where, _, name = text.partition(":")
    if where == "cookie":
        cookie_name(name)
        return "header", "cookie"
    return check_code_place(name) if where == "totp" else place(text)


def _put(request: Request, text: str, secret: Secret) -> Request:
    where, _, name = text.partition(":")
    if where == "cookie":
        return with_header(request, "cookie", f"{name}={cookie_value(secret)}")
    if where == "totp":
        return put_code(request, name, secret)
    return put(request, text, visible(secret))
