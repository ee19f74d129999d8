"""The loop of a run: bytes, signals, sizes and ends, between program, client and keeper, until nobody of it is left.

Rules of this file
- One `poll`, no threads; whatever could wait for somebody has been made not to block.
- The run ends when its program has, and all that this one started. The client's end and the keeper's word end it early.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from kv.runner.messages import Continue, Resize, Signal
from kv.runner.offspring import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.runner.control import Control
    from kv.runner.inlet import Inlet
    from kv.runner.messages import Size
    from kv.runner.order import KeeperLine
    from kv.runner.pump import Pump
    from kv.runner.streams import Streams
    from kv.runner.terminal import Terminal

# To the group: what is meant to end or stop a job. To the program alone: what it has a meaning of its own for.
_TO_GROUP = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP}
_TO_ONE = {signal.SIGUSR1, signal.SIGUSR2}
_WAKE = 64


class Relay:
    """One run, from the start of its program on. `run`, then read how it ended."""

    def __init__(
        self,
        pid: int,
        keeper: KeeperLine,
        control: Control,
        streams: Streams,
        *,
        timeout: float,
    ) -> None:
        self._pid, self._keeper, self._control = pid, keeper, control
        self._pumps, self._inlets, self._terminal = streams.pumps, streams.inlets, streams.terminal
        self._stop_at = time.monotonic() + timeout if timeout else None
        self._parts: list[Pump | Inlet] = [*streams.pumps, *streams.inlets]
        self._ending: Ending | None = None
        self._alone = False  # no process of the run is left
        self._stopped = False
        self._asked_to_end = False
        self._wake = wake()
        signal.signal(signal.SIGTERM, self._asked)
        self.status: int | None = None
        self.timed_out = False
        self.left = 0

    def _asked(self, *_: object) -> None:
        self._asked_to_end = True

    def run(self) -> None:
        """Relay until the program and all it started have ended and everything is written."""
        for inlet in self._inlets:
            inlet.start()
        self._reap()
        self._judge()
        while not (self._alone and all(pump.done for pump in self._pumps)):
            self._step()
            self._judge()
        for part in self._parts:
            part.close()

    def _step(self) -> None:
        """Wait for the next thing to happen, and do it."""
        poller = select.poll()
        owners: dict[int, Pump | Inlet] = {}
        for part in self._parts:
            for descriptor, events in part.wants():
                poller.register(descriptor, events)
                owners[descriptor] = part
        poller.register(self._wake, select.POLLIN)
        if not self._control.ended:
            poller.register(self._control, select.POLLIN | (select.POLLOUT if self._control.waiting else 0))
        if not self._keeper.ended:
            poller.register(self._keeper, select.POLLIN)
        for descriptor, events in poller.poll(self._patience()):
            if descriptor in owners:
                owners[descriptor].ready(descriptor, events)
            else:
                self._notice(descriptor, events)
        for pump in self._pumps:
            pump.late()

    def _notice(self, descriptor: int, events: int) -> None:
        if descriptor == self._wake:
            os.read(self._wake, _WAKE)
            self._reap()
        elif descriptor == self._control.fileno():
            self._hear(events)
        elif self._keeper.killed():
            self._asked_to_end = True

    def _patience(self) -> float | None:
        """Milliseconds until something is due."""
        due = [pump.deadline() for pump in self._pumps]
        due.append(self._stop_at)
        due.append(self._ending.deadline() if self._ending is not None and not self._alone else None)
        soonest = min((at for at in due if at is not None), default=None)
        return None if soonest is None else max(0.0, (soonest - time.monotonic()) * 1000) + 1

    def _judge(self) -> None:
        """Whether the run is to end, and how far its end has come."""
        now = time.monotonic()
        if self._stop_at is not None and now >= self._stop_at:
            self._stop_at = None
            self.timed_out = self.status is None
            self._asked_to_end = True
        if self._control.ended:
            self._abandon()
        elif self._terminal is not None and self._inlets[0].ended:  # the client's window was closed
            self._close_window(self._terminal)
        over = self._asked_to_end or self._control.ended or self.status is not None
        if over and self._ending is None and not self._alone:
            self._stop_at = None
            self._ending = Ending(now)
            self.left = self._ending.count if self.status is not None else 0
        if self._ending is not None and not self._alone:
            self._ending.late(now)
            self._reap()
            self._alone = self._alone or self._ending.in_vain
        if self._alone:
            if self._terminal is not None:
                self._terminal.hang_up()
            for pump in self._pumps:
                pump.finish()

    def _abandon(self) -> None:
        """The client is gone: nobody reads, nobody types, and the terminal is no more."""
        for pump in self._pumps:
            pump.abandon()
        for inlet in self._inlets:
            inlet.close()
        if self._terminal is not None:
            self._terminal.close()

    def _close_window(self, terminal: Terminal) -> None:
        """Nobody sees the inner terminal any more; what was given beside it goes on."""
        self._pumps[0].abandon()
        self._inlets[0].close()
        terminal.close()

    def _reap(self) -> None:
        """Wait for whoever has ended or stopped, the adopted too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                self._alone = True
                return
            if not pid:
                return
            if pid == self._pid and os.WIFSTOPPED(status):
                self._stop(os.WSTOPSIG(status))
            elif pid == self._pid:
                self.status = status

    def _stop(self, number: int) -> None:
        """The program has stopped: the client stops likewise, and says when it goes on."""
        self._stopped = True
        for pump in self._pumps:
            pump.pause()
        self._control.tell({"stopped": number})

    def _hear(self, events: int) -> None:
        if events & select.POLLOUT:
            self._control.send()
        for message in self._control.messages():
            if isinstance(message, Signal):
                self._forward(message.signal)
            elif isinstance(message, Resize):
                self._resize(message.size)
            else:
                self._continue(message)

    def _forward(self, number: int) -> None:
        if number in _TO_GROUP:
            self._send(number, os.killpg)
        elif number in _TO_ONE:
            self._send(number, os.kill)

    def _send(self, number: int, how: Callable[[int, int], None]) -> None:
        if self.status is None:
            with contextlib.suppress(OSError):  # it has left its group, or is another user's by now (sudo)
                how(self._pid, number)

    def _resize(self, size: Size | None) -> None:
        if self._terminal is not None and size is not None:
            self._terminal.resize(size)

    def _continue(self, message: Continue) -> None:
        """The client goes on. Who had the terminal keeps it, a shell's jobs inside for example, unless it was taken."""
        self._resize(message.size)
        if self._terminal is not None and not message.foreground:
            self._terminal.give(os.getpgrp())
        elif self._terminal is not None and (self._stopped or not self._terminal.given):
            self._terminal.give(self._pid)
        self._stopped = False
        self._send(signal.SIGCONT, os.killpg)


def wake() -> int:
    """A descriptor that becomes readable when a child has ended or stopped, or a signal of ours has come."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading
