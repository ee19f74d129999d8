"""A body of 100 MiB through the keeper, scanned for a thousand secrets on its way into a file."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import httpx2
from bench.measure import Growth, alternate, seconds
from bench.stage import CALL, CONNECTION, PATH, Origin, Stage, a_stage, an_origin
from bench.table import Goal, Row

from kv.redact import LOOKAHEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

_MIB = 1 << 20
_SECRETS = 1000
_GROWTH = 8  # MiB beyond the tail; a saved body has no cap


def rows(scale: Scale) -> Iterator[Row]:
    """How much the keeper grows, and how long it takes beside a client that scans nothing."""
    size = scale.of(100, 20)
    grown: list[float] = []
    with an_origin() as origin, a_stage(origin, secrets=_SECRETS) as stage:
        pid = stage.pid
        stage.world.must("api", CONNECTION, "GET", PATH)  # imports the broker and waits for the needles

        def ours() -> float:
            with Growth(pid) as growth:
                took = seconds(lambda: _save(stage, size * _MIB))
            grown.append(growth.mib)
            return size / took

        mine, other = alternate(ours, lambda: size / seconds(lambda: _read(origin, size * _MIB)), 1)
    goal = Goal(round(_GROWTH + LOOKAHEAD / _MIB, 2))
    yield Row(f"keeper's growth, {size} MiB, {_SECRETS:,} secrets, --save", "MiB", grown, goal=goal)
    yield Row("  rate of that", "MiB/s", mine, "httpx2, nothing scanned", other)


def _save(stage: Stage, size: int) -> None:
    descriptor = os.open(stage.world.folder, os.O_RDONLY | os.O_DIRECTORY)
    saved = stage.world.folder / "saved"
    try:
        with stage.client() as client:
            args = {**CALL, "path": f"/bytes/{size}", "save": saved.name, "timeout": 120.0}
            client.ask("call", args, folder=descriptor)
        if saved.stat().st_size < size:
            raise RuntimeError("the body was cut")
    finally:
        os.close(descriptor)
        saved.unlink(missing_ok=True)


def _read(origin: Origin, size: int) -> None:
    context = ssl.create_default_context(cafile=str(origin.ca))
    headers = {"authorization": "Bearer kvb"}
    with httpx2.stream("GET", f"{origin.url}/bytes/{size}", headers=headers, verify=context) as response:
        if sum(map(len, response.iter_raw())) != size:
            raise RuntimeError("the body was cut")
