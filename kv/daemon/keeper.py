"""The keeper's life: from the open vault to the process's end. Locked means that there is no keeper.

Rules of this file
- Idle time and cap run on the boot-time clock: a night's sleep counts.
- The end is always the same: calls are cancelled and settle themselves as unknown, sockets go, the head is
  sealed, SQLite closes, the process exits. What copies of values were made die with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from kv.daemon.clock import boot_time
from kv.daemon.gate import Gate
from kv.daemon.pipeline import Pipeline
from kv.daemon.release.releases import Releases
from kv.daemon.release.runs import Runs
from kv.daemon.server import Server, listen
from kv.daemon.verbs import Verbs
from kv.errors import KvError
from kv.paths import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.daemon.house import House
    from kv.daemon.options import Options

_TICK_SECONDS = 1.0


class Keeper:
    """One open house, served until it locks. `run` returns when it has."""

    def __init__(self, house: House, options: Options, log: Callable[[str], str]) -> None:
        self._house = house
        self._options = options
        self._log = log
        self._end = asyncio.Event()
        self._why = self._complained = ""
        self._born = boot_time()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve both sockets; `ready` is called once they listen."""
        house, runtime = self._house, Runtime(self._house.vault.path)
        pipeline = Pipeline(house)
        releases = Releases(house)
        runs = Runs(house, releases)
        verbs = Verbs(self, house, Gate(house.vault, house.audit), pipeline, runs)
        servers = [self._serve("kv", runtime.kv_socket, verbs)]
        if not self._options.admin_only:
            servers.append(self._serve("agent", runtime.agent_socket, verbs))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        tasks.append(asyncio.create_task(self._prepare()))
        tasks.append(asyncio.create_task(self._watch()))
        ready()
        await self._end.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(runtime.kv_socket)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(runtime.agent_socket)
        await asyncio.sleep(0)  # let the answer to `lock` go out before its connection is ended
        await pipeline.tickets.cancel_all()
        await releases.tickets.cancel_all()
        await runs.close()
        for server in servers:
            await server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await house.close()

    async def _prepare(self) -> None:
        """Build the needles. A vault that cannot be read whole serves nobody: say why, and lock."""
        try:
            await self._house.prepare()
        except KvError as error:
            self._log(f"reading the vault: {error.code}")
            self.stop(error.code)

    def _serve(self, channel: str, path: str, verbs: Verbs) -> Server:
        others = self._options.agent_uids if channel == "agent" else ()
        sock = listen(path)
        if others:
            os.chmod(os.path.dirname(path), 0o711)  # noqa: S103 - to pass through, not to look into
            os.chmod(path, 0o666)  # noqa: S103 - every peer is still held against `others`
        return Server(channel, sock, verbs, self._log, frozenset({os.geteuid(), *others}))

    async def _watch(self) -> None:
        """End at the idle limit or the cap; seal the audit's head in between."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            left = self._left()
            if left[0] <= 0:
                self.stop("idle")
            elif left[1] <= 0:
                self.stop("cap")
            self._tick()

    def _tick(self) -> None:
        """Seal the audit's head when it is due. What fails is refused at the next act; the locks go on regardless."""
        try:
            self._house.tick()
        except KvError as error:
            if error.code != self._complained:
                self._complained = error.code
                self._log(f"sealing the audit's head: {error.code}")

    def _left(self) -> tuple[float, float]:
        now = boot_time()
        cap = self._born + self._options.cap - now
        if self._options.until:
            cap = min(cap, self._options.until - time.time())
        return self._house.used + self._options.idle - now, cap

    def _signalled(self) -> None:
        self.stop("signal")

    def stop(self, why: str) -> None:
        """Begin the end."""
        self._end.set()  # first: nothing that fails below may keep a vault open
        if not self._why:
            self._why = why
            self._log(f"locking: {why}")

    def status(self) -> dict[str, object]:
        """How long it has been, and will be, open."""
        idle, cap = self._left()
        return {
            "since": round(time.time() - (boot_time() - self._born)),
            "idle_left": max(0, round(idle)),
            "cap_left": max(0, round(cap)),
        }
