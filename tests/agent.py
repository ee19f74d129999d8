"""An AI agent's side of the stories: a client of the official SDK on a `kv mcp` of its own.

Rules of this file
- One `agent` is one connection, one process of kv and so one session; two of them are strangers to each other.
- What the model reads and what a client would log (the server's stderr) are channels: `World.seen` has both.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from world import World

SERVE = ("-m", "kv", "mcp")
# The same server with less patience, so that a story need not sit out the 40 s after which a held call gives a ticket.
IMPATIENT = ("-c", "import kv.mcp as m; m._WAIT_SECONDS = 0.2; raise SystemExit(m.main())")


@dataclass(frozen=True)
class Told:
    """What the model reads of one tool call."""

    text: str
    failed: bool

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the tool says
        """The answer of a call that did not fail."""
        assert not self.failed, self.text
        return json.loads(self.text)

    @property
    def error(self) -> str:
        """The text of a call that failed."""
        assert self.failed, self.text
        return self.text


@dataclass(frozen=True)
class Agent:
    """One connection. `client` is the SDK's."""

    world: World
    client: Client

    async def call(self, tool: str, **arguments: object) -> Told:
        """One tool call; everything in the result is seen, what the model is not shown included."""
        result = await self.client.call_tool(tool, arguments)
        self.world.seen.append(result.model_dump_json())
        told = Told("".join(getattr(part, "text", "") for part in result.content), bool(result.is_error))
        self.world.seen.append(told.text)
        return told

    async def api(self, path: str, **arguments: object) -> Told:
        """A call through the connection `echo`."""
        return await self.call("kv_api", **{"provider": "echo", "path": path, **arguments})


@contextlib.asynccontextmanager
async def agent(world: World, mode: str = "auto", serve: tuple[str, ...] = SERVE) -> AsyncIterator[Agent]:
    """A connection in the protocol era `mode`: "legacy", "2026-07-28", or the SDK's own choice."""
    server = StdioServerParameters(
        command=sys.executable, args=list(serve), env=world.environment, cwd=str(world.folder)
    )
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        try:
            async with Client(stdio_client(server, errlog=log), mode=mode) as client:
                yield Agent(world, client)
        finally:
            log.seek(0)
            world.seen.append(log.read())


def play(
    world: World,
    story: Callable[[Agent], Coroutine[Any, Any, None]],
    mode: str = "auto",
    serve: tuple[str, ...] = SERVE,
) -> None:
    """One agent's story."""

    async def alone() -> None:
        async with agent(world, mode, serve) as one:
            end = await _ended(story(one))
        end()

    asyncio.run(alone())


def play_two(world: World, story: Callable[[Agent, Agent], Coroutine[Any, Any, None]]) -> None:
    """A story of two agents, each on a connection of its own, started by the same program in the same folder."""

    async def both() -> None:
        async with agent(world, serve=IMPATIENT) as one, agent(world, serve=IMPATIENT) as other:
            end = await _ended(story(one, other))
        end()

    asyncio.run(both())


async def _ended(story: Coroutine[Any, Any, None]) -> Callable[[], None]:
    """How a story ended, to be called outside of the SDK, which would bury a failed assertion in groups."""
    task = asyncio.ensure_future(story)
    await asyncio.wait([task])
    return task.result
