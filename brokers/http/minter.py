"""Calls with minted tokens: the kept one, or one that is made now; and the logins that make what they are made of.

Rules of this file
- A token is asked for where the scheme's declaration says, or at the connection's own origin: see `reading.made_at`.
- A call that is refused with a token of some age (401) drops it, gets another and is made once more: 401 says that it
  was not performed. What then comes is the answer.
- Making a token has a deadline of its own, since other calls may wait for it; each call waits until its own.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError, Credential, Secret
from brokers.http.auth.device import Device, Pause
from brokers.http.auth.minting import TOKEN, Minted
from brokers.http.driver import exchange, mint
from brokers.http.line import Line
from brokers.http.tokens import Tokens
from brokers.message import Moment, Request, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from brokers.contract import Outcome, Safe
    from brokers.http.auth.minting import Mints
    from brokers.http.reading import Destination, Reading
    from brokers.http.tokens import Taken
    from brokers.http.transport import Answer, Transport
    from brokers.personal import Prompt

SECONDS = 30.0  # for making one token: an endpoint that is slower is down
MAX_ASKED = 2000  # requests of one login: its patience at the shortest interval, and some
_ASSERTED = 3700.0  # seconds that a signed assertion is looked for: Google's last an hour, GitHub's ten minutes
_UNAUTHORIZED = 401


class Minter:
    """Mutable state: the tokens."""

    def __init__(self, transport: Transport, clock: Callable[[], float], safe: Safe | None) -> None:
        self._transport = transport
        self._clock = clock
        self._safe = safe
        self._tokens = Tokens(clock)

    async def call(
        self, reading: Reading, credential: Credential, line: Line, call: Callable[[Credential], Awaitable[Outcome]]
    ) -> Outcome:
        """The outcome of `call` with a token, made at the end of `line` unless elsewhere. Raises `BrokerError`."""
        taken = await self._take(reading, credential, line)
        outcome = await call(_with(credential, taken))
        if outcome.head["status"] == _UNAUTHORIZED and not taken.fresh:
            await outcome.aclose()
            self._tokens.drop(taken)
            taken = await self._take(reading, credential, line)
            outcome = await call(_with(credential, taken))
        return outcome

    async def _take(self, reading: Reading, credential: Credential, line: Line) -> Taken:
        async def make(lent: Credential) -> Minted:
            there = self._line(reading.made_at or line.to, () if reading.made_at else line.base)
            moment = Moment(self._clock(), secrets.token_hex(16), there.to.origin.authority, there.base)
            scheme, name = cast("Mints", reading.minting), reading.connection.name

            async def send(request: Request) -> Answer:
                if request.assertion:
                    self._learn(name, Secret("assertion", request.assertion), _ASSERTED)
                return await there.send(request)

            minted = await mint(scheme.mint(lent, reading.connection.options, moment), send)
            if self._safe is not None:
                for slot, after in minted.rotated.items():
                    self._safe.replace(name, slot, lent[slot], after)
            self._learn(name, minted.token, minted.seconds)
            return minted

        try:
            async with asyncio.timeout_at(line.deadline):
                return await self._tokens.of(reading.connection, credential, make)
        except TimeoutError:
            raise BrokerError("timeout", seconds=max(1, round(line.seconds))) from None

    def _learn(self, connection: str, secret: Secret, seconds: float) -> None:
        if self._safe is not None:
            self._safe.learn(connection, secret, seconds)

    def _line(self, to: Destination, base: tuple[str, ...] = ()) -> Line:
        return Line(self._transport, to, base, asyncio.get_running_loop().time() + SECONDS, SECONDS)

    async def login(
        self,
        reading: Reading,
        credential: Credential,
        show: Callable[[Prompt], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]],
    ) -> Mapping[str, Secret]:
        """What a person's login makes, by slot. Raises `BrokerError`."""
        scheme = reading.scheme
        if not isinstance(scheme, Device) or reading.made_at is None:
            raise BrokerError("options", why="there is no login with the connection's auth scheme")
        machine = scheme.login(credential, reading.connection.options)
        return (await self._drive(machine, reading.made_at, show, pause)).rotated

    async def _drive(
        self,
        machine: Generator[Request | Prompt | Pause, Response | None, Minted],
        to: Destination,
        show: Callable[[Prompt], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]],
    ) -> Minted:
        told: Response | None = None
        try:
            for _ in range(MAX_ASKED):
                step, told = machine.send(told), None
                if isinstance(step, Request):
                    told = await exchange(step, self._line(to).send)
                elif isinstance(step, Pause):
                    await pause(step.seconds)
                else:
                    await show(step)
        except StopIteration as done:
            made: Minted = done.value
            return made
        raise BrokerError("login", why="the login does not end")

    async def aclose(self) -> None:
        """Forget every token."""
        await self._tokens.aclose()


def _with(credential: Credential, taken: Taken) -> Credential:
    return Credential({**credential.slots, TOKEN: taken.minted.token})
