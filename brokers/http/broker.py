"""The HTTP broker: a pure `plan`, and a `perform` that does what was planned and nothing else.

Rules of this file
- `plan` knows no secret and asks nobody. Two URL parsers must read the planned URL alike, or there is no plan.
- The credential is added by the connection's auth scheme after approval, in the request that goes out, and
  stands in no plan, log or error.
- Redirects are answers: their status and `location` go back (redacted), and a next call is judged by itself.
- No cookie is kept, no environment variable read, no proxy used, no protocol but HTTP/1.1 spoken.
- A token that a scheme mints is asked for at the declared place, and stands in every outcome of a call that had it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from httpx2 import URL, InvalidURL

from brokers.arguments import refuse
from brokers.contract import BrokerError, Plan
from brokers.http import actions, capture, card, classify, pattern, target
from brokers.http.arguments import Without, decode
from brokers.http.auth import SLASH, check_added
from brokers.http.auth.device import Device
from brokers.http.auth.mtls import CERTIFICATE
from brokers.http.auth.sigv4 import OWN
from brokers.http.driver import drive
from brokers.http.identity import Identities
from brokers.http.line import Line
from brokers.http.minter import Minter
from brokers.http.reading import Readings
from brokers.http.transport import MAX_LANES, MAX_STREAMS, Transport
from brokers.message import Moment, Request
from brokers.resolver import system_resolver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from brokers.contract import AuthScheme, Connection, Credential, Outcome, Safe, Secret
    from brokers.http.arguments import Draft
    from brokers.http.catalogue import Pack
    from brokers.http.reading import Reading
    from brokers.http.target import Origin, Pair
    from brokers.http.transport import Answer
    from brokers.personal import Prompt
    from brokers.resolver import Resolver


_SIGNED = {"sigv4": Without(OWN | {"authorization"}, OWN)}


class HttpBroker:
    """Calls over HTTP. `schemes` and `catalogue` are lookups by name, so that new ones need no change here.

    `resolver` is asked for names without pins, `clock` for the time; the system's unless a test brings its own. `safe`
    is told what flows got.
    """

    kind = "http"
    wants: tuple[str, ...] = ("schemes", "catalogue", "safe")
    quick = 64 << 10
    places, places_in_all = MAX_STREAMS, MAX_STREAMS * MAX_LANES

    def __init__(
        self,
        schemes: Callable[[str], AuthScheme],
        catalogue: Callable[[str], Pack | None],
        resolver: Resolver = system_resolver,
        clock: Callable[[], float] = time.time,
        safe: Safe | None = None,
    ) -> None:
        self._schemes = schemes
        self._readings = Readings(schemes, catalogue)
        self._transport = Transport(resolver)
        self._identities = Identities()
        self._minter = Minter(self._transport, clock, safe)
        self._clock = clock

    def plan(self, connection: Connection, arguments: Mapping[str, object], body: bytes = b"") -> Plan:
        """The canonical plan of a call. Raises `BrokerError`: `argument`, `options`, `address`, `credential`."""
        slash = connection.target.get("encoded_slash") is True
        draft = decode(arguments, body, encoded_slash=slash, without=_SIGNED.get(connection.scheme, Without()))
        reading = self._readings.of(connection)
        to, base, headers = reading.to, reading.base, _headers(draft, reading)
        path, query = target.join_path((*base, *draft.segments)), target.join_query(draft.query)
        target.check_size(path, query)
        agree(to.origin, path, query)
        _probe(reading, draft, headers)
        effect, because = classify.classify(
            reading.pack, draft.method, draft.segments, draft.query, dict(headers), draft.body
        )
        effect, because = actions.classify(connection, draft, dict(headers), (effect, because))
        captures = capture.of(draft, connection, reading.pack, actions.operation(connection, draft, dict(headers)))
        effect, because = capture.at_least(effect, because, captures)
        return Plan(
            connection=connection,
            effect=effect,
            because=because,
            title=f"{draft.method} {to.origin}{path}",
            request={
                "method": draft.method,
                "path": path,
                "alike": pattern.alike((*base, *draft.segments)),
                "base": base,
                "segments": draft.segments,
                "query": draft.query,
                "headers": headers,
                **({"capture": captures} if captures else {}),
            },
            body=draft.body,
            details=card.details(draft, captures),
            limits=draft.limits,
        )

    def preview(self, plan: Plan) -> Plan | None:
        """None: HTTP has no way to ask what a request would do."""
        del plan
        return None

    async def perform(self, plan: Plan, credential: Credential) -> Outcome:
        """Send what was planned, with the credential. The body of the outcome is decoded and not yet redacted."""
        connection, given = plan.connection, plan.request
        reading = self._readings.of(connection)
        to = self._identities.of(reading.to, credential) if CERTIFICATE in credential.slots else reading.to
        base, seconds = _texts(given["base"]), plan.limits.timeout
        line = Line(self._transport, to, base, asyncio.get_running_loop().time() + seconds, seconds)
        moment = Moment(self._clock(), secrets.token_hex(16), to.origin.authority, base)
        pairs = _pairs(given["query"]), _pairs(given["headers"])
        request = replace(_request(str(given["method"]), _texts(given["segments"]), *pairs, plan.body), moment=moment)

        async def send(step: Request) -> Answer:
            check_added(request, step)
            return await line.send(step)

        def call(lent: Credential) -> Awaitable[Outcome]:
            return drive(reading.scheme, reading.scheme.flow(request, lent, connection.options), send)

        if reading.minting is None:
            return await call(credential)
        return await self._minter.call(reading, credential, line, call)

    def takes_login(self, connection: Connection) -> bool:
        """Whether the connection's scheme has a login."""
        return isinstance(self._schemes(connection.scheme), Device)

    async def login(
        self,
        connection: Connection,
        credential: Credential,
        show: Callable[[Prompt], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Mapping[str, Secret]:
        """A person's login where the connection's scheme has one: what from then on is the secret of its slots.

        Raises `BrokerError`.
        """
        return await self._minter.login(self._readings.of(connection), credential, show, pause)

    async def aclose(self) -> None:
        """Close every idle connection, and forget tokens and certificates."""
        await self._minter.aclose()
        self._identities.clear()
        await self._transport.aclose()


def _headers(draft: Draft, reading: Reading) -> tuple[Pair, ...]:
    """The agent's headers over the pack's fixed ones (a version, say), which stand where the agent gave none."""
    return tuple(sorted({**reading.headers, **dict(draft.headers)}.items()))


def _probe(reading: Reading, draft: Draft, headers: tuple[Pair, ...]) -> None:
    """Refuse a header or parameter of the agent's where the scheme will put the credential, before any approval.

    The scheme runs with a value that stands for no secret. One that cannot work with it (it wants a key file,
    say) is checked at `perform` alone, where the same look is taken at the real request.
    """
    given = _request(draft.method, draft.segments, draft.query, headers, draft.body)
    try:
        check_added(given, next(reading.scheme.flow(given, reading.probe, reading.connection.options)))
    except BrokerError as error:
        if error.code != "credential":
            raise


@lru_cache(maxsize=64)  # asked of the same few addresses again and again, and it takes a fifth of a plan
def agree(origin: Origin, path: str, query: str) -> None:
    """Refuse a URL that two parsers read differently: one of them would be right about where it goes."""
    url = f"{origin}{path}?{query}" if query else f"{origin}{path}"
    try:
        other = URL(url)
        read, _, asked = other.raw_path.decode("ascii").partition("?")
        port = other.port or target.DEFAULT_PORTS[other.scheme]
        second = (other.scheme, other.raw_host.decode("ascii"), port, read, asked)
        planned = (origin.scheme, origin.host, origin.port, path, query)
        if other.userinfo or other.fragment or not planned == second == target.parts_by_stdlib(url):
            refuse("path", "two URL parsers disagree on it")
    except (InvalidURL, ValueError, KeyError):
        refuse("path", "two URL parsers disagree on it")


def _request(
    method: str, segments: Sequence[str], query: tuple[Pair, ...], headers: tuple[Pair, ...], body: bytes
) -> Request:
    # Joining the segments loses nothing: a slash in one is written `%2F`, which none holds (it would be doubly
    # encoded). The base path is put before it after the flow.
    path = "/".join(segment.replace("/", SLASH) for segment in segments)
    return Request(method, f"/{path}", query, headers, body)


def _texts(given: object) -> tuple[str, ...]:
    return tuple(map(str, cast("Sequence[object]", given)))


def _pairs(given: object) -> tuple[Pair, ...]:
    return tuple((name, value) for name, value in cast("Sequence[Pair]", given))
