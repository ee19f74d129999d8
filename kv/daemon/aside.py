"""Work beside the event loop: what takes long or may hang, in threads that nobody waits for at the end.

Rules of this file
- The threads are daemons: a keeper that locks waits neither for a file system that hangs nor for a plan half made.
- A place is free again when its work has ended, not when its caller is gone: who hangs up and asks again gains nothing.
- The C code of a parser holds the interpreter's lock, so a thread alone does not keep the loop alive. After each piece
  of work its place rests for as long as the work took: half of the time is the loop's, whoever asks for how much.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_REST_MAX = 2.0  # s: no work that may hold the interpreter's lock takes longer
_PAUSED = threading.Lock()


class Aside:
    """`places` pieces of work at once. Further ones get in line, or are refused as `busy` where `full` says of what."""

    def __init__(self, places: int, full: str = "") -> None:
        self._places = asyncio.Semaphore(places)
        self._full = full

    async def do(
        self,
        work: Callable[[], _T],
        undo: Callable[[_T], object] | None = None,
        ended: Callable[[], object] = lambda: None,
    ) -> _T:
        """What `work` returns or raises. `undo` gets what came of it when nobody waits for it any more.

        Raises `KvError("busy")` where the work does not begin; where it did, `ended` is called when it has ended.
        """
        if self._full and self._places.locked():
            raise KvError("busy", what=self._full)
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()

        def end(took: float, result: _T | None, error: BaseException | None) -> None:
            loop.call_later(min(took, _REST_MAX), self._places.release)
            ended()
            if done.cancelled():
                if error is None and undo is not None:
                    undo(result)  # type: ignore[arg-type]  # without an error it is what `work` returned
            elif error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # the same

        def run() -> None:
            begun, result, error = time.monotonic(), None, None
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001 - handed to who waits
                error = raised
            with suppress(RuntimeError):  # the loop has ended, and the process is about to
                loop.call_soon_threadsafe(end, time.monotonic() - begun, result, error)

        try:
            threading.Thread(target=run, daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            self._places.release()
            raise KvError("busy", what="threads") from None
        return await done


def uncollected(work: Callable[[], _T]) -> _T:
    """`work()` without the garbage collector, which looks through a large document again and again while it grows.

    (Four fifths of the time that a JSON text of 15 MiB takes; and none of it is garbage.)
    """
    with _PAUSED:
        gc.disable()
        try:
            return work()
        finally:
            gc.enable()
