"""What an agent waits for before anything happens: the start of `kv status`, `kv api` and `kv mcp`, process and all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import MILLISECONDS, alternate, process
from bench.stage import CONNECTION, PATH, SERVERS, Stage, a_stage, an_origin
from bench.table import Goal, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.measure import Scale

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}


def rows(scale: Scale) -> Iterator[Row]:
    """Hot verbs beside an empty Python program, the MCP server beside one of the SDK's."""
    with an_origin() as origin, a_stage(origin) as stage:
        for name, words in (("kv status", ["status"]), ("kv api, a call made", ["api", CONNECTION, "GET", PATH])):
            mine, other = alternate(
                lambda words=words: _ran(stage, [*kv(), *words]),  # type: ignore[misc]
                lambda: _ran(stage, [sys.executable, "-c", "pass"]),
                scale.of(20, 8),
            )
            yield Row(f"{name}: whole process", "ms", mine, "python -c pass", other, Goal(3))
        mine, other = alternate(
            lambda: _first_reply(stage, [*kv(), "mcp"]),
            lambda: _first_reply(stage, [sys.executable, "-P", str(SERVERS / "mcp_one_tool.py")]),
            scale.of(5, 2),
        )
        yield Row("kv mcp to its first reply", "ms", mine, "SDK stdio server, one tool", other, Goal(1.2))


def kv() -> list[str]:
    """The installed command, or its module where kv runs from its source."""
    script = Path(sys.executable).with_name("kv")
    return [str(script)] if script.exists() else [sys.executable, "-m", "kv"]


def _ran(stage: Stage, argv: Sequence[str]) -> float:
    return process(argv, stage.world.environment, stage.world.folder)


def _first_reply(stage: Stage, argv: Sequence[str]) -> float:
    start = time.perf_counter()
    with subprocess.Popen(
        argv,
        env=stage.world.environment,
        cwd=stage.world.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        if server.stdin is None or server.stdout is None:
            raise RuntimeError("no pipe")
        server.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
        server.stdin.flush()
        reply = json.loads(server.stdout.readline())
        took = (time.perf_counter() - start) * MILLISECONDS
        server.kill()
    if "result" not in reply:
        raise RuntimeError(f"no reply to initialize: {reply}")
    return took
