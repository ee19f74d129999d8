"""A stand-in keeper for the runner: no vault, no policy, the real nursery, the real channels.

`Nursery` is the keeper's side; `Raw` plays the client by hand, for what no client of ours would do.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import select
import shutil
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from kv.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 30.0
LIBRARYS_OWN = 0b11 << 31  # signals 32 and 33: the C library lets nobody set them, and some starters leave one ignored
STRONG = 128


@dataclass
class Lending:
    """A secret that a run is lent, and how."""

    name: str
    value: bytes
    via: str = "env"
    to: str = ""

    def row(self) -> dict[str, object]:
        """As an order has it."""
        to = self.to or (self.name.rpartition("/")[2] if self.via == "env" else "")
        return {"name": self.name, "via": self.via, "to": to, "size": len(self.value)}


class Nursery:
    """A nursery of one's own. Use as a context manager."""

    def __init__(self) -> None:
        self._line = spawn("kv.runner.main", socket.SOCK_SEQPACKET)
        self.ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def close(self) -> None:
        """End its line, as a lock does."""
        self._line.close()

    def ready(self) -> None:
        """Wait for its word."""
        assert json.loads(self._line.recv(4096)) == {"ready": True}

    def know(self, *rows: tuple[str, bytes, int]) -> Self:
        """Have it look for these values: name, value, bits."""
        packed = msgspec.msgpack.encode([(name, value, bits, []) for name, value, bits in rows])
        memory = os.memfd_create("needles", os.MFD_ALLOW_SEALING)
        os.write(memory, packed)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW)
        socket.send_fds(self._line, [json.dumps({"needles": len(packed)}).encode()], [memory])
        os.close(memory)
        self.ready()
        return self

    def begin(
        self, control: socket.socket, order: Mapping[str, object], values: Sequence[bytes], folder: int
    ) -> Keeper:
        """Order a run for whoever has the other end of `control`; our end of the order's line."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        socket.send_fds(self._line, [b'{"run":true}'], [theirs.fileno(), control.fileno()])
        theirs.close()
        header = json.dumps(order).encode()
        data = len(header).to_bytes(4, "big") + header + b"".join(values)
        socket.send_fds(ours, [data[:1]], [folder])
        ours.settimeout(SECONDS)
        ours.sendall(data[1:])
        return Keeper(ours)


class Keeper:
    """The keeper's end of one run."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def hear(self) -> dict[str, object]:
        """The next message; {} at the end."""
        head = self._exactly(4)
        return json.loads(self._exactly(int.from_bytes(head, "big"))) if head else {}

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.socket.recv(size - len(data))):
            data += more
        return data

    def kill(self) -> None:
        """As `kv panic` does."""
        self.socket.sendall(b"\0\0\0\r" + b'{"kill":true}')

    def ended(self) -> dict[str, object]:
        """What it says at the end."""
        while message := self.hear():
            if "ended" in message or "failed" in message:
                return message
        return {}


def pin(path: str) -> list[int]:
    """What tells that a program is still the one that was looked at."""
    found = Path(path).stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def an_order(argv: Sequence[str], below: Path, lent: Sequence[Lending] = (), **changes: object) -> dict[str, object]:
    """An order as the keeper gives it."""
    executable = str(changes.get("executable") or shutil.which(argv[0]) or argv[0])
    place = below.stat()
    return {
        "argv": list(argv),
        "executable": executable,
        "pin": changes.get("pin") or pin(executable),
        "environment": {"PATH": os.environ["PATH"], "HOME": str(below), "TERM": "xterm-256color", "LANG": "C.UTF-8"},
        "folder": [place.st_dev, place.st_ino],
        "lent": [one.row() for one in lent],
        "redact": True,
        "prompt": False,
        "privileges": False,
        "timeout": 0,
        **changes,
    }


def hello(**changes: object) -> dict[str, object]:
    """A client's first word without a terminal."""
    return {
        "streams": ["given", "given", "given"],
        "terminal": None,
        "modes": None,
        "umask": 0o022,
        "limits": {"NOFILE": list(resource.getrlimit(resource.RLIMIT_NOFILE))},
        "ignored": [],
        "foreground": False,
        **changes,
    }


@dataclass
class Done:
    """How a run went, on all sides."""

    out: bytes = b""
    err: bytes = b""
    client: list[dict[str, object]] = field(default_factory=list)
    keeper: list[dict[str, object]] = field(default_factory=list)

    @property
    def ended(self) -> dict[str, object]:
        """The client's last word."""
        return self._last(self.client)

    @property
    def facts(self) -> dict[str, object]:
        """The keeper's last word."""
        return self._last(self.keeper)

    @staticmethod
    def _last(messages: list[dict[str, object]]) -> dict[str, object]:
        found = messages[-1].get("ended") if messages else None
        assert isinstance(found, dict), messages
        return found

    @property
    def said(self) -> list[str]:
        """The lines for stderr."""
        return [line for message in self.client for line in message.get("say", [])]  # type: ignore[attr-defined] # JSON


class Raw:
    """A client by hand, with pipes for the three streams."""

    def __init__(
        self, nursery: Nursery, argv: Sequence[str], below: Path, lent: Sequence[Lending] = (), **changes: object
    ) -> None:
        first, shared = changes.pop("hello", None), changes.pop("shared", False)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(SECONDS)
        into, self.stdin = os.pipe()
        self.stdout, out = os.pipe()
        self.stderr, err = os.pipe()
        self._open = {self.stdin, self.stdout, self.stderr}
        descriptor = os.open(below, os.O_RDONLY | os.O_DIRECTORY)
        self.keeper = nursery.begin(
            theirs, an_order(argv, below, lent, **changes), [one.value for one in lent], descriptor
        )
        os.close(descriptor)
        theirs.close()
        given = [into, out, out if shared else err]
        message = first if isinstance(first, dict) else hello()
        streams = message["streams"]
        assert isinstance(streams, list)
        socket.send_fds(
            self.control,
            [json.dumps(message).encode()],
            [fd for fd, how in zip(given, streams, strict=True) if how == "given"],
        )
        for number in (into, out, err):
            os.close(number)

    def tell(self, message: Mapping[str, object]) -> None:
        """Say something to the runner."""
        self.control.send(json.dumps(message).encode())

    def hear(self) -> dict[str, object]:
        """The next message; {} at the end."""
        data = self.control.recv(1 << 16)
        return json.loads(data) if data else {}

    def started(self) -> int:
        """Wait for the program; its pid."""
        message = self.hear()
        assert "started" in message, message
        return int(str(message["started"]))

    def finish(self, stdin: bytes = b"", seconds: float = SECONDS) -> Done:
        """Give it this and the end of its input; everything that comes until it has ended."""
        done = Done()
        os.write(self.stdin, stdin)
        self.shut(self.stdin)
        parts = {self.stdout: "out", self.stderr: "err"}
        until = time.monotonic() + seconds
        waiting = [self.stdout, self.stderr, self.control.fileno()]
        while waiting:
            ready, _, _ = select.select(waiting, [], [], until - time.monotonic())
            assert ready, "it did not end in time"
            for number in ready:
                if number == self.control.fileno():
                    message = self.hear()
                    done.client += [message] if message else []
                    waiting = waiting if message else [n for n in waiting if n != number]
                elif data := os.read(number, 1 << 16):
                    setattr(done, parts[number], getattr(done, parts[number]) + data)
                else:
                    waiting.remove(number)
        done.keeper += list(iter(self.keeper.hear, {}))
        self.close()
        return done

    def close(self) -> None:
        """Let go of everything: the client is gone."""
        for number in self._open:
            os.close(number)
        self._open.clear()
        self.control.close()
        self.keeper.socket.close()

    def shut(self, number: int) -> None:
        """Let go of one stream."""
        self._open.discard(number)
        os.close(number)


class Start(Protocol):
    """Starts a program as a client by hand."""

    def __call__(self, argv: list[str], lent: Sequence[Lending] = (), **changes: object) -> Raw:
        """See `Raw`."""
