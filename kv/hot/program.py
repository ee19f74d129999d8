"""One run, as its caller makes it: the request, the relay once it is granted, and the end as the program's own.

Rules of this file
- Each asking has a line of its own (`Control`): the keeper reads the first one's beginning, whatever it answers.
- What the process is (streams, mask, limits) is noted before a person is asked: who asks goes on in a sheltered child.
"""

from __future__ import annotations

import contextlib
import os
import socket

from kv.client import ADMIN, AGENT, Client
from kv.errors import TIMED_OUT, KvError, clean
from kv.hot.control import Control, folder, process
from kv.hot.person import announce, sits_here
from kv.hot.result import note, show
from kv.hot.terminal import Terminal, streams
from kv.paths import vault_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kv.client import Answer
    from kv.hot.arguments import Arguments

_WAIT = 180.0
_SIGNALLED = 128  # and the number of the signal, as shells have it


def environment() -> list[bytes]:
    """The variables of this process, as they are spelled."""
    return [b"%b=%b" % pair for pair in os.environb.items()]


def packed(words: Iterable[bytes]) -> bytes:
    """A body of words, each ended by NUL."""
    return b"".join(b"%b\0" % word for word in words)


class Run:
    """One program, from the command line to its exit status."""

    def __init__(self, found: Arguments, command: list[str], rows: list[dict[str, object]]) -> None:
        self._streams = streams()
        _fill(self._streams)
        self._terminal = Terminal.open()
        self._process = process()
        self._folder = folder()
        self._control: Control | None = None
        self._stream: socket.socket | None = None
        self._vault = vault_path(found.get("vault"))
        self._as_json, self._quiet = found.on("json"), found.get("wait") == "0"
        given = found.number("passphrase_fd", int)
        self._passphrase = None if given is None else int(given)
        variables = environment()
        wait = found.number("wait", float)
        self._args: dict[str, object] = {
            "argv": len(command),
            "environment": len(variables),
            "lent": rows,
            "person": sits_here() or self._passphrase is not None,
            "redact": not found.on("no_redact"),
            "clear": found.on("clear_env"),
            "timeout": found.number("timeout", float) or 0.0,
            "wait": _WAIT if wait is None else wait,
            "reason": found.get("reason") or "",
        }
        names = ", ".join(sorted({str(row["name"]) for row in rows}))
        self._says = f"{clean(' '.join(command))}   will have {names}"
        self._body = packed([*map(os.fsencode, command), *variables])

    def perform(self) -> int:
        """Have it run; its exit status. Does not return where it was ended by a signal. Raises `KvError`."""
        answer = self._ask()
        if "running" not in answer.ok:
            return show(answer, as_json=self._as_json, fail=False)
        return _end_likewise(self._relay())

    def _ask(self) -> Answer:
        """The keeper's answer: a person is asked for a proof where their exact command was not allowed before."""
        channel = ADMIN if self._args["person"] else AGENT
        try:
            with Client(self._vault, channel) as client:
                event = announce(self._vault, quiet=self._quiet)
                return client.ask("run", self._args, self._body, folder=self._offer(), event=event)
        except KvError as error:
            if error.code != "proof-needed" or channel == AGENT:
                raise
        from kv.cli.keeper import acting
        from kv.cli.options import Options

        if self._passphrase is None:
            note(self._says)  # what the prompt that follows is about
        with acting(Options(vault=self._vault, passphrase_fd=self._passphrase)) as keeper:
            return keeper.act("run", self._args, self._body, lend=self._offer)

    def _offer(self) -> int:
        """A fresh line with our streams on it; the end that travels with the request."""
        if self._control is not None:
            self._control.close()
        self._control = Control()
        self._control.send({"folder": True}, [self._folder])
        given = [number for number in range(3) if self._streams[number] == "given"]
        theirs = None
        if self._terminal is not None:
            self._stream, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            given.append(theirs.fileno())
        self._control.send(self._hello(), given)
        if theirs is not None:
            theirs.close()
        return self._control.theirs.fileno()

    def _hello(self) -> dict[str, object]:
        terminal = self._terminal
        return {
            "streams": self._streams,
            "terminal": terminal.size if terminal is not None else None,
            "modes": terminal.modes if terminal is not None else None,
            "foreground": self._on_terminal and terminal is not None and terminal.foreground,
            **self._process,
        }

    @property
    def _on_terminal(self) -> bool:
        """Input and output are the terminal: no other program of a pipeline may want it."""
        return self._streams[:2] == ["tty", "tty"]

    def _relay(self) -> dict[str, object]:
        """How the program ended."""
        from kv.hot.relay import Relay

        if self._control is None:
            raise KvError("gone")
        self._control.hand_over()
        self._let_go()
        try:
            return Relay(self._control, self._terminal, self._stream, whole=self._on_terminal).run()
        finally:
            self._control.close()

    def _let_go(self) -> None:
        """What was given is the program's: a pipe has to end when that lets go of it, and not when we do."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for number in (0, 1):
            if self._streams[number] == "given":
                os.dup2(null, number)


def _fill(kinds: list[str]) -> None:
    """Put something at the numbers of closed streams, or a socket of ours would come to be there."""
    for _ in range(kinds.count("closed")):
        os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free


def _end_likewise(ended: dict[str, object]) -> int:
    """The program's exit status; where a signal ended it, that ends us as well, for whoever waits for us to see."""
    number = int(str(ended.get("signal", 0)))
    if ended.get("timeout"):
        return TIMED_OUT
    if not number:
        return int(str(ended.get("exit")))
    import resource
    import signal

    with contextlib.suppress(OSError, ValueError):  # SIGKILL has no disposition
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # there is nothing of ours to look at
        signal.set_wakeup_fd(-1)
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return _SIGNALLED + number
