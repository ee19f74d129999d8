"""paramiko, held to bounds: the one transport class that kv speaks SSH with.

Rules of this file
- Every number that the other side sends is bounded before it is used: the packet, the greeting, the counts that
  paramiko loops over, and what is sent beyond the window. Most of it may come from an impostor, before any key is
  checked. What paramiko itself would do: read a packet of 4 GiB, loop 2**32 times over a count, buffer without end.
- Algorithms are those of a current OpenSSH client: no SHA-1, no CBC, no MD5, no group that the server invents.
- The driver keeps no clock: whoever has a deadline cuts the socket, and every wait within the driver ends.
- Its loggers are silent: at their levels stand banners, user names and disconnect messages.
"""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, cast

from paramiko import SFTPAttributes, SSHException, Transport
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_REQUEST,
    MSG_EXT_INFO,
    MSG_USERAUTH_INFO_REQUEST,
)
from paramiko.packet import Packetizer
from paramiko.sftp import SFTPError

if TYPE_CHECKING:
    import socket

    from paramiko import Channel, Message

MAX_PACKET = (256 << 10) + 1024  # bytes: OpenSSH's own limit, and room for a MAC
MAX_GREETING = 64 << 10  # bytes before the version line: a page of legal text
MAX_COUNT = 64  # extensions, prompts or further attributes in one message: real ones have a handful
MAX_UNASKED = 500  # messages while nobody calls: the answers to two minutes of keep-alive, a new key, ends of channels
WINDOW = 1 << 20  # bytes that the server may send unread: what a call costs at most, and enough for 80 MB/s at 12 ms
# What paramiko raises: its own errors, and what its decoders do where a message is none.
DRIVER = (
    *(SSHException, SFTPError, EOFError, OSError, RuntimeError, AssertionError, AttributeError, TypeError),
    *(ValueError, LookupError, struct.error),
)
KEEP_ALIVE = 30  # seconds: below the minute after which routers forget a connection

_LOGGER = logging.getLogger("paramiko")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False
_LOGGER.setLevel(logging.CRITICAL + 1)  # nothing is even put into words

_KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")


class BoundExceeded(SSHException):
    """The other side sent a number that nothing real has."""


class Bounded(Packetizer):
    """paramiko's packets, within bounds. `unasked` counts those of a server that nobody calls, and is None else."""

    unasked: int | None = None
    _greeted = 0

    def start_handshake(self, timeout: float) -> None:
        """Nothing: it would start a timer thread that outlives the call, and the deadline is not the driver's."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002 - paramiko's signature
        """Exactly `n` bytes, where `n` came from the other side."""
        if not 0 <= n <= MAX_PACKET:
            raise BoundExceeded
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        """A part of the greeting, which has neither frame nor length."""
        data: bytes = super()._read_timeout(timeout)  # type: ignore[misc] # private to paramiko, so its stubs lack it
        self._greeted += len(data)
        if self._greeted > MAX_GREETING:
            raise BoundExceeded
        return data

    def read_message(self) -> tuple[int, Message]:
        """A message whose counts, where paramiko loops over one, are those of real messages."""
        kind, message = super().read_message()
        if self.unasked is not None:  # each costs a processor, and a kept session would be one of the server's
            self.unasked += 1
            if self.unasked > MAX_UNASKED:
                raise BoundExceeded
        if kind == MSG_EXT_INFO:
            _count(message, strings=0)
        elif kind == MSG_USERAUTH_INFO_REQUEST:
            _count(message, strings=3)  # name, instruction and language stand before the number of prompts
        return kind, message


class Client(Transport):
    """A connection over a socket that somebody dialled and checked; `algorithms` are those of the pinned host keys."""

    _active_check_timeout = 1.0  # seconds between looks at whether it was closed; closing shuts the socket down anyway

    def __init__(self, sock: socket.socket | Channel, algorithms: tuple[str, ...]) -> None:
        super().__init__(
            sock,  # a channel serves as a socket, as paramiko documents
            default_window_size=WINDOW,
            packetizer_class=Bounded,
        )
        self.banner_timeout = self.handshake_timeout = _NEVER
        self.auth_timeout = self.channel_timeout = _NEVER
        options = self.get_security_options()
        offered = set(options.kex)
        options.kex = tuple(name for name in _KEX if name in offered)  # what this build of the libraries has
        options.ciphers = _CIPHERS
        options.digests = _MACS
        options.key_types = algorithms

    def listen(self, *, much: bool) -> None:
        """Whether somebody calls, and the server may say much; or else soon too much."""
        cast("Bounded", self.packetizer).unasked = None if much else 0


_NEVER = 1 << 20  # seconds: the deadline is the caller's


def _count(message: Message, strings: int) -> None:
    for _ in range(strings):
        message.get_string()
    if message.get_int() > MAX_COUNT:
        raise BoundExceeded
    message.rewind()


def _data(channel: Channel, message: Message) -> None:
    """Output: not more than the window that was granted. Without this look a server fills the memory."""
    held = len(channel.in_buffer) + len(channel.in_stderr_buffer)
    if held + len(message.asbytes()) > WINDOW + MAX_PACKET:
        raise BoundExceeded
    _FEED(channel, message)


def _extended(channel: Channel, message: Message) -> None:
    held = len(channel.in_buffer) + len(channel.in_stderr_buffer)
    if held + len(message.asbytes()) > WINDOW + MAX_PACKET:
        raise BoundExceeded
    _FEED_EXTENDED(channel, message)


def _request(channel: Channel, message: Message) -> None:
    """A request of the server's within a channel: paramiko refuses what it does not know, and drops `exit-signal`."""
    if message.get_text() == "exit-signal":
        message.get_boolean()
        channel.exit_signal = signal_name(message.get_text())  # type: ignore[attr-defined] # ours, on paramiko's object
    message.rewind()
    message.get_int()
    _REQUEST(channel, message)


def _close(channel: Channel, message: Message) -> None:
    """The other side's end of a channel: everybody who waits is told, and the answer is left to whoever owns it.

    paramiko answers here, in the transport's thread, while another thread may be about to send the end of the input:
    that then comes behind our own close, which to sshd is a broken protocol and the end of the whole connection.
    """
    channel.peer_closed_early = not channel.eof_received  # type: ignore[attr-defined] # as below
    _EOF(channel, message)
    with channel.lock:
        channel.peer_closed = True  # type: ignore[attr-defined] # ours, on paramiko's object
        channel.out_buffer_cv.notify_all()
    channel.status_event.set()
    channel.event.set()


def _unpack(attributes: SFTPAttributes, message: Message) -> None:
    """A file's attributes: of the further ones not more than there may be, and they are passed over."""
    _UNPACK(attributes, message)
    if attributes._flags & _EXTENDED:  # type: ignore[attr-defined] # noqa: SLF001 - as above
        count = message.get_int()
        if count > MAX_COUNT:
            raise SFTPError
        for _ in range(2 * count):
            message.get_string()


def signal_name(text: str) -> str:
    """A signal's name (RFC 4254 section 6.10) as it goes into the head; what is none becomes "?"."""
    return text if text.isascii() and text.isalnum() and len(text) <= 16 else "?"  # noqa: PLR2004 - SIGVTALRM has 9


_TABLE = dict(Transport._channel_handler_table)  # type: ignore[attr-defined] # noqa: SLF001 - there is no public hook
_FEED, _FEED_EXTENDED = _TABLE[MSG_CHANNEL_DATA], _TABLE[MSG_CHANNEL_EXTENDED_DATA]
_REQUEST, _EOF = _TABLE[MSG_CHANNEL_REQUEST], _TABLE[MSG_CHANNEL_EOF]
Client._channel_handler_table = {  # type: ignore[attr-defined] # noqa: SLF001 - as above
    **_TABLE,
    MSG_CHANNEL_DATA: _data,
    MSG_CHANNEL_EXTENDED_DATA: _extended,
    MSG_CHANNEL_REQUEST: _request,
    MSG_CHANNEL_CLOSE: _close,
}
_UNPACK, _EXTENDED = SFTPAttributes._unpack, SFTPAttributes.FLAG_EXTENDED  # type: ignore[attr-defined] # noqa: SLF001 - as above
SFTPAttributes._unpack = _unpack  # type: ignore[attr-defined] # noqa: SLF001 - as above
SFTPAttributes.FLAG_EXTENDED = 0  # so that its own loop is not entered
