"""`kv_api` through the socket, kept alive, audited and redacted, beside a client that holds the key itself."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpx2
from bench.measure import alternate, p50
from bench.stage import CALL, PATH, Origin, Stage, a_stage, an_origin
from bench.swarm import CLIENTS, Frames, call_frame, throughput
from bench.table import Goal, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

_BATCH = 50  # calls a sample


def rows(scale: Scale) -> Iterator[Row]:
    """One call after the other, then 64 at once."""
    with an_origin() as origin, a_stage(origin) as stage:
        yield _one_by_one(origin, stage, scale)
        yield _at_once(origin, stage, scale)


def _direct(origin: Origin) -> dict[str, Any]:
    """How a program with the key would make its client."""
    context = ssl.create_default_context(cafile=str(origin.ca))
    # The pool may keep a connection for each call at once: its default of 20 would make it dial anew all the time.
    limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    return {"base_url": origin.url, "verify": context, "headers": {"authorization": "Bearer kvb"}, "limits": limits}


def _one_by_one(origin: Origin, stage: Stage, scale: Scale) -> Row:
    with stage.client() as client, httpx2.Client(**_direct(origin)) as direct:

        def ours() -> object:
            return json.loads(client.ask("call", CALL).body)

        def theirs() -> object:
            return direct.get(PATH).raise_for_status().json()

        if ours() != theirs():
            raise RuntimeError("the two clients were told different things")
        mine, other = alternate(lambda: p50(ours, _BATCH), lambda: p50(theirs, _BATCH), scale.of(20, 8))
    return Row("kv_api, kept alive, audited, redacted: p50", "µs", mine, "httpx2 with the key", other, Goal(1.5))


def _at_once(origin: Origin, stage: Stage, scale: Scale) -> Row:
    each = scale.of(8, 4)
    frame = call_frame("call", CALL)
    with asyncio.Runner() as runner:
        direct = httpx2.AsyncClient(**_direct(origin))

        def ours() -> float:
            return runner.run(throughput(stage.socket, Frames, frame, each))

        def theirs() -> float:
            return runner.run(_throughput(direct, each))

        mine, other = alternate(ours, theirs, scale.of(9, 4))
        runner.run(direct.aclose())
    return Row("64 kv_api calls at once", "calls/s", mine, "httpx2.AsyncClient", other, Goal(4, at_least=True))


async def _throughput(direct: httpx2.AsyncClient, each: int) -> float:
    async def caller() -> None:
        for _ in range(each):
            (await direct.get(PATH)).raise_for_status().json()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CLIENTS)))
    return CLIENTS * each / (time.perf_counter() - start)
