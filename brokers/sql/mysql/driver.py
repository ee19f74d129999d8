"""PyMySQL's connection, held to what kv allows: how it logs in, how much it reads, and whom it lets ask for files.

Rules of this file
- The only place that knows the driver, its private names too: each is a step of the protocol that must not be taken
  in the driver's own way.
- A password answers a challenge, or travels within checked TLS. It is never sent in the clear, and never encrypted to
  a key that nobody has checked.
- A packet is bounded while it comes in. A request for a local file ends the connection.
- No option file, environment, Unix socket, compression or second statement in a text.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymysql import _auth, connections, err, protocol
from pymysql.constants import COMMAND

from brokers.contract import BrokerError
from brokers.sql.mysql.cells import Field
from brokers.sql.rows import MAX_CELL, MAX_COLUMNS

if TYPE_CHECKING:
    import ssl

Error = err.MySQLError
_Base: Any = connections.Connection
# What PyMySQL lets out, beside its own errors, of a malformed packet or of a connection that was cut.
MALFORMED = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    UnicodeError,
    ValueError,
    struct.error,
    RuntimeError,
)
_CHALLENGES = frozenset({"mysql_native_password", "caching_sha2_password", "client_ed25519"})
_RESET = 31  # COM_RESET_CONNECTION: MySQL 5.7, MariaDB 10.2
_FULL = 4  # caching_sha2_password: the server wants the password itself
_LARGEST = 0xFFFFFF  # bytes of a packet's part; one that long has a next
_HEAD = 4 << 20  # bytes of what a result says of its columns: some thousand of them, with names of 64 letters
_MORE = 8  # SERVER_MORE_RESULTS_EXISTS


@dataclass(frozen=True, slots=True)
class Login:
    """Where to log in, and as whom. `key_from_server` allows what gives a password to a squatter on loopback."""

    host: str
    port: int
    user: str
    database: str
    tls: bool
    ca: str
    key_from_server: bool
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement brought: `fields` of rows that follow, or how many rows it touched; whether `more` follows."""

    fields: tuple[Field, ...]
    affected: int
    warnings: int
    more: bool


class Wire(_Base):  # type: ignore[misc] # the driver's stubs leave out the steps that are replaced here
    """A connection that is not yet made: `connect(sock)` logs in."""

    def __init__(self, login: Login, context: ssl.SSLContext | None, seconds: float) -> None:
        super().__init__(
            host=login.host,  # whom the certificate has to name; it is not dialled
            port=login.port,
            user=login.user,
            password=login.password.encode(),  # as text it would be sent in Latin-1
            database=login.database,
            charset="utf8mb4",
            use_unicode=False,
            conv={},
            autocommit=None,
            defer_connect=True,
            ssl=context,
            ssl_disabled=context is None,
            read_timeout=seconds,
            write_timeout=seconds,
            auth_plugin_map={"caching_sha2_password": _CachingSha2},
        )
        self._auth_plugin_name: str
        self._next_seq_id: int
        self._connect_attrs = {"program_name": "kv"}  # not the process's number
        self.key_from_server = login.key_from_server
        self._line: socket.socket | None = None
        self._ended = False

    def connect(self, sock: socket.socket | None = None) -> None:
        """Log in over `sock`, which is connected to a checked address."""
        if sock is None:
            raise ValueError("kv dials")
        # TLS replaces the driver's socket, and a wrapped one must not be shut by another thread: it would forget its
        # keys and let the next write go out in the clear. A second handle on the line has no such state.
        self._line = sock.dup()
        if self._ended:
            self.cut()
        super().connect(sock)

    def cut(self) -> None:
        """End it, from any thread: whoever reads sees the end."""
        self._ended = True
        line = self._line
        if line is not None:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def close(self) -> None:
        """Say good-bye if there is still anybody, and free the sockets."""
        line, self._line = self._line, None
        try:
            if not self._closed:
                super().close()
            self._force_close()
        finally:
            if line is not None:
                line.close()

    def patience(self, seconds: float | None) -> None:
        """How long one read or write may take from now on."""
        self._read_timeout = self._write_timeout = seconds

    # --- logging in

    def _get_server_information(self) -> None:
        super()._get_server_information()
        # A greeting's method decides what is sent first, so it does not come from the other side unless it is a
        # challenge. A user of another method is switched to it, and that is judged below.
        if self._auth_plugin_name not in _CHALLENGES:
            self._auth_plugin_name = "mysql_native_password"

    def _process_auth(self, plugin_name: bytes, auth_packet: Any, handler: Any = None) -> Any:  # noqa: ANN401 - as above
        if plugin_name.decode("latin-1") not in _CHALLENGES:
            raise BrokerError("login", why="the server asks for the password in a way that gives it away")
        return super()._process_auth(plugin_name, auth_packet, handler)

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """The driver's last step of a login; its own takes any answer for a yes, a request for a file too."""
        del collation
        self.execute(f"SET NAMES {charset}")

    # --- packets

    def _read_packet(self, packet_type: Any = protocol.MysqlPacket) -> Any:  # noqa: ANN401 - as above
        parts: list[bytes] = []
        size, part = 0, _LARGEST
        while part == _LARGEST:
            head = self._read_bytes(4)
            part = int.from_bytes(head[:3], "little")
            size += part
            if head[3] != self._next_seq_id or size > MAX_CELL:
                self.cut()
                if size > MAX_CELL:
                    raise BrokerError("too-large", limit=MAX_CELL)
                raise BrokerError("broken")
            self._next_seq_id = (self._next_seq_id + 1) % 256
            parts.append(self._read_bytes(part))
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if not data:
            self.cut()
            raise BrokerError("broken")
        packet = packet_type(data, self.encoding)
        packet.check_error()
        return packet

    def execute(self, sql: str) -> Result:
        """Send one statement and read the head of its result."""
        self._execute_command(COMMAND.COM_QUERY, sql.encode())
        return self.result()

    def result(self) -> Result:
        """The head of the next result; its rows, if it has fields, are read by `row`."""
        first = self._read_packet()
        if first.is_ok_packet():
            return self._done(first)
        if first.is_load_local_packet():
            self.cut()  # before anything is written: the file it names would be the keeper's
            raise BrokerError("broken")
        count = first.read_length_encoded_integer()
        if not isinstance(count, int) or not 0 < count <= MAX_COLUMNS:
            self.cut()
            raise BrokerError("too-large", limit=MAX_COLUMNS)
        fields, size = [], 0
        for _ in range(count):
            read = self._read_packet(protocol.FieldDescriptorPacket)
            size += len(read.get_all_data())
            if size > _HEAD:
                self.cut()
                raise BrokerError("too-large", limit=_HEAD)
            fields.append(Field(read.name, read.type_code, read.charsetnr, read.flags))
        if not self._read_packet().is_eof_packet():
            raise BrokerError("broken")
        return Result(tuple(fields), 0, 0, more=False)

    def row(self) -> bytes | Result:
        """The next row as it is packed, or, after the last, what the end says."""
        packet = self._read_packet()
        if packet.is_eof_packet():
            end = protocol.EOFPacketWrapper(packet)
            return Result((), 0, end.warning_count, more=bool(end.has_next))
        return bytes(packet.get_all_data())

    def reset(self) -> None:
        """Make the session as new, on the server's side."""
        self._execute_command(_RESET, b"")
        self._done(self._read_packet())

    def _done(self, packet: Any) -> Result:  # noqa: ANN401 - as above
        ok = protocol.OKPacketWrapper(packet)
        self.server_status = ok.server_status
        return Result((), ok.affected_rows, ok.warning_count, more=bool(ok.server_status & _MORE))


class _CachingSha2:
    """caching_sha2_password: a challenge first; the password itself within TLS alone."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def authenticate(self, packet: Any) -> Any:  # noqa: ANN401 - as above
        wire = self._wire
        asks_for_all = packet.is_extra_auth_data() and packet.get_all_data()[1:2] == bytes([_FULL])
        if packet.is_auth_switch_request() or packet.get_all_data()[0] == 0xFE:  # noqa: PLR2004 - the protocol's
            wire.salt = packet.read_all().removesuffix(b"\0")
            wire.write_packet(_auth.scramble_caching_sha2(wire.password, wire.salt))
            return wire._read_packet()  # noqa: SLF001 - the driver's step
        if asks_for_all and not wire._secure and not wire.key_from_server:  # noqa: SLF001 - the driver's state
            # Without TLS the password would be encrypted to whatever key the other side shows.
            raise BrokerError("login", why="without TLS the server wants a password that its own key would open")
        return _auth.caching_sha2_password_auth(wire, packet)
