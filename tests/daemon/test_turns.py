"""Turns: one session leaves room for another, whoever waits waits no longer than the call may take."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from brokers.contract import Connection, Effect, Limits, Plan
from kv.daemon.turns import Turns
from kv.errors import KvError

if TYPE_CHECKING:
    from brokers.contract import Broker


def broker(places: int = 8, in_all: int = 12) -> Broker:
    """A broker with so many places."""
    return cast("Broker", SimpleNamespace(kind="postgres", places=places, places_in_all=in_all))


def plan(name: str = "shop", seconds: float = 0.05) -> Plan:
    """A call of so many seconds."""
    return Plan(Connection(name, "postgres", {}, "password"), Effect.READ, "", "", {}, limits=Limits(seconds))


def test_a_session_gets_three_quarters_of_a_connection() -> None:
    """Six of eight; the seventh is told that its time is over, another session's first is not."""

    async def story() -> None:
        turns = Turns()
        held = [await turns.take("one", broker(), plan()) for _ in range(6)]
        with pytest.raises(KvError) as caught:
            await turns.take("one", broker(), plan())
        assert caught.value.code == "upstream-timeout"
        (await turns.take("two", broker(), plan())).close()
        held.pop().close()
        held.append(await turns.take("one", broker(), plan()))
        for turn in held:
            turn.close()

    asyncio.run(story())


def test_a_session_gets_three_quarters_of_all() -> None:
    """Nine of twelve, on however many connections."""

    async def story() -> None:
        turns = Turns()
        held = [await turns.take("one", broker(), plan(name)) for name in "ab" for _ in range(4)]
        held.append(await turns.take("one", broker(), plan("c")))
        with pytest.raises(KvError):
            await turns.take("one", broker(), plan("c"))
        await turns.take("two", broker(), plan("c"))

    asyncio.run(story())


def test_who_waits_gets_the_next_turn_and_nothing_is_left() -> None:
    """A call that is given up while it waits takes no turn with it; at the end nothing is remembered of anybody."""

    async def story() -> None:
        turns = Turns()
        held = [await turns.take("one", broker(), plan()) for _ in range(6)]
        lost, next_one = (asyncio.create_task(turns.take("one", broker(), plan(seconds=30))) for _ in range(2))
        await asyncio.sleep(0)
        lost.cancel()
        held.pop().close()
        held.append(await next_one)
        for turn in held:
            turn.close()
            turn.close()  # twice is once
        assert not turns._rows

    asyncio.run(story())
