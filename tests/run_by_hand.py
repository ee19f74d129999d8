"""A client of `kv run` that speaks the wire by hand: what it says over the control socket, and when, is a story's."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, ClassVar

from raw import Raw

if TYPE_CHECKING:
    from world import World

SECONDS = 60.0
ENV = [{"name": "prod/TOKEN", "via": "env", "to": "TOKEN"}]


class Client:
    """A client of `run` by hand: what it says over the control socket, and when, is ours. `hello` if not `late`."""

    opened: ClassVar[list[Client]] = []

    def __init__(  # noqa: PLR0913 - the parts of a request
        self,
        world: World,
        argv: list[str],
        lent: list[dict[str, str]] = ENV,
        *,
        folder: str | Path = "",
        late: bool = False,
        wait: float = 0,
    ) -> None:
        Client.opened.append(self)
        self._pipes: list[int] = []
        self.raw = Raw(world)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(SECONDS)
        opened = os.open(folder or world.folder, os.O_RDONLY | os.O_DIRECTORY)
        socket.send_fds(self.control, [b'{"folder":true}'], [opened])
        os.close(opened)
        if not late:
            self.hello()
        body = b"".join(os.fsencode(word) + b"\0" for word in argv)
        args = {"argv": len(argv), "environment": 0, "lent": lent, "wait": wait}
        self.raw.send("run", args, body, theirs.fileno())
        theirs.close()

    def hello(self) -> None:
        """The first word: three pipes, no terminal."""
        first: dict[str, object] = {
            "streams": ["given"] * 3,
            "terminal": None,
            "modes": None,
            "umask": 0o22,
            "limits": {},
            "ignored": [],
        }
        reading, self._stdin = os.pipe()
        self._stdout, out = os.pipe()
        theirs = [reading, out, out]
        socket.send_fds(self.control, [json.dumps({**first, "foreground": False}).encode()], theirs)
        for number in (reading, out, self._stdin):
            os.close(number)
        self._pipes.append(self._stdout)

    def close(self) -> None:
        """The client is gone."""
        self.raw.socket.close()
        self.control.close()
        while self._pipes:
            os.close(self._pipes.pop())

    def hear(self) -> dict[str, Any]:
        """The runner's next word."""
        found: dict[str, Any] = json.loads(self.control.recv(1 << 16) or b"{}")
        return found

    def finish(self, seconds: float = SECONDS) -> tuple[bytes, list[dict[str, Any]]]:
        """All that is printed, and all that is said, until both end."""
        out, said, until = b"", list[dict[str, Any]](), monotonic() + seconds
        waiting = [self._stdout, self.control.fileno()]
        while waiting:
            ready, _, _ = select.select(waiting, [], [], max(0, until - monotonic()))
            assert ready, "it did not end in time"
            for number in ready:
                try:
                    data = os.read(number, 1 << 16)
                except ConnectionResetError:
                    data = b""
                if not data:
                    waiting.remove(number)
                elif number == self._stdout:
                    out += data
                else:
                    said.append(json.loads(data))
        return out, said

    def run(self) -> tuple[bytes, list[dict[str, Any]]]:
        """What comes of a run that policy allows."""
        answer = self.raw.answer()
        assert answer.get("ok") == {"running": True}, answer
        return self.finish()


def granted(world: World, argv: list[str], lent: list[dict[str, str]] = ENV, folder: str | Path = "") -> Any:  # noqa: ANN401 - a card
    """A person's yes to this very command, for the session; the card."""
    card = Client(world, argv, lent, folder=folder).raw.answer()["ok"]["card"]
    world.must("approve", card["id"], "--scope", "session", proof=True)
    return card


def script(world: World, text: str) -> list[str]:
    """A Python program in the world's folder, as arguments."""
    (world.folder / "t.py").write_text(text)
    return [sys.executable, "t.py"]


def written(path: Path) -> str:
    """The line that a program writes there, once it has."""
    until = monotonic() + 30
    while not path.exists() or not path.read_text().endswith("\n"):
        assert monotonic() < until, f"{path.name} was not written"
        sleep(0.02)
    return path.read_text().strip()


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def gone_soon(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends in that time; it is ended if not."""
    until = monotonic() + seconds
    while alive(pid) and monotonic() < until:
        sleep(0.1)
    if not (gone := not alive(pid)):
        os.kill(pid, signal.SIGKILL)
    return gone


def close_all() -> None:
    """Let go of what a story leaves open."""
    while Client.opened:
        Client.opened.pop().close()
