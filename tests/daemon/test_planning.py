"""Where plans are made: what costs a parser long is judged beside the loop."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from brokers.contract import Connection, Effect, Plan
from kv.daemon.planning import Planner

if TYPE_CHECKING:
    from collections.abc import Mapping

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
