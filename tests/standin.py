"""A stand-in keeper that the real `kv run` can ask: no vault, no policy, both sockets, the real nursery.

What it allows: everything. What it lends: `VALUES`, by name.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Self

from runs import Keeper, Nursery, pin

from kv import __version__, wire

KEY = b"S3cr3t-value-very-long-0123456789abcdef"
VALUES = {"KEY": KEY, "dev/WEAK": b"hunter2-password"}


class StandIn:
    """Serves a vault that is not there. Use as a context manager; `environment` leads a client to it."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.vault = folder / "v.kv"
        self.runs: list[Keeper] = []
        self.requests: list[dict[str, object]] = []
        self.refuse: dict[str, object] | None = None
        self.prompt: bool | None = None  # in place of what the client asks for
        self._nursery = nursery
        runtime = folder / "v.kv.d"
        runtime.mkdir(mode=0o700, exist_ok=True)
        self._lock = (runtime / "lock").open("w")
        fcntl.lockf(self._lock, fcntl.LOCK_EX)  # what a client takes for the keeper's sign
        self._listeners = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(2)]
        for listener, name in zip(self._listeners, ("agent.sock", "kv.sock"), strict=True):
            listener.bind(str(runtime / name))
            listener.listen()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for run in self.runs:
            run.socket.close()
        self._lock.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionError):
            client.sendall(wire.encode({"kv": wire.VERSION, "version": __version__}))
            decoder, descriptors = wire.Decoder(), []
            while True:
                data, more, _, _ = socket.recv_fds(client, 1 << 16, 4)
                descriptors += more
                decoder.feed(data)
                frame = decoder.next()
                if frame is not None:
                    client.sendall(wire.encode(self._answer(frame, descriptors)))
                if not data:
                    return

    def _answer(self, frame: wire.Frame, descriptors: list[int]) -> dict[str, object]:
        args, words = frame.header["args"], frame.body.split(b"\0")[:-1]
        assert isinstance(args, dict)
        self.requests.append({**frame.header, "words": words})
        if frame.header["verb"] == "carried":
            carried = [word.partition(b"=") for word in words]
            return {"ok": {"names": [name.decode() for name, _, value in carried if value in VALUES.values()]}}
        with socket.socket(fileno=descriptors[0]) as control:
            _, (folder,), _, _ = socket.recv_fds(control, 4096, 1)
            if self.refuse is not None:
                os.close(folder)
                return {"error": self.refuse}
            self._begin(control, args, [os.fsdecode(word) for word in words], folder)
            os.close(folder)
        return {"ok": {"running": True}}

    def _begin(self, control: socket.socket, args: dict[str, object], words: list[str], folder: int) -> None:
        count, rows = int(str(args["argv"])), args["lent"]
        assert isinstance(rows, list)
        argv, environment = words[:count], dict(word.split("=", 1) for word in words[count:])
        executable = shutil.which(argv[0], path=environment.get("PATH")) or argv[0]
        found = os.fstat(folder)
        values = [VALUES[row["name"]] for row in rows]
        order = {
            "argv": argv,
            "executable": executable,
            "pin": pin(executable) if Path(executable).exists() else [0] * 5,
            "environment": environment,
            "folder": [found.st_dev, found.st_ino],
            "lent": [{**row, "size": len(value)} for row, value in zip(rows, values, strict=True)],
            "redact": args["redact"],
            "prompt": args["person"] if self.prompt is None else self.prompt,
            "privileges": False,
            "timeout": args["timeout"],
        }
        self.runs.append(self._nursery.begin(control, json.loads(json.dumps(order)), values, folder))
