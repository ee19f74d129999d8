"""Where plans are made: what costs a parser long is judged beside the loop."""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from brokers.contract import Connection, Effect, Plan
from kv.daemon.planning import Planner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

    from brokers.contract import Broker

SHOP = Connection("shop", "postgres", {}, "password")


def test_only_what_is_quickly_planned_is_planned_on_the_loop() -> None:
    """A broker says how many bytes that are: of SQL a few hundred, of HTTP many."""
    threads: list[bool] = []

    def plan(connection: Connection, arguments: Mapping[str, object], body: bytes) -> Plan:
        del body
        threads.append(threading.current_thread() is threading.main_thread())
        return Plan(connection, Effect.READ, "", "", dict(arguments))

    broker = cast("Broker", SimpleNamespace(plan=plan, quick=512))

    async def story() -> None:
        for size in (100, 1000):
            await Planner().plan(broker, SHOP, {"sql": "x" * size}, b"", "shop")

    asyncio.run(story())
    assert threads == [True, False]


def test_a_plan_is_kept_for_the_very_connection_and_arguments() -> None:
    """What is asked again is not planned again; what differs in a type, or of a changed connection, is."""
    made: list[Plan] = []

    def plan(connection: Connection, arguments: Mapping[str, object], body: bytes) -> Plan:
        made.append(Plan(connection, Effect.READ, "", "", dict(arguments), body))
        return made[-1]

    broker = cast("Broker", SimpleNamespace(plan=plan, quick=512))
    changed = replace(SHOP, target={"functions": ["f"]})

    async def story() -> None:
        planner = Planner()

        async def asked(connection: Connection, params: Sequence[object], body: bytes = b"") -> tuple[Plan, str]:
            return await planner.plan(broker, connection, {"params": params}, body, "shop")

        first = await asked(SHOP, [1])
        assert await asked(SHOP, [1]) is first
        others = [await asked(SHOP, [1], b"x")] + [await asked(SHOP, params) for params in ([True], [1.0], ["1"])]
        others += [await asked(SHOP, params) for params in ([None], [math.inf], [], [1, 1])]
        assert [plan for plan, _ in others] == made[1:]
        again, digest = await asked(changed, [1])
        assert again.connection is changed
        assert digest != first[1]
        assert (await asked(SHOP, [1]))[0].connection is SHOP

    asyncio.run(story())


def test_so_many_plans_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was asked for longest ago is forgotten."""
    monkeypatch.setattr("kv.daemon.planning._KEPT", 2)
    made: list[object] = []

    def plan(connection: Connection, arguments: Mapping[str, object], body: bytes) -> Plan:
        made.append(arguments["sql"])
        return Plan(connection, Effect.READ, "", "", dict(arguments), body)

    async def story() -> None:
        planner, broker = Planner(), cast("Broker", SimpleNamespace(plan=plan, quick=512))
        for sql in "abacab":
            await planner.plan(broker, SHOP, {"sql": sql}, b"", "shop")

    asyncio.run(story())
    assert made == [*"abcb"]
