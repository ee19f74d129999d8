"""What every scheme that mints tokens keeps, besides the suite of all schemes: subclasses give an endpoint's answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from brokers.conformance import AuthSchemeSuite, claim
from brokers.contract import BrokerError, Credential, Secret
from brokers.http.auth.minting import TOKEN, Minted, Mints
from brokers.message import Moment, Request, Response

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

MOMENT = Moment(now=1_800_000_000.0, nonce="0" * 32, authority="auth.test", base=())


def answered(flow: Generator[Request, Response, Minted], *answers: Response) -> tuple[list[Request], Minted]:
    """The requests of a minting that is given these answers, and what it makes."""
    asked: list[Request] = []
    try:
        asked.append(next(flow))
        for answer in answers:
            asked.append(flow.send(answer))  # noqa: PERF401 - StopIteration does not pass through a generator
    except StopIteration as done:
        return asked, done.value
    raise AssertionError("it asks for more than it was to be given")


def said(members: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(status, (("content-type", "application/json"),), json.dumps(members).encode())


class MintingSuite(AuthSchemeSuite):
    """Claims about a scheme that mints. `secrets` are what it mints with."""

    answers: ClassVar[tuple[Response, ...]] = (said({"access_token": "tok-0123456789", "expires_in": 3600}),)
    other: ClassVar[Mapping[str, bytes]] = {}  # secrets by slot that work as well, where a changed byte would not

    def minted(self, credential: Credential) -> tuple[list[Request], Minted]:
        """The requests, and the token."""
        assert isinstance(self.scheme, Mints)
        return answered(self.scheme.mint(credential, self.options, MOMENT), *self.answers)

    def first(self, credential: Credential) -> Request:
        """The call itself, with the token that was minted for it."""
        _, made = self.minted(credential)
        with_token = Credential({**credential.slots, TOKEN: made.token})
        return next(self.scheme.flow(self.request, with_token, self.options))

    def test_the_credential_travels(self) -> None:
        """Another credential makes another request for a token, or another token."""
        asked, made = self.minted(self.credential())
        for slot, value in self.secrets.items():
            changed = self.other.get(slot, value[:-1] + b"~")
            lent = Credential({**self.credential().slots, slot: Secret(slot, changed)})
            asked_then, made_then = self.minted(lent)
            differ = asked_then != asked or made_then.token.expose() != made.token.expose()
            claim(differ, f"the secret of slot {slot} is used")

    def test_no_secret_goes_where_the_token_goes(self) -> None:
        """The call carries the token and nothing of what it was made of."""
        call = self.first(self.credential())
        for value in self.secrets.values():
            claim(value.decode() not in f"{call.headers}{call.query}{call.path}", "the secret stays with the endpoint")

    def test_without_a_token_no_call_is_made(self) -> None:
        """The flow does not fall back on anything."""
        try:
            next(self.scheme.flow(self.request, self.credential(), self.options))
        except BrokerError as error:
            claim(error.code == "credential", "it is refused as a credential")
        else:
            raise AssertionError("it was not refused")
