"""Blocking work beside the loop: a thread for each piece of it, and its result back on the loop.

Rules of this file
- Threads are daemons and are never waited for at the program's end: each one waits for a socket, and whoever has a
  deadline cuts that socket.
- asyncio's shared pool is not used: a handful of servers that answer slowly would fill it for everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def spawn(act: Callable[[], object]) -> None:
    """Do `act` beside everything; it takes care of its own failures."""
    Thread(target=act, name="kv-ssh", daemon=True).start()


def post(loop: asyncio.AbstractEventLoop, act: Callable[..., object], *given: object) -> None:
    """Have the loop do `act`; nothing where the loop is gone."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(act, *given)


async def in_thread(act: Callable[[], T]) -> T:
    """What `act` returns or raises. Whoever is cancelled while waiting has to end what `act` waits for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type] # None only where `T` is

    def work() -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            post(loop, deliver, None, error)
        else:
            post(loop, deliver, result, None)

    spawn(work)
    return await done
