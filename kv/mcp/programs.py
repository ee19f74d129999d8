"""`kv_run`: programs that run for the model, each followed by a thread of its own until it has ended.

Rules of this file
- What a program says comes over pipes that the runner writes to, so with the secrets taken out; here it is collected,
  bounded, and its control characters are made visible. They are not taken out: that could make a value whole.
- A program that takes longer than a client waits goes on, under a ticket for kv_wait. It ends with this process, and
  when the model takes the call back.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import selectors
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from io import FileIO
from typing import TYPE_CHECKING, Any

from kv.client import AGENT, Answer, Client
from kv.errors import KvError
from kv.hot.control import Control, process
from kv.hot.result import printable
from kv.variable import variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MOST = 16  # programs at once: a model that starts more has lost count
_HEAD, _TAIL = 256 << 10, 768 << 10  # bytes of a stream that are kept: how it began, and above all how it ended
_CHUNK = 1 << 16
_ASK_SECONDS = 600.0  # a card is good for 180; what waits longer is told in parts by kv_wait


class Output:
    """What came of one stream, bounded."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self.left_out = 0

    def add(self, data: bytes) -> None:
        """Append."""
        room = _HEAD - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room < len(data) else b""
        if len(self._tail) > 2 * _TAIL:
            self._cut()

    def _cut(self) -> None:
        beyond = len(self._tail) - _TAIL
        if beyond > 0:
            del self._tail[:beyond]
            self.left_out += beyond

    def text(self) -> str:
        """All of it as text; what was left out between head and tail is told in a line."""
        self._cut()
        between = f"\n… {self.left_out} bytes are left out …\n".encode() if self.left_out else b""
        return printable(bytes(self._head) + between + bytes(self._tail)).decode()


class Program:
    """One program, from the asking to its end. `answer` is what became of it."""

    def __init__(self, vault: str, found: Mapping[str, Any]) -> None:
        self._vault = vault
        self._args = {"lent": [_lent(each) for each in found["secrets"]], "wait": _ASK_SECONDS}
        self._args |= {each: found[each] for each in ("timeout", "reason") if each in found}
        self._argv = [str(word) for word in found["argv"]]
        self._stdin = str(found.get("stdin", "")).encode()
        self._folder = str(found.get("cwd", "."))
        self._control = Control()
        self._over = False
        self._client: Client | None = None
        self.says = "it is under way"
        self.answer: Future[Answer] = Future()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._follow, daemon=True).start()

    def end(self) -> None:
        """The model has taken it back: so has whoever waits for it."""
        self._over = True
        self._control.hang_up()
        if self._client is not None:
            self._client.hang_up()

    def _follow(self) -> None:
        try:
            self.answer.set_result(self._perform())
        except KvError as error:
            self.answer.set_exception(error)
        except Exception as defect:  # noqa: BLE001 - whoever waits for it words it
            self.answer.set_exception(defect)
        finally:
            self._control.close()

    def _perform(self) -> Answer:
        with ExitStack() as ours, ExitStack() as theirs:
            streams = [os.pipe() for _ in range(3)]
            files = [ours.enter_context(FileIO(fd, mode)) for fd, mode in _ends(streams, "wb", "rb")]
            given = [theirs.enter_context(FileIO(fd, mode)) for fd, mode in _ends(streams, "rb", "wb")]
            self._hand_over([each.fileno() for each in given])
            theirs.close()
            self._ask()
            outputs = {each: Output() for each in files[1:]}
            said, ended = self._collect(files[0], outputs)
        out, err = outputs.values()
        members = {"exit": ended.get("exit"), "signal": ended.get("signal"), "timeout": ended.get("timeout")}
        body = json.dumps({"stdout": out.text(), "stderr": err.text(), **({"kv": said} if said else {})})
        return Answer({"untrusted": True, "source": "run", **members, "form": "json"}, body.encode())

    def _hand_over(self, streams: list[int]) -> None:
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError):
            raise KvError("run-folder", why="it does not exist, or may not be entered") from None
        self._control.send({"folder": True}, [folder])
        os.close(folder)
        given: dict[str, object] = {"streams": ["given"] * 3, "terminal": None, "modes": None, "foreground": False}
        self._control.send({**given, **process()}, streams)

    def _ask(self) -> None:
        variables = [f"{name}={value}" for name, value in os.environ.items()]
        if any("\0" in word for word in self._argv):
            raise KvError("bad-argument", argument="argv", why="a word holds NUL, which no argument can")
        words = b"".join(os.fsencode(word) + b"\0" for word in [*self._argv, *variables])
        args: dict[str, object] = {"argv": len(self._argv), "environment": len(variables), **self._args}
        with Client(self._vault, AGENT, kind="mcp") as client:
            self._client = client
            if self._over:
                raise KvError("gone")
            ok = client.ask("run", args, words, folder=self._control.theirs.fileno(), event=self._told).ok
        self._control.hand_over()
        if "pending" in ok:
            raise KvError("expired", id=str(ok["pending"]), seconds=int(_ASK_SECONDS))

    def _told(self, event: dict[str, object]) -> None:
        self.says = str(event.get("say", ""))

    def _collect(self, stdin: FileIO, outputs: dict[FileIO, Output]) -> tuple[list[str], dict[str, Any]]:
        """Until it has ended and its streams have: what kv says about it, and how it ended."""
        os.set_blocking(stdin.fileno(), False)
        rest = memoryview(self._stdin)
        said: list[str] = []
        ended: dict[str, Any] = {}
        self.says = "it runs"
        with selectors.DefaultSelector() as ready:
            for each in outputs:
                ready.register(each, selectors.EVENT_READ)
            ready.register(self._control, selectors.EVENT_READ)
            ready.register(stdin, selectors.EVENT_WRITE)
            while ready.get_map():
                for key, _ in ready.select():
                    source = key.fileobj
                    if source is stdin:
                        rest = _fed(stdin, rest)
                        if not rest:
                            ready.unregister(stdin)
                            stdin.close()
                    elif source is self._control:
                        message = self._control.receive()
                        said += _said(message)
                        if "error" in message or "ended" in message:
                            ready.unregister(self._control)
                            ended = _end(message)
                    elif isinstance(source, FileIO):
                        data = source.read(_CHUNK)
                        outputs[source].add(data or b"")
                        if not data:
                            ready.unregister(source)
        return said, ended


class Programs:
    """The programs of one connection."""

    def __init__(self, vault: str) -> None:
        self._vault = vault
        self._kept: dict[str, Program] = {}

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._kept

    async def start(self, found: Mapping[str, Any], seconds: float) -> Answer:
        """Start a program; its end, or a ticket for it after `seconds`. Raises `KvError`."""
        ended = [each for each, program in self._kept.items() if program.answer.done()]
        if len(self._kept) - len(ended) >= _MOST:
            raise KvError("busy", what="programs at once")
        for each in ended[:-_MOST]:  # nobody came for their ends
            del self._kept[each]
        ticket, program = f"R{secrets.token_hex(4)}", Program(self._vault, found)
        self._kept[ticket] = program
        program.start()
        return await self.wait(ticket, seconds)

    async def wait(self, ticket: str, seconds: float) -> Answer:
        """The end of one, or again its ticket. Raises `KvError`."""
        program = self._kept[ticket]
        waited = asyncio.wrap_future(program.answer)
        try:
            done, _ = await asyncio.wait({waited}, timeout=seconds)
        except asyncio.CancelledError:
            program.end()
            self._kept.pop(ticket, None)
            raise
        if not done:
            return Answer({"pending": ticket, "say": f"{program.says}; take it up with kv_wait"}, b"")
        self._kept.pop(ticket, None)
        return await waited


def _lent(text: object) -> dict[str, object]:
    name, mark, given = str(text).partition("=")
    return {"name": name, "via": "env", "to": given if mark else variable(name)}


def _ends(streams: Sequence[tuple[int, int]], first: str, others: str) -> Iterator[tuple[int, str]]:
    """One end of each pipe and how it is opened: that of standard input as `first` says, those of the two outputs."""
    for (reading, writing), mode in zip(streams, (first, others, others), strict=True):
        yield (reading if mode == "rb" else writing), mode


def _fed(stdin: FileIO, rest: memoryview) -> memoryview:
    """What is left to be written; nothing where nobody reads."""
    try:
        return rest[stdin.write(rest) or 0 :] if rest else rest
    except OSError:
        return rest[:0]


def _said(message: Mapping[str, Any]) -> Iterator[str]:
    for line in message.get("say", ()):
        yield printable(str(line).encode()).decode()


def _end(message: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in message:
        from kv.errors import RemoteError

        raise RemoteError(message["error"])
    ended: dict[str, Any] = message["ended"]
    return ended
