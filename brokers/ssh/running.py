"""One command in a channel of its own: no terminal, no shell, no environment, no forwarding; two streams and an end.

Rules of this file
- What is sent is the planned line, as an `exec` request and nothing else.
- Input is written beside the reading and ends with EOF; a program that stops reading it does not stop the call.
- Both streams share the window that SSH grants a channel: who reads neither of them holds up both.
- The exit status is known before the streams end. A connection that breaks off ends them with an error, since what came
  may not be all.
- Where the program did not end its output itself (time was up, a signal ended it, the channel was closed on it), the
  head says `cut`: the last that came may be half of something.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from paramiko import Message, SSHException
from paramiko.common import cMSG_CHANNEL_REQUEST

from brokers.contract import BrokerError
from brokers.ssh import threads
from brokers.ssh.call import Call
from brokers.ssh.driver import DRIVER
from brokers.ssh.stream import CHUNK, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import Channel

    from brokers.ssh.session import Session

_PIECE = 32 << 10  # bytes of input at a time: a packet's worth
_LOOK = 5.0  # seconds between looks that nothing rang for; every event rings, so this is for the unforeseen
_NO_STATUS = -1  # paramiko's way to say so


# How a command ends whose time was up under timeout(1): 124, or by KILL, which takes timeout with it. BusyBox' process
# becomes the command, which the signal ends. A shell before it makes 128 and more of a signal.
_TIMED_OUT = frozenset({124, 137, 143, "KILL", "TERM"})
_KILLED = frozenset({137, "KILL"})  # timeout with its command, unless that is another user's: behind sudo it goes on


class _Bell:
    """Rings when paramiko has something to read: a `threading.Event` that nobody can clear but its owner."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self.set = ring

    def clear(self) -> None:
        """Nothing: it is cleared before looking, not after reading."""


class Run(Call):
    """A command on its way. `timed` says that timeout(1) stands before it, which ends it when its time is up."""

    tells_timeout = True

    def __init__(self, session: Session, command: str, stdin: bytes, *, timed: bool) -> None:
        head: dict[str, object] = {"exit": None, "signal": None, "timed_out": False, "may_go_on": False, "cut": False}
        super().__init__(session, self._run, head)
        self._command = command
        self._stdin = stdin
        self._timed = timed

    def _run(self, call: Call, channel: Channel) -> None:
        del call
        bell = _Bell(self.wake.set)
        channel.in_buffer.set_event(bell)  # type: ignore[arg-type] # it rings and clears, which is all that is asked
        channel.in_stderr_buffer.set_event(bell)  # type: ignore[arg-type] # as above
        self.sent = True
        try:
            channel.exec_command(self._command)
        except SSHException:
            if self.session.client.is_active() and not self.stopped:
                raise BrokerError("refused", why="the server runs no commands for this account") from None
            raise
        self.begun()
        if self._stdin:
            threads.spawn(lambda: self._feed(channel))
        else:
            self._end_input(channel)
        self._pump(channel)

    def _pump(self, channel: Channel) -> None:
        while not self.stopped:
            self.wake.clear()
            # Asked before reading: what came before the end is read, then.
            ended = bool(channel.eof_received or channel.closed)
            moved = _move(channel.recv_ready, channel.recv, self.out)
            moved |= _move(channel.recv_stderr_ready, channel.recv_stderr, self.err)
            if moved:
                continue
            if ended and not channel.recv_ready() and not channel.recv_stderr_ready():
                break
            self.wake.wait(_LOOK)
        while not self.stopped and not channel.status_event.wait(_LOOK):
            pass
        self._tell(channel)

    def _feed(self, channel: Channel) -> None:
        """Write the input and its end, as far as the other side takes it."""
        at = 0
        with contextlib.suppress(*DRIVER):
            while at < len(self._stdin):
                # The window is waited for without the lock: whoever wants to close must not wait for a program to read.
                with channel.lock:
                    channel.out_buffer_cv.wait_for(lambda: _writable(channel), _LOOK)
                with self.writing:
                    if _gone(channel):
                        return
                    if channel.send_ready():
                        at += channel.send(self._stdin[at : at + _PIECE])
            self._end_input(channel)

    def _end_input(self, channel: Channel) -> None:
        with self.writing:
            channel.shutdown_write()

    def _hang_up(self, channel: Channel) -> None:
        """Ask for the program's end where it has not come to one: a program that writes nothing notices no close.

        A request without an answer (RFC 4254 section 6.9): sshd passes it on to what it started, but not to a forced
        command, and another server may not at all. So the head says all the same that the command may go on.
        """
        if self.sent and not channel.closed and not channel.status_event.is_set():
            message = Message()
            message.add_byte(cMSG_CHANNEL_REQUEST)
            message.add_int(channel.remote_chanid)
            message.add_string("signal")
            message.add_boolean(False)  # noqa: FBT003 - a message is written value by value
            message.add_string("TERM")
            send = self.session.client._send_user_message  # type: ignore[attr-defined] # noqa: SLF001 - no public way
            send(message)

    def _tell(self, channel: Channel) -> None:
        status, signal = channel.exit_status, getattr(channel, "exit_signal", None)
        known = status != _NO_STATUS or signal is not None
        if not known and not self.session.client.is_active():
            raise BrokerError("broken")
        late = self._timed and (status in _TIMED_OUT or signal in _TIMED_OUT)
        told = {"exit": None if status == _NO_STATUS else status, "signal": signal, "timed_out": late}
        told["may_go_on"] = late and not {status, signal}.isdisjoint(_KILLED)
        cut = late or signal is not None or getattr(channel, "peer_closed_early", False)
        self.finished({**told, "cut": cut})


def _move(ready: Callable[[], bool], read: Callable[[int], bytes], stream: Stream) -> bool:
    if stream.full or not ready():
        return False
    stream.put(read(CHUNK))
    return True


def _gone(channel: Channel) -> bool:
    return bool(channel.closed or channel.eof_sent or getattr(channel, "peer_closed", False))


def _writable(channel: Channel) -> bool:
    return channel.out_window_size > 0 or _gone(channel)
