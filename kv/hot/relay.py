"""The client's half of a run: typing, sizes and signals go to the runner, output and ends come back.

Rules of this file
- It must feel like running the program itself: what stops it stops us, what ends it ends us, and the shell that started
  us sees what it would have seen.
- A value never passes here but scrubbed: what arrives is what the caller may see.
"""

from __future__ import annotations

import os
import select
import socket
import sys

from kv.errors import RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kv.hot.control import Control
    from kv.hot.terminal import Terminal

_CHUNK = 4096  # of output between two looks at what was typed
_WAKE = 64


class Relay:
    """One run, from the runner's first word to its last. `run` gives that one."""

    def __init__(
        self, control: Control, terminal: Terminal | None, stream: socket.socket | None, *, whole: bool
    ) -> None:
        self._control, self._terminal, self._stream = control, terminal, stream
        self._whole = whole  # input and output are the terminal: the program has it whenever we do
        self._typed = bytearray()
        self._closed = False  # the window, under us
        self._said: list[str] = []
        self._ended: dict[str, object] | None = None
        self._wake = -1

    def run(self) -> dict[str, object]:
        """How the program ended: exit, signal, timeout. Raises `KvError` where it did not start, or is cut off."""
        self._wake = _catch()
        try:
            while self._ended is None:
                self._step()
            self._drain()
            return self._ended
        finally:
            if self._terminal is not None:
                self._terminal.restore()
            for line in self._said:
                print(f"kv: {line}", file=sys.stderr)

    def _step(self) -> None:
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.register(self._control, select.POLLIN)
        if self._stream is not None:
            poller.register(self._stream, select.POLLIN | (select.POLLOUT if self._typed else 0))
        if self._terminal is not None and self._terminal.raw and not self._typed:
            poller.register(self._terminal, select.POLLIN)
        for descriptor, events in poller.poll():
            if descriptor == self._wake:
                for number in os.read(self._wake, _WAKE):
                    self._signal(number)
            elif descriptor == self._control.fileno():
                self._hear(self._control.receive())
            elif self._stream is not None and descriptor == self._stream.fileno():
                self._show(events)
            elif self._terminal is not None:
                self._type(self._terminal.read())

    def _hear(self, message: dict[str, object]) -> None:
        """A word of the runner's."""
        if "started" in message:
            self._begin()
        elif "stopped" in message:
            self._stop(int(str(message["stopped"])))
        elif "say" in message:
            lines = message["say"]
            self._said += map(str, lines) if isinstance(lines, list) else []
        elif isinstance(error := message.get("error"), dict):
            raise RemoteError(error)
        elif isinstance(ended := message.get("ended"), dict):
            self._ended = ended

    def _begin(self) -> None:
        """The program runs; if it has the terminal, so have we, unless we were sent to the background meanwhile."""
        if self._terminal is None:
            return
        if self._whole and self._terminal.foreground:
            self._terminal.take()
        elif self._whole:
            self._go_on()
        self._control.send({"size": self._terminal.size})  # the window may have changed while a person was asked

    def _type(self, data: bytes) -> None:
        self._typed += data
        if not data:
            self._hang_up()

    def _hang_up(self) -> None:
        """Our window was closed, or is not to be had: so is the inner one, and the program is told as by any."""
        if self._terminal is not None:
            self._drain()
            self._terminal.restore()
        if self._stream is not None:
            self._stream.close()
        self._terminal = self._stream = None
        self._closed = True

    def _show(self, events: int) -> None:
        """Output of the program to the terminal, typing to the program; each as far as it goes."""
        if self._stream is None or self._terminal is None:
            return
        if events & select.POLLOUT and self._typed:
            try:
                del self._typed[: self._stream.send(self._typed, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)]
            except BlockingIOError:
                return
            except OSError:
                self._typed.clear()
        if events & (select.POLLIN | select.POLLHUP):
            data = self._receive()
            if data:
                self._terminal.write(data)
            elif data is not None:
                self._stream.close()
                self._stream = None

    def _receive(self) -> bytes | None:
        """What the program has written; b"" at its end, None if there is nothing just now."""
        if self._stream is None:
            return b""
        try:
            return self._stream.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _drain(self) -> None:
        """Show what has been written before something is told."""
        while self._terminal is not None and (data := self._receive()):
            self._terminal.write(data)

    def _stop(self, number: int) -> None:
        """The program has stopped. Where it wants the terminal, it gets that if we have it; else we stop, too."""
        import signal

        wants_it = number in {signal.SIGTTIN, signal.SIGTTOU}
        if self._closed or (self._terminal is not None and self._terminal.gone):
            self._hang_up()  # nobody is left who would continue us
        elif self._terminal is not None and wants_it and self._terminal.foreground:
            self._whole = True
        else:
            if self._terminal is not None:
                self._drain()
                self._terminal.restore()
            if not _stop_likewise(number) and wants_it:
                self._hang_up()  # nobody will ever put us to the foreground, where there would be something to read
        self._go_on()

    def _go_on(self) -> None:
        """We run (again): the program does, too, and has the terminal if we have."""
        mine = self._terminal is not None and self._whole and self._terminal.foreground
        if self._terminal is not None and mine:
            self._terminal.take()
        size = self._terminal.size if self._terminal is not None else None
        self._control.send({"continue": size, "foreground": mine})

    def _signal(self, number: int) -> None:
        import signal

        if self._terminal is not None and self._terminal.gone:
            self._hang_up()
        if number == signal.SIGCONT:
            self._go_on()
        elif number != signal.SIGWINCH:
            self._control.send({"signal": number})
        elif self._terminal is not None:
            self._control.send({"size": self._terminal.size})


def _stop_likewise(number: int) -> bool:
    """Stop by this signal, and return when we are continued; False where the system does not stop us (an orphan)."""
    import signal

    continued: list[int] = []
    caught = signal.signal(number, signal.SIG_DFL) if number != signal.SIGSTOP else None
    again = signal.signal(signal.SIGCONT, lambda *_: continued.append(1))
    # The whole job, as the terminal would have stopped it; but a program that stops itself stops nobody else.
    os.kill(os.getpid() if number == signal.SIGSTOP else 0, number)
    signal.signal(signal.SIGCONT, again)
    if number != signal.SIGSTOP:
        signal.signal(number, caught)
    return bool(continued)


def _catch() -> int:
    """Have signals come in by a pipe whose reading end this is, but for those that we were started without."""
    import signal

    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    for number in (
        *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2),
        *(signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH),
    ):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores: whoever sends it means an end
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading
