"""One session on a MySQL or MariaDB server: known settings, one transaction a call, as new after each. Blocking.

Rules of this file
- A session reads only, by its own default too: a statement that commits on its way does not end in one that writes.
- What changes how a text is cut into words (`sql_mode`) is switched off: the server reads what was judged.
- After a call the server resets the session, and it is looked at; one that is not as it was is closed.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql.mysql import faults
from brokers.sql.mysql.cells import split
from brokers.sql.mysql.driver import MALFORMED, Error, Login, Result, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGIN = 10.0  # seconds for the handshake: one that takes longer is not a database
MAX_DIALS = 3  # addresses tried before giving up
BATCH, BATCH_BYTES = 500, 256 << 10  # rows and bytes that are handed on at once
MAX_OWN = 200_000  # rows of a statement of our own: a catalogue of thousands of tables, not a server without an end
MAX_OWN_BYTES = 16 << 20  # as above: the names, types and comments of that many columns
_USUAL = 30.0  # seconds of a statement where the call does not say: what a new session is set to
_LOCK = 10  # seconds to wait for somebody's lock, at most; half of the call's time if that is less
# Modes that read a text in another way, each the opposite of what `brokers.sql.tokens` takes for granted.
_LEXICAL = frozenset(
    (
        *("ANSI", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "IGNORE_SPACE", "PIPES_AS_CONCAT"),
        *("HIGH_NOT_PRECEDENCE", "EMPTY_STRING_IS_NULL", "ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL"),
        *("MYSQL323", "MYSQL40"),
    )
)


class Session:
    """A session that is logged in. `address` is the one that was dialled; `server` tells servers apart."""

    def __init__(self, wire: Wire, address: str) -> None:
        self.address = address
        self.idle_since = 0.0
        self.words: tuple[str, ...] = ()
        self._wire = wire
        self.maria = "MariaDB" in str(wire.get_server_info())
        self.version = str(wire.get_server_info())
        self._look: tuple[bytes | None, ...] = ()
        self._modes: str | None = None
        self._open = False  # whether rows of a result are still to come

    @property
    def number(self) -> int:
        """The session's number on its server."""
        return int(self._look[0] or 0)

    @property
    def server(self) -> tuple[bytes | None, ...]:
        """What tells the server from another behind the same address."""
        return self._look[1:3]

    def prepare(self) -> None:
        """Known settings. Raises `BrokerError("broken")` where they are not taken."""
        if self._modes is None:
            modes = self.value("SELECT @@sql_mode").split(",")
            self._modes = ",".join(mode for mode in modes if mode not in _LEXICAL)
        read_only = "tx_read_only" if self.maria else "transaction_read_only"
        self.do(
            f"SET NAMES utf8mb4, SESSION sql_mode = '{self._modes}', SESSION {read_only} = 1, SESSION autocommit = 1, "
            + self._times(_USUAL)
        )
        role = "CURRENT_ROLE()" if self.maria or not self.version.startswith("5.") else "NULL"
        look = self.fetch(
            f"SELECT CONNECTION_ID(), @@hostname, @@port, DATABASE(), CURRENT_USER(), {role}, @@sql_mode, "
            f"@@{read_only}, @@autocommit, @@character_set_client, @@character_set_results, @@collation_connection, "
            "@@time_zone, @@foreign_key_checks, @@unique_checks, @@sql_safe_updates, @@sql_select_limit, "
            "@@max_join_size, @@group_concat_max_len, @@default_storage_engine, @@lc_time_names"
        )[0]
        if self._look and tuple(look) != self._look:
            raise BrokerError("broken")
        self._look = tuple(look)

    def begin(self, *, write: bool, seconds: float) -> None:
        """Open the transaction of one call."""
        if seconds != _USUAL:
            self.do("SET " + self._times(seconds))
        if write:
            # The default too: a definition commits before it begins, and goes on in a transaction of the default kind.
            self.do("SET SESSION TRANSACTION READ WRITE")
        self.do(f"START TRANSACTION READ {'WRITE' if write else 'ONLY'}")

    def _times(self, seconds: float) -> str:
        """The server's own clocks, in whole units of its own: it stops even where kv is gone."""
        wait = max(1, min(_LOCK, int(seconds / 2)))
        # MySQL's clock ends queries only, which is what it can end without harm.
        clock = f"max_statement_time = {seconds:.3f}" if self.maria else f"max_execution_time = {int(seconds * 1000)}"
        return f"SESSION {clock}, SESSION lock_wait_timeout = {wait}, SESSION innodb_lock_wait_timeout = {wait}"

    def execute(self, sql: str) -> Result:
        """One statement, up to its first row. Raises the driver's `Error`, and `BrokerError`."""
        result = self._wire.execute(sql)
        self._open = bool(result.fields)
        return result

    @property
    def finished(self) -> bool:
        """Whether all rows of the last statement were read."""
        return not self._open

    def batch(self, count: int) -> list[list[bytes | None]]:
        """The next rows of `count` columns; none once there are no more. Later results of a procedure are left out."""
        found: list[list[bytes | None]] = []
        size = 0
        while self._open and len(found) < BATCH and size < BATCH_BYTES:
            packet = self._wire.row()
            if isinstance(packet, Result):
                self._end(packet)
            else:
                size += len(packet)
                found.append(split(packet, count))
        return found

    def _end(self, last: Result) -> None:
        while last.more:
            last = self._wire.result()
            while last.fields:
                packet = self._wire.row()
                last = packet if isinstance(packet, Result) else last
        self._open = False

    def skip(self, most: int) -> bool:
        """Whether what is left of a result was read and is gone, `most` bytes of it at most."""
        while self._open and most > 0:
            packet = self._wire.row()
            if isinstance(packet, Result):
                self._end(packet)
            else:
                most -= len(packet)
        return not self._open

    def do(self, sql: str) -> Result:
        """A statement of our own without rows."""
        result = self._wire.execute(sql)
        if result.fields:
            raise BrokerError("broken")
        return result

    def fetch(self, sql: str) -> list[list[bytes | None]]:
        """All rows of a statement of our own."""
        return self.own(self.execute(sql))

    def own(self, result: Result) -> list[list[bytes | None]]:
        """All rows of a `result` of our own. A server that sends more than there can be is left."""
        found, size = list[list[bytes | None]](), 0
        while rows := self.batch(len(result.fields)):
            found += rows
            size += sum(len(cell) for row in rows for cell in row if cell is not None)
            if len(found) > MAX_OWN or size > MAX_OWN_BYTES:
                self.cut()
                raise BrokerError("too-large", limit=MAX_OWN_BYTES)
        return found

    def value(self, sql: str) -> str:
        """The first value of a statement of our own."""
        return (self.fetch(sql)[0][0] or b"").decode("utf-8", "replace")

    def renew(self) -> None:
        """Leave no trace of the call. Raises where that cannot be made sure; the session is then to be closed."""
        self._wire.patience(LOGIN)
        self._wire.reset()
        self.prepare()
        self._wire.patience(None)

    def patience(self, seconds: float | None) -> None:
        """How long one read may take from now on."""
        self._wire.patience(seconds)

    @property
    def quiet(self) -> bool:
        """Whether nothing came in while nobody asked: a server that has closed is noticed before anything is sent."""
        return self._wire.open and quiet(self._wire._sock)  # noqa: SLF001 - the driver shows no descriptor

    def cut(self) -> None:
        """End it from any thread."""
        self._wire.cut()

    def close(self) -> None:
        """End it, with a good-bye."""
        self._wire.close()


def quiet(sock: socket.socket) -> bool:
    """Whether nothing can be read from `sock`."""
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLHUP)
    return not poll.poll(0)


class Dialling:
    """A session on its way: `cut` ends it from any thread, whatever it waits for."""

    def __init__(self, login: Login, addresses: Sequence[str], seconds: float) -> None:
        self._login, self._addresses, self._seconds = login, addresses, min(seconds, LOGIN)
        self._wire: Wire | None = None
        self._cut = False
        self.session: Session | None = None  # once it is open, for a caller who went away in that moment

    def cut(self) -> None:
        """End it."""
        self._cut = True
        if self._wire is not None:
            self._wire.cut()

    def open(self) -> Session:
        """Dial, log in, prepare. Raises `BrokerError`: `connect`, `tls`, `login`, `refused`, `timeout`, `broken`."""
        context = _context(self._login.ca) if self._login.tls else None
        sock, address = self._dial()
        wire = self._wire = Wire(self._login, context, self._seconds)
        try:
            if self._cut:
                wire.cut()
            wire.connect(sock)
            wire.password = b""  # it has done its work, and a session lives longer
            session = Session(wire, address)
            session.words = (self._login.user, self._login.database, self._login.host, address)
            session.prepare()
        except (Error, OSError, *MALFORMED) as error:
            wire.close()
            raise _at_login(error, self._seconds) from None
        except BaseException:
            wire.close()
            raise
        finally:
            if not wire.open:
                sock.close()
        session.patience(None)
        self.session = session
        return session

    def _dial(self) -> tuple[socket.socket, str]:
        until, tries = time.monotonic() + self._seconds, self._addresses[:MAX_DIALS]
        late = False
        for done, address in enumerate(tries):
            share = (until - time.monotonic()) / (len(tries) - done)
            try:
                sock = socket.create_connection((address, self._login.port), max(share, 0.01))
            except TimeoutError:
                late = True
            except OSError:
                late = False
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small packets wait 40 ms for others
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return sock, address
        raise BrokerError("timeout", seconds=max(1, round(self._seconds))) if late else BrokerError("connect")


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _at_login(error: BaseException, seconds: float) -> BrokerError:
    cause = getattr(error, "original_exception", None) or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return BrokerError("tls", why="the certificate is not valid for the host, or not signed by the CA")
    if isinstance(cause, ssl.SSLError):
        return BrokerError("tls", why="the handshake failed")
    if isinstance(cause, TimeoutError):
        return BrokerError("timeout", seconds=max(1, round(seconds)))
    number = number_of(error)
    if number == 2026:  # noqa: PLR2004 - the driver's: TLS was asked for and the greeting has none
        return BrokerError("tls", why="the server speaks no TLS")
    return faults.at_login(number) if number else BrokerError("broken")


def number_of(error: BaseException) -> int:
    """The number of a server's or the driver's error; 0 of anything else."""
    given = error.args[0] if isinstance(error, Error) and error.args else 0
    return given if isinstance(given, int) else 0
