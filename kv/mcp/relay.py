"""Asking the keeper for a tool: one connection a request, in a thread of its own, given up when the client gives up.

Rules of this file
- It holds nothing: no key, no value, no connection between calls. It outlives keepers, connecting anew each time.
- A request that was cancelled is hung up on, which withdraws it; the thread that waits is the one that closes.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kv.client import Answer, Client
from kv.errors import KvError

if TYPE_CHECKING:
    from kv.mcp.tools import Request

_THREADS = 48  # requests of one client at once: more than agents make, fewer than the 64 that the keeper takes


class Relay:
    """The way to the keeper of one vault."""

    def __init__(self, vault: str) -> None:
        self._vault = vault
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kv")
        self._asked = 0
        try:
            self._folder: int | None = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            self._folder = None  # a folder that is gone or closed to us: calls work, and `save` is refused

    async def ask(self, request: Request) -> Answer:
        """The keeper's answer. Raises `KvError`."""
        if self._asked >= _THREADS:
            raise KvError("busy", what="calls at once")
        line = _Line(self._vault, request, self._folder if "save" in request.args else None)
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, line.ask)
        except asyncio.CancelledError:
            line.hang_up()
            raise
        finally:
            self._asked -= 1


class _Line:
    """One request's connection: `ask` blocks a thread, `hang_up` ends it from another."""

    def __init__(self, vault: str, request: Request, folder: int | None) -> None:
        self._vault = vault
        self._request = request
        self._folder = folder
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._over = False

    def ask(self) -> Answer:
        with Client(self._vault, kind="mcp") as client:
            try:
                self._open(client)
                return client.ask(self._request.verb, self._request.args, self._request.body, folder=self._folder)
            finally:
                self._open(None)

    def _open(self, client: Client | None) -> None:
        with self._lock:
            self._client = client
            if client is not None and self._over:
                raise KvError("gone")

    def hang_up(self) -> None:
        with self._lock:
            self._over = True
            if self._client is not None:
                self._client.hang_up()
