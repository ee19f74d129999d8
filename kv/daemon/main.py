"""A keeper's birth, from the inside: `python -I -m kv.daemon.main DESCRIPTOR`, started by `kv.birth` alone.

Rules of this file
- Memory that holds a key was never readable: `kv.spawn` says how the socket that the key comes by is made.
- One keeper a vault: the child holds the record lock beside the vault before it opens anything.
- The parent of the birth is told one line, `{"ok": …}` or `{"error": …}`, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import secrets
import sys
import time
from typing import TYPE_CHECKING

from kv.daemon.descriptors import raise_limit
from kv.errors import KvError
from kv.harden import refuse_tracer
from kv.paths import Runtime
from kv.spawn import SECONDS, become

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from kv.daemon.house import House
    from kv.daemon.options import Options

_KEY_BYTES = 32
_LINE_MAX = 1 << 16
_LOG_MAX = 1 << 20  # bytes: the log is started anew beyond it


def main() -> None:
    """Become the keeper. Ends by `os._exit`: no interpreter shutdown runs over memory that held values."""
    birth = become(sys.argv)
    birth.settimeout(SECONDS)
    try:
        refuse_tracer()
        raise_limit()
        options, key = _read(birth)
        runtime = _hold_lock(options)
        _live(_open_house(options, key), options, _open_log(runtime), birth)
    except KvError as error:
        _tell(birth, {"error": error.as_wire()})
        os._exit(error.exit)
    os._exit(0)


def _read(birth: socket.socket) -> tuple[Options, bytearray]:
    """The options' line, then exactly the key, then the end."""
    from kv.daemon.options import decode

    line = bytearray()
    key = bytearray(_KEY_BYTES)  # filled in place: no copy of it is left on the heap
    filled = 0
    with contextlib.suppress(OSError):
        while not line.endswith(b"\n") and len(line) < _LINE_MAX and (byte := birth.recv(1)):
            line += byte
        while filled < _KEY_BYTES and (more := birth.recv_into(memoryview(key)[filled:])):
            filled += more
    if filled != _KEY_BYTES or birth.recv(1):
        raise KvError("keeper-start", why="it was not given a key")
    return decode(bytes(line)), key


def _hold_lock(options: Options) -> Runtime:
    """Hold the lock until the process ends. Raises `KvError("keeper-runs")` if another keeper does."""
    runtime = Runtime(options.vault)
    runtime.make()
    descriptor = os.open(runtime.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        from kv.client import lock_holder

        raise KvError("keeper-runs", pid=lock_holder(runtime.lock)) from None
    return runtime


def _open_house(options: Options, key: bytearray) -> House:
    from kv.audit import AuditLog
    from kv.daemon.budget import BURST, Budget
    from kv.daemon.house import House
    from kv.vault.session import RootKey, Vault

    vault = Vault.open(options.vault, RootKey.take(key), seen=options.seen, accept_older=options.accept_older)
    try:
        with vault.subkey("audit") as subkey:
            audit = AuditLog.open(Runtime(options.vault).audit, bytes(subkey), vault.audit_head or None)
    except BaseException:
        vault.close()
        raise
    house = House(vault, audit, Budget(options.calls_per_minute, max(BURST, options.calls_per_minute // 2)))
    house.look_back()
    return house


def _live(house: House, options: Options, log: Callable[[str], str], birth: socket.socket) -> None:
    from kv.daemon.keeper import Keeper

    def ready() -> None:
        gc.freeze()
        _tell(birth, {"ok": {"pid": os.getpid(), **house.at_open()}})

    asyncio.run(Keeper(house, options, log).run(ready))


def _tell(birth: socket.socket, line: dict[str, object]) -> None:
    """Send the one line; a parent that is gone needs none."""
    with contextlib.suppress(OSError):
        birth.sendall(json.dumps(line).encode() + b"\n")
    birth.close()


def _open_log(runtime: Runtime) -> Callable[[str], str]:
    """A log of places and codes. Each line gets a short id, which an error can name."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(runtime.log, flags, 0o600)
    if os.fstat(descriptor).st_size > _LOG_MAX:
        os.ftruncate(descriptor, 0)

    def log(text: str) -> str:
        name = secrets.token_hex(3)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(OSError):  # a full disk must not keep a keeper from locking
            os.write(descriptor, f"{stamp} {os.getpid()} {name} {text}\n".encode())
        return name

    log("born")
    return log


if __name__ == "__main__":
    main()
