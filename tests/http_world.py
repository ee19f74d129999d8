"""What the HTTP tests share: a broker with the real schemes, connections to an `Upstream`, and a call in one line."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from brokers.contract import AuthScheme, BrokerError, Connection, Credential, Secret
from brokers.http import catalogue
from brokers.http.broker import HttpBroker
from brokers.http.target import connection_target
from kv.registry import AUTH, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from upstream import Upstream

KEY = b"sk_live_0123456789abcdef"


def scheme(name: str) -> AuthScheme:
    """The auth scheme of that name."""
    return cast("AuthScheme", load(AUTH, name)())


async def no_dns(host: str, port: int) -> Sequence[str]:
    """A resolver that must not be asked."""
    raise AssertionError(f"DNS was asked for {host}:{port}")


def broker(resolver: Callable[[str, int], Awaitable[Sequence[str]]] = no_dns) -> HttpBroker:
    """A broker with every scheme and pack there is."""
    return HttpBroker(scheme, catalogue.load, resolver)


def connection(  # noqa: PLR0913 - a connection has this many sides
    origin: str = "https://api.test",
    *,
    pins: Sequence[str] = ("127.0.0.1",),
    ca: str = "",
    auth: str = "bearer",
    options: Mapping[str, str] | None = None,
    name: str = "echo",
    base_path: str = "",
    provider: str = "",
    slots: Sequence[str] = ("secret",),
    encoded_slash: bool = False,
) -> Connection:
    """A connection, https unless the origin says http."""
    target = connection_target(
        origin,
        addresses=pins,
        ca=ca,
        base_path=base_path,
        insecure_loopback=origin.startswith("http:"),
        encoded_slash=encoded_slash,
    )
    return Connection(name, "http", target, auth, options or {}, {slot: f"K/{slot}" for slot in slots}, provider)


def to(up: Upstream, **more: object) -> Connection:
    """A connection to `up`."""
    return connection(up.origin, ca=up.ca_pem if up.tls else "", **more)  # type: ignore[arg-type]


def lent(key: bytes = KEY, slots: Sequence[str] = ("secret",)) -> Credential:
    """The key as it is lent, in each slot."""
    return Credential({slot: Secret(slot, key) for slot in slots})


@dataclass(frozen=True)
class Done:
    """A call that is over."""

    status: int
    reason: str
    headers: list[list[str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first value of header `name`."""
        return next(value for given, value in self.headers if given == name)


async def call(
    through: HttpBroker,
    conn: Connection,
    path: str = "/v1/x",
    *,
    key: bytes = KEY,
    body: bytes = b"",
    **arguments: object,
) -> Done:
    """Plan and perform one call, reading its whole body."""
    plan = through.plan(conn, {"path": path, **arguments}, body)
    outcome = await through.perform(plan, lent(key, tuple(conn.secrets)))
    try:
        whole = b"".join([chunk async for chunk in outcome.body])
    finally:
        await outcome.aclose()
    head = outcome.head
    return Done(
        cast("int", head["status"]), cast("str", head["reason"]), cast("list[list[str]]", head["headers"]), whole
    )


def calls(conn: Connection, *paths: str, through: HttpBroker | None = None, **arguments: object) -> list[Done]:
    """The calls to `paths`, one after the other through one broker, which is closed in the end."""

    async def run() -> list[Done]:
        async with opened(through) as used:
            return [await call(used, conn, path, **arguments) for path in paths]  # type: ignore[arg-type]

    return asyncio.run(run())


@asynccontextmanager
async def opened(through: HttpBroker | None = None) -> AsyncIterator[HttpBroker]:
    """A broker, closed at the end."""
    used = through or broker()
    try:
        yield used
    finally:
        await used.aclose()


def refused(act: Callable[[], object], code: str, **fields: str | int) -> BrokerError:
    """The `BrokerError` of `act`, which must have `code` and at least these fields."""
    with pytest.raises(BrokerError) as caught:
        act()
    assert caught.value.code == code, (caught.value.code, caught.value.fields)
    assert fields.items() <= caught.value.fields.items(), caught.value.fields
    return caught.value
