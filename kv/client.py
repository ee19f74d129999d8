"""A client of the keeper's sockets: connect, check who listens, ask, read the answer.

Rules of this file
- Standard library only; `kv.hot` starts with it.
- Nothing is sent to a listener that is not the keeper: its uid must be ours and its pid must hold the lock
  beside the vault. (A program of the same user that replaces the lock file as well is not stopped here;
  SECURITY.md says so. A passphrase is never sent at all.)
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

from kv import __version__, wire
from kv.errors import KvError, RemoteError
from kv.paths import Runtime, socket_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

AGENT, ADMIN = "agent", "kv"

_ANY_VERSION = frozenset({"status", "lock", "panic"})  # what an upgraded client still asks of the keeper before it
# A keeper greets in microseconds, unless it is kept busy: who is known to be one is waited for.
_GREETING_SECONDS, _STRANGER_SECONDS = 15.0, 5.0
_ENDING_SECONDS = 0.2  # a process that exits closes its files one after the other
_PEERCRED = struct.Struct("3i")
_FLOCK = struct.Struct("hhqqi4x")  # `struct flock` of Linux on 64-bit platforms
_F_GETLK, _F_WRLCK, _F_UNLCK = 5, 1, 2


class Answer:
    """What the keeper answered: the members of `ok`, and the body's bytes."""

    __slots__ = ("body", "ok")

    def __init__(self, ok: dict[str, object], body: bytes) -> None:
        self.ok = ok
        self.body = body


class Client:
    """One connection to a keeper. Use as a context manager; requests go one after another."""

    def __init__(self, vault: str, channel: str = AGENT, kind: str = "cli") -> None:
        self.runtime = Runtime(vault)
        self.kind = kind
        self._decoder = wire.Decoder()
        self._other_version = ""
        lone = os.environ.get("KV_AGENT_SOCKET") if channel == AGENT else None
        self._checked = lone is None  # that the listener holds the lock
        self._socket = _dial(self.runtime, channel, lone)
        try:
            self.keeper = self._greeting()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Client:  # noqa: PYI034 - Self would cost a hot verb typing
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; a request that still waits is withdrawn by that."""
        self._socket.close()

    def hang_up(self) -> None:
        """Shut the connection down from another thread: a blocked `ask` there ends with `gone`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def ask(  # noqa: PLR0913 - the parts of a request
        self,
        verb: str,
        args: dict[str, object] | None = None,
        body: bytes = b"",
        *,
        proof: dict[str, object] | None = None,
        folder: int | None = None,
        event: Callable[[dict[str, object]], None] | None = None,
        output: Callable[[str, bytes], None] | None = None,
    ) -> Answer:
        """Send one request, pass its events to `event`, return its answer. Raises `RemoteError`: the keeper's error.

        `folder` is a directory descriptor that travels with the request. `output` is given what a live command says:
        the stream's name, and bytes.
        """
        if self._other_version and verb not in _ANY_VERSION:
            raise KvError("keeper-version", client=__version__, keeper=self._other_version)
        header: dict[str, object] = {"verb": verb, "args": args or {}, "client": self.kind}
        if proof is not None:
            header["proof"] = proof
        if "echo" in self.keeper:
            header["echo"] = self.keeper["echo"]
        self._send(wire.encode(header, body), folder)
        while True:
            frame = self._receive()
            if "event" in frame.header:
                if frame.header["event"] == "output":
                    if output is not None:
                        output(str(frame.header.get("stream")), frame.body)
                elif event is not None:
                    event(frame.header)
                continue
            error = frame.header.get("error")
            if isinstance(error, dict):
                raise RemoteError(error)
            return Answer(*wire.answer(frame))

    def _send(self, data: bytes, folder: int | None) -> None:
        try:
            if folder is not None:
                sent = socket.send_fds(self._socket, [data], [folder])
                data = data[sent:]
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # The keeper may have answered (busy, too large) before it hung up: the answer says more than the pipe.
            return

    def _receive(self) -> wire.Frame:
        while (frame := self._decoder.next()) is None:
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError:
                if self._checked:  # it has too much to do to say so
                    raise KvError("busy", what="connections just now") from None
                raise KvError("keeper-foreign", pid="unknown") from None
            except ConnectionError:
                data = b""
            if not data:
                raise KvError("gone")
            self._decoder.feed(data)
        return frame

    def _greeting(self) -> dict[str, object]:
        self._socket.settimeout(_GREETING_SECONDS if self._checked else _STRANGER_SECONDS)
        greeting = self._receive().header
        self._socket.settimeout(None)
        error = greeting.get("error")
        if isinstance(error, dict):
            raise RemoteError(error)
        if (greeting.get("kv"), greeting.get("version")) != (wire.VERSION, __version__):
            self._other_version = str(greeting.get("version"))
        return greeting


def _dial(runtime: Runtime, channel: str, lone: str | None) -> socket.socket:
    """A connected, checked socket. `lone` is an agents' socket by itself, as mounted into a container."""
    if lone is None:
        runtime.check()
    path = lone or (runtime.agent_socket if channel == AGENT else runtime.kv_socket)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _connect(sock, path)
        if lone is None:
            _check_listener(sock, runtime, channel)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(sock: socket.socket, path: str) -> None:
    descriptor = None
    try:
        address, descriptor = socket_address(path)
        sock.connect(address)
    except OSError:
        raise KvError("locked") from None  # no socket, or a stale one: no keeper, and no keeper means locked
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _check_listener(sock: socket.socket, runtime: Runtime, channel: str) -> None:
    pid, uid, _ = _PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
    if uid != os.geteuid() or pid != lock_holder(runtime.lock):
        _note_stranger(runtime, channel, pid, uid)
        raise KvError("keeper-foreign", pid=pid)


def _note_stranger(runtime: Runtime, channel: str, pid: int, uid: int) -> None:
    """Leave word for the audit of who listens in the keeper's place, unless it is a keeper at its own end."""
    import time

    from kv import strangers

    time.sleep(_ENDING_SECONDS)
    if pid == 0 or not strangers.gone(pid):
        strangers.note(runtime.folder, channel, pid, uid)


def lock_holder(path: str) -> int:
    """The pid that holds the record lock on `path`, as the kernel tells it (`F_GETLK`), or 0."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        found = fcntl.fcntl(descriptor, _F_GETLK, _FLOCK.pack(_F_WRLCK, 0, 0, 0, 0))
    finally:
        os.close(descriptor)
    kind, _, _, _, pid = _FLOCK.unpack(found)
    return 0 if kind == _F_UNLCK else int(pid)
