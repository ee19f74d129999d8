"""One file or folder by SFTP: got, put or listed, beneath the roots that a person declared.

Rules of this file
- What a path leads to is asked first (`realpath`), for the path and for its root, and must lie beneath: a symbolic link
  out of a root is refused. Between the question and the opening a link may be placed by whoever can write there: a root
  is declared for folders where only trusted accounts can.
- A file that is put is created, and it is an error if it is there; `overwrite` writes into the one that is.
- What the server says is bounded before it is read or kept: a packet, a name, all names of a folder.
- Only regular files are read: a pipe would never end and a device never stop.
- The server's words for what went wrong are not passed on.
- A path is text, on a card and in the audit as well. A name that is none is listed in a way that has one reading (each
  odd byte as backslash, x and two hex digits, a backslash doubled, and a mark beside it), and not copied.
"""

from __future__ import annotations

import errno
import json
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from paramiko import SFTPAttributes, SFTPClient
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_HANDLE,
    CMD_NAME,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    CMD_STATUS,
    SFTP_EOF,
    SFTPError,
    int64,
)

from brokers.contract import BrokerError
from brokers.ssh import remote
from brokers.ssh.call import Call
from brokers.ssh.driver import DRIVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from paramiko import Channel, Message

    from brokers.ssh.session import Session

MAX_ENTRIES = 10_000  # of a folder: more is no list that anybody reads
MAX_NAMES = 1 << 20  # bytes of all its names, which a hostile server chooses
MAX_NAME = 1024  # bytes of one: four times what Linux and its file systems take
MAX_PACKET = (256 << 10) + 1024  # bytes: OpenSSH's own limit, and its head
_PIECE = 32 << 10  # bytes of a request: what every server takes
_AHEAD = 16  # requests under way: 512 KiB, so that a distant server is read at more than a request a round trip
_LEAST_ENTRY = 12  # bytes of a name in an answer: two lengths and flags
_WAIT = 5.0  # seconds between looks, as of `running`
_LISTED = 4  # as above, for parts of a folder's list: OpenSSH sends 100 names in each
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")  # in a path: it may have been taken from a list
_NO_TEXT = "a name that is not UTF-8, which a list shows escaped, is not copied: have it renamed there"
_NAMES = {"d": "folder", "-": "file", "l": "link"}


class _Batch:
    """Answers by the number of their request, in whatever order they come."""

    def __init__(self) -> None:
        self.answers: dict[int, tuple[int, Message]] = {}

    def _async_response(self, kind: int, message: Message, number: int) -> None:
        self.answers[number] = (kind, message)


class _Files(SFTPClient):
    """paramiko's client, which believes any number of names that an answer claims to hold.

    Its own way to read ahead takes a thread for each batch, which nobody ends.
    """

    def pieces(self, handle: bytes, at: int) -> Iterator[bytes]:
        """What stands in a file from `at` on, in pieces that were asked for all at once; b"" at its end."""
        asked = [(CMD_READ, handle, int64(at + number * _PIECE), _PIECE) for number in range(_AHEAD)]
        for kind, message in self._together(asked):
            if kind == CMD_STATUS:
                if message.get_int() != SFTP_EOF:
                    raise OSError
                yield b""
                return
            data = message.get_binary() if kind == CMD_DATA else b""
            if not 0 < len(data) <= _PIECE:
                raise SFTPError
            yield data

    def entries(self, path: str) -> Iterator[tuple[bytes, SFTPAttributes]]:
        """What lies in a folder: names as bytes, which need not be text, and what each is."""
        kind, message = self._request(CMD_OPENDIR, path)  # type: ignore[attr-defined] # private, so its stubs lack it
        if kind != CMD_HANDLE:
            raise SFTPError
        handle = message.get_binary()
        while True:
            for kind, answer in self._together([(CMD_READDIR, handle)] * _LISTED):
                if kind == CMD_STATUS:
                    with suppress(EOFError):
                        self._convert_status(answer)  # type: ignore[attr-defined] # as above
                        raise SFTPError
                    self._request(CMD_CLOSE, handle)  # type: ignore[attr-defined] # as above
                    return
                if kind != CMD_NAME:
                    raise SFTPError
                for _ in range(answer.get_int()):
                    name, _long = answer.get_binary(), answer.get_binary()
                    yield name, SFTPAttributes._from_msg(answer)  # type: ignore[attr-defined] # noqa: SLF001 - as above

    def _together(self, requests: Sequence[tuple[object, ...]]) -> Iterator[tuple[int, Message]]:
        """The answers to requests that are sent all at once, in their order."""
        batch = _Batch()
        asked = [self._async_request(batch, *request) for request in requests]  # type: ignore[attr-defined] # as above
        while len(batch.answers) < len(asked):
            self._read_response()  # type: ignore[attr-defined] # as above
        return (batch.answers[number] for number in asked)

    def _read_packet(self) -> tuple[int, bytes]:
        size = int.from_bytes(self._read_all(4), "big")  # type: ignore[attr-defined] # as above
        if not 0 < size <= MAX_PACKET:
            raise SFTPError
        whole: bytes = self._read_all(size)  # type: ignore[attr-defined] # as above
        kind, data = whole[0], whole[1:]
        if kind == CMD_NAME and int.from_bytes(data[4:8], "big") * _LEAST_ENTRY > len(data):
            raise SFTPError
        return kind, data


class Copy(Call):
    """A copy on its way. `request` is the plan's."""

    def __init__(self, session: Session, request: Mapping[str, object], roots: Sequence[str], body: bytes) -> None:
        super().__init__(session, self._copy, {"timed_out": False, "may_go_on": False})
        self._request = request
        self._roots = roots
        self._body = body

    def _copy(self, call: Call, channel: Channel) -> None:
        del call
        try:
            channel.invoke_subsystem("sftp")
            files = _Files(channel)
        except DRIVER:
            if self.session.client.is_active() and not self.stopped:
                raise BrokerError("refused", why="the server offers no SFTP that speaks as it should") from None
            raise
        act: Callable[[_Files, str], None] = {"GET": self._get, "PUT": self._put, "LIST": self._list}[
            str(self._request["method"])
        ]
        try:
            act(files, self._resolved(files, str(self._request["path"])))
        except (OSError, SFTPError) as error:
            raise self._translated(error) from None
        self.finished({})

    def _translated(self, error: OSError | SFTPError) -> BrokerError:
        if not self.session.client.is_active() or isinstance(error, SFTPError):
            return BrokerError("broken")
        code = getattr(error, "errno", None)
        if code == errno.ENOENT:
            shown = _ESCAPED.search(str(self._request["path"])) is not None
            return BrokerError("refused", why="there is no such file or folder" + (f"; {_NO_TEXT}" if shown else ""))
        if code == errno.EACCES:
            return BrokerError("refused", why="the account has no right to it")
        return BrokerError("refused", why="the server cannot do it; a file that is put must not be there yet")

    def _resolved(self, files: _Files, path: str) -> str:
        """Where `path` leads. Raises `BrokerError("refused")` where that is out of every root."""
        put = self._request["method"] == "PUT"
        try:
            return self._led(files, path, put=put)
        except UnicodeDecodeError:
            raise BrokerError(
                "refused", why=f"the path leads to a name on the server that is not UTF-8; {_NO_TEXT}"
            ) from None

    def _led(self, files: _Files, path: str, *, put: bool) -> str:
        # What is put is not there yet, so its folder is asked for.
        folder, _, name = path.rpartition("/") if put else (path, "", "")
        real = files.normalize(folder or "/")
        led = f"{real.rstrip('/')}/{name}" if put else real
        roots = [files.normalize(root) for root in self._roots if remote.beneath(path, root)]
        if not any(remote.beneath(led, root) for root in roots):
            raise BrokerError("refused", why="the path leads out of the declared roots on the server")
        if remote.hidden(led, roots) and not remote.hidden(path, self._roots):
            raise BrokerError("refused", why="the path leads to what is hidden on the server: name that itself")
        return led

    def _get(self, files: _Files, path: str) -> None:
        _regular(files.stat(path))
        with files.open(path, "rb") as file:
            found = file.stat()
            _regular(found)
            self.head.update(size=found.st_size, modified=found.st_mtime)
            self.begun()
            at = 0
            while not self.stopped:
                for piece in files.pieces(cast("bytes", file.handle), at):
                    if not piece:
                        return
                    at += len(piece)
                    self._hand_over(piece)
                    if len(piece) < _PIECE:  # less than was asked for: the next batch begins behind it
                        break

    def _hand_over(self, chunk: bytes) -> None:
        while self.out.full and not self.stopped:
            self.wake.clear()
            if self.out.full:
                self.wake.wait(_WAIT)
        if not self.stopped:
            self.out.put(chunk)

    def _put(self, files: _Files, path: str) -> None:
        overwrite = self._request["overwrite"] is True
        if overwrite:
            self._leads_nowhere(files, path)
        self.sent = True
        with files.open(path, "wb" if overwrite else "wxb") as file:
            file.set_pipelined(pipelined=True)
            for at in range(0, len(self._body), _PIECE):
                if self.stopped:
                    return
                file.write(self._body[at : at + _PIECE])
            file.set_pipelined(pipelined=False)
            size = file.stat().st_size
        if size != len(self._body):
            raise BrokerError("broken")
        self.head.update(size=size)
        self.begun()

    def _leads_nowhere(self, files: _Files, path: str) -> None:
        """Refuse a link where a file is overwritten: writing goes through it."""
        try:
            found = files.lstat(path)
        except FileNotFoundError:
            return
        _regular(found)

    def _list(self, files: _Files, path: str) -> None:
        entries: list[dict[str, object]] = []
        truncated, size = False, 0
        for name, found in files.entries(path):
            if name in {b".", b".."}:
                continue
            if not 0 < len(name) <= MAX_NAME:
                raise SFTPError
            size += len(name)
            if len(entries) >= MAX_ENTRIES or size > MAX_NAMES or self.stopped:
                truncated = True
                break
            mode = found.st_mode or 0
            entries.append(
                {
                    **_named(name),
                    "type": _NAMES.get(stat.filemode(mode)[0], "other"),
                    "size": found.st_size,
                    "mode": f"{stat.S_IMODE(mode):04o}",
                    "modified": found.st_mtime,
                }
            )
        entries.sort(key=lambda entry: str(entry["name"]))
        self.head.update(form="json", entries=len(entries), truncated=truncated)
        self.begun()
        self._hand_over(json.dumps({"entries": entries, "truncated": truncated}, ensure_ascii=False).encode())


def _named(name: bytes) -> dict[str, object]:
    """A name as a list has it: one that is not UTF-8 escaped, and said to be."""
    try:
        return {"name": name.decode()}
    except UnicodeDecodeError:
        return {"name": name.replace(b"\\", rb"\\").decode("utf-8", "backslashreplace"), "escaped": True}


def _regular(found: SFTPAttributes) -> None:
    if found.st_mode is None or not stat.S_ISREG(found.st_mode):
        raise BrokerError("refused", why="it is no regular file")
