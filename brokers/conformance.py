"""What every broker and every auth scheme keeps, as tests that a subclass inherits.

    class TestBearer(AuthSchemeSuite):
        scheme = Bearer()
        secrets = {"secret": b"tok_0123456789"}

Rules of this file
- Standard library only: the suites ship with the contract, and pytest finds them by the names of their methods.
- A claim that fails raises `AssertionError` with the claim; none can be switched off.
- The suites say what holds for all. What one broker or scheme does beyond that, its own tests say.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, ClassVar

from brokers.contract import BROKER_ERRORS, BrokerError, Credential, Effect, Outcome, Plan, Secret
from brokers.message import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from brokers.contract import AuthScheme, Broker, Connection

    World = tuple[Connection, Credential]

REFERENCE = "{{kv:prod/KEY}}"


def claim(holds: object, text: str) -> None:
    """Raise `AssertionError(text)` unless `holds`."""
    if not holds:
        raise AssertionError(text)


def refusal(act: Callable[..., object], *given: object) -> BrokerError:
    """The `BrokerError` that `act(*given)` raises; anything else, or nothing, is an `AssertionError`."""
    try:
        act(*given)
    except BrokerError as error:
        claim(error.code in BROKER_ERRORS, "a code from the closed list")
        claim(error.__cause__ is None, "no cause: a driver's text would come along")
        return error
    raise AssertionError("it was not refused")


class AuthSchemeSuite:
    """Claims about a scheme. A subclass gives `scheme`, and a case that works: `options` and `secrets` by slot."""

    scheme: AuthScheme
    options: ClassVar[Mapping[str, str]] = {}
    secrets: ClassVar[Mapping[str, bytes]] = {}
    bad_options: ClassVar[Sequence[Mapping[str, str]]] = ({"no_such_option": "x"},)
    request = Request("POST", "/v1/things", (("limit", "3"),), (("accept", "*/*"),), b'{"a":1}')

    def credential(self) -> Credential:
        """The case's secrets as they are lent."""
        return Credential({slot: Secret(slot, value) for slot, value in self.secrets.items()})

    def first(self, credential: Credential) -> Request:
        """The first request of the flow."""
        return next(self.scheme.flow(self.request, credential, self.options))

    def test_good_options_pass_the_check(self) -> None:
        """The options of the working case are complete."""
        self.scheme.check(self.options)

    def test_bad_options_are_refused_as_options(self) -> None:
        """A malformed declaration is found when it is made, not when it is used."""
        for bad in self.bad_options:
            error = refusal(self.scheme.check, bad)
            claim(error.code == "options", f"{dict(bad)} is refused as options")

    def test_it_is_written_as_it_says(self) -> None:
        """What a person writes behind the name is read into the very options that it was written from."""
        name, mark, behind = self.scheme.spelling.partition(":")
        claim(name.partition("[")[0] == self.scheme.name, "the spelling begins with the name")
        written = self.scheme.spell(self.options)
        claim(self.scheme.parse(written) == dict(self.options), "the options are read back")
        claim(bool(mark and behind) or not written, "a colon announces what stands behind it")
        if mark and not name.endswith("["):
            claim(refusal(self.scheme.parse, "").code == "options", "what has to be said is asked for")

    def test_it_says_whether_it_reads_answers(self) -> None:
        """The broker shows answers to the schemes that say so, and to no other."""
        claim(type(self.scheme.reads_answers) is bool, "it is said")

    def test_the_flow_is_pure(self) -> None:
        """Equal inputs yield equal requests, and the request given stays as it was."""
        before = dataclasses.replace(self.request)
        claim(self.first(self.credential()) == self.first(self.credential()), "equal requests")
        claim(self.request == before, "the given request is unchanged")

    def test_method_body_and_what_the_agent_gave_are_kept(self) -> None:
        """A scheme adds; it never changes what was approved."""
        made = self.first(self.credential())
        claim((made.method, made.body) == (self.request.method, self.request.body), "method and body are kept")
        claim(made.path.endswith(self.request.path), "the path is kept beneath what is added")
        claim(made.query[: len(self.request.query)] == self.request.query, "the query is kept")
        claim(made.headers[: len(self.request.headers)] == self.request.headers, "the headers are kept")

    def test_the_credential_travels(self) -> None:
        """Another credential makes another request: no secret is declared and then forgotten."""
        whole = self.first(self.credential())
        for slot, value in self.secrets.items():
            other = {**self.secrets, slot: value[:-1] + (b"A" if value[-1:] != b"A" else b"B")}
            made = self.first(Credential({name: Secret(name, held) for name, held in other.items()}))
            claim(made != whole, f"the secret of slot {slot} is in the request")

    def test_every_form_it_sends_is_a_needle(self) -> None:
        """Each declared form holds a secret, or is a part of one: `forms` tells the redactor what else to look for."""
        for form in self.scheme.forms(self.credential(), self.options):
            claim(any(value in form or form in value for value in self.secrets.values()), "a form is made of a secret")

    def test_a_missing_secret_is_refused(self) -> None:
        """Without a secret no request goes out."""
        for slot in self.secrets:
            rest = {name: Secret(name, value) for name, value in self.secrets.items() if name != slot}
            error = refusal(self.first, Credential(rest))
            claim(error.code == "credential", "it is refused as a credential")

    def test_a_value_that_would_break_out_is_refused(self) -> None:
        """A value with a line end or NUL in it never gets into a request, and never into the error either."""
        for bad in (b"line\r\nx-evil: 1", b"nul\x00inside", b"tok4711\n", b"\xff\xfe"):
            for slot in self.secrets:
                held = {name: Secret(name, bad if name == slot else value) for name, value in self.secrets.items()}
                error = refusal(self.first, Credential(held))
                claim(error.code == "credential", "it is refused as a credential")
                claim(bad.decode("latin-1").strip() not in f"{error} {error.fields}", "the error does not quote it")


class BrokerSuite:
    """Claims about a broker. A subclass gives `broker`, a harmless call's `arguments`, and the worlds it runs in."""

    arguments: ClassVar[Mapping[str, object]] = {}
    refused: ClassVar[Sequence[Mapping[str, object]]] = ({"no such argument": 1},)

    def broker(self) -> Broker:
        """A new broker."""
        raise NotImplementedError

    def reachable(self) -> AbstractContextManager[World]:
        """A connection whose other side answers, and its credential, for as long as the context lasts."""
        raise NotImplementedError

    def unreachable(self) -> World:
        """A connection where nobody listens."""
        raise NotImplementedError

    def with_text(self, text: str) -> Sequence[Mapping[str, object]]:
        """`arguments` with `text` in each place where an agent may write: one variant a place."""
        raise NotImplementedError

    def plan(self, connection: Connection, arguments: Mapping[str, object] | None = None) -> Plan:
        """The plan of the harmless call, or of another."""
        return self.broker().plan(connection, self.arguments if arguments is None else arguments)

    def test_a_plan_is_pure_and_canonical(self) -> None:
        """Equal calls have equal plans on every broker of the kind: what was approved can be told by its digest."""
        connection, _ = self.unreachable()
        one, two = self.plan(connection), self.plan(connection)
        claim(one == two and one.digest() == two.digest(), "equal plans")
        claim(json.loads(one.canonical()) and b"\n" not in one.canonical(), "one JSON line")
        claim(isinstance(one.effect, Effect) and one.because, "an effect, and the reason for it")

    def test_a_changed_connection_is_a_changed_plan(self) -> None:
        """An approval does not survive a change of what was approved."""
        connection, _ = self.unreachable()
        other = dataclasses.replace(connection, name=f"{connection.name}2")
        claim(self.plan(connection).digest() != self.plan(other).digest(), "another digest")

    def test_a_plan_can_be_shown(self) -> None:
        """A card's title is one line, and its details are pairs of text."""
        plan = self.plan(self.unreachable()[0])
        claim(plan.title and plan.title.isprintable(), "a printable line")
        claim(all(isinstance(part, str) for line in plan.details for part in line), "text")

    def test_bad_arguments_are_refused(self) -> None:
        """What the broker does not know, or knows to be wrong, is refused, not ignored."""
        connection, _ = self.unreachable()
        for bad in self.refused:
            error = refusal(self.plan, connection, {**self.arguments, **bad})
            claim(error.code == "argument", f"{dict(bad)} is refused as an argument")

    def test_references_are_refused_everywhere(self) -> None:
        """An agent cannot say where a secret goes."""
        connection, _ = self.unreachable()
        for arguments in self.with_text(REFERENCE):
            error = refusal(self.plan, connection, arguments)
            claim(error.code == "argument", f"{dict(arguments)} is refused as an argument")

    def test_a_call_is_performed(self) -> None:
        """The harmless call succeeds, its head is JSON, its body is bytes, and the broker works a second time."""
        with self.reachable() as (connection, credential):
            for head, body in asyncio.run(self._perform(connection, credential, times=2)):
                claim(json.dumps(head), "a JSON head")
                claim(isinstance(body, bytes), "bytes")

    async def _perform(
        self, connection: Connection, credential: Credential, times: int
    ) -> list[tuple[dict[str, object], bytes]]:
        broker = self.broker()
        done = []
        try:
            for _ in range(times):
                outcome = await broker.perform(broker.plan(connection, self.arguments), credential)
                try:
                    done.append((outcome.head, await _whole(outcome)))
                finally:
                    await outcome.aclose()
        finally:
            await broker.aclose()
        return done

    def test_a_body_may_be_left_unread(self) -> None:
        """An outcome that is closed early costs the broker nothing: the next call works."""
        with self.reachable() as (connection, credential):
            asyncio.run(self._leave(connection, credential))

    async def _leave(self, connection: Connection, credential: Credential) -> None:
        broker = self.broker()
        plan = broker.plan(connection, self.arguments)
        await (await broker.perform(plan, credential)).aclose()
        outcome = await broker.perform(plan, credential)
        await _whole(outcome)
        await outcome.aclose()
        await broker.aclose()

    def test_a_failure_says_nothing_of_what_was_sent(self) -> None:
        """Where nobody listens, the error has a code of the list and no word of the credential."""
        connection, credential = self.unreachable()
        error = refusal(lambda: asyncio.run(self._perform(connection, credential, times=1)))
        said = f"{error!r} {error} {error.fields}"
        for secret in credential.slots.values():
            claim(secret.expose().decode("latin-1") not in said, "the error does not hold the secret")


async def _whole(outcome: Outcome) -> bytes:
    return b"".join([chunk async for chunk in outcome.body])
