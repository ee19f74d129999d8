"""One session: a transaction around each statement, one statement in it, and as new afterwards or not used again.

Rules of this file
- A reading transaction is primed by a query of ours, so that the statement cannot make it a writing one (PostgreSQL
  takes SET TRANSACTION until the first snapshot). It is rolled back, whatever it did.
- What an agent wrote goes by the extended protocol, which takes one statement: `COMMIT; DELETE …` is a syntax error.
  What stands in this file may go by the simple one.
- Rows come in portions, and what comes in between two portions is bounded by looking at the socket: libpq itself would
  hold a value of a gigabyte.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from psycopg import Error, generators
from psycopg.pq import DiagnosticField, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.waiting import Ready, Wait

from brokers.contract import BrokerError
from brokers.sql.rows import MAX_CELL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Sequence

    from psycopg import AsyncConnection
    from psycopg.pq.abc import PGconn, PGresult

    from brokers.sql.arguments import Scalar

PORTION = 32  # rows that libpq collects: each may be 2 MiB before a portion is more than may be held
_PIECE = 64 << 10  # bytes of a COPY that go on in one go
_LOOKING = 0.02  # seconds between two looks at the socket: loopback brings some 20 MiB in that time
_BYTES_RECEIVED = 128  # where tcp_info has tcpi_bytes_received (linux/tcp.h)
_LOCK_SECONDS = 5  # for another session's lock: longer waits look like a hang
_CANCEL_SECONDS = 2.0
_ROWS = frozenset({ExecStatus.TUPLES_OK, ExecStatus.SINGLE_TUPLE, ExecStatus.TUPLES_CHUNK})
_FIELDS = {
    "sqlstate": DiagnosticField.SQLSTATE,
    "message": DiagnosticField.MESSAGE_PRIMARY,
    "detail": DiagnosticField.MESSAGE_DETAIL,
    "hint": DiagnosticField.MESSAGE_HINT,
    "position": DiagnosticField.STATEMENT_POSITION,
}
_STATE = (
    "SELECT current_user, session_user, current_setting('role'), current_setting('search_path'),"
    " current_setting('default_transaction_read_only'), current_setting('session_replication_role')"
)


# How values are spelled. Set when a session is born, and anew when it is made as new.
_SPELLING = (
    "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1;"
    " SET standard_conforming_strings = on"
)
_BEGIN = {False: "BEGIN TRANSACTION READ ONLY", True: "BEGIN TRANSACTION READ WRITE"}


def _primed(seconds: float) -> str:
    """The first query of a transaction: it sets its bounds, and takes the snapshot after which no mode is changed."""
    time, lock = int(seconds * 1000), int(min(seconds, _LOCK_SECONDS) * 1000)
    return (
        f"SELECT pg_catalog.set_config('statement_timeout', '{time}', true),"
        f" pg_catalog.set_config('lock_timeout', '{lock}', true),"
        f" pg_catalog.set_config('idle_in_transaction_session_timeout', '{time + 30_000}', true)"
    )


class RefusedError(Exception):
    """The server refuses a statement: `told` has sqlstate, message, detail, hint and position."""

    def __init__(self, told: dict[str, str]) -> None:
        super().__init__()
        self.told = told


class Session:
    """A connection and the state that it was born with. Raises `RefusedError` and `BrokerError`."""

    def __init__(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        self.idle_since = 0.0
        self._connection = connection
        self._born: list[bytes | None] = []
        self._overflow = False

    async def prepare(self) -> None:
        """Look at the state that a session of this login begins with."""
        await self._own(_SPELLING)
        self._born = await self._row(_STATE)

    async def begin(self, *, write: bool, seconds: float) -> None:
        """Open the transaction that the next statement runs in."""
        await self._own(f"{_BEGIN[write]}; {_primed(seconds)}")

    async def ask(self, sql: str, params: Sequence[Scalar], seconds: float) -> None:
        """Open a reading transaction and send one statement for it, in one go: `results` has what comes of it.

        The three travel together and are answered in order. Where the first fails the server passes over the others.
        """
        pgconn = self._connection.pgconn
        try:
            pgconn.enter_pipeline_mode()
            pgconn.send_query_params(_BEGIN[False].encode(), None)
            pgconn.send_query_params(_primed(seconds).encode(), None)
            pgconn.send_query_params(sql.encode(), [_param(value) for value in params])
            pgconn.pipeline_sync()
            await self._connection.wait(generators.send(pgconn))
            for _ in range(2):
                found = await self._connection.wait(generators.fetch(pgconn))
                if found is None or found.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
                    raise BrokerError("broken")
                await self._connection.wait(generators.fetch(pgconn))  # the end of its results
            pgconn.set_chunked_rows_mode(PORTION)
        except Error:
            raise BrokerError("broken") from None

    async def end(self, *, commit: bool) -> None:
        """Close it."""
        await self._own("COMMIT" if commit else "ROLLBACK")

    async def send(self, sql: str, params: Sequence[Scalar] = (), *, portions: bool = True) -> None:
        """Send one statement, by the extended protocol."""
        pgconn = self._connection.pgconn
        try:
            pgconn.send_query_params(sql.encode(), [_param(value) for value in params])
            if portions:
                pgconn.set_chunked_rows_mode(PORTION)
            await self._connection.wait(generators.send(pgconn))
        except Error:
            raise BrokerError("broken") from None

    async def results(self) -> AsyncIterator[PGresult]:
        """The results of what was sent as they come, each of at most `PORTION` rows."""
        pgconn = self._connection.pgconn
        async with self._watched() as portion:
            while True:
                try:
                    found = await self._connection.wait(generators.fetch(pgconn))
                except Error:
                    raise self._failure() from None
                if found is None:
                    await self._leave_pipeline()
                    return
                portion()
                if found.status == ExecStatus.FATAL_ERROR:
                    told = _told(found)
                    await self._drain()
                    raise RefusedError(told) if told["sqlstate"] else self._failure()
                yield found

    async def _leave_pipeline(self) -> None:
        pgconn = self._connection.pgconn
        if pgconn.pipeline_status == PipelineStatus.OFF:
            return
        try:
            while (found := await self._connection.wait(generators.fetch(pgconn))) is not None:
                if found.status == ExecStatus.PIPELINE_SYNC:
                    break
            pgconn.exit_pipeline_mode()
        except Error:
            raise self._failure() from None

    async def whole(self, sql: str, params: Sequence[Scalar] = ()) -> PGresult:
        """One statement's only result."""
        await self.send(sql, params, portions=False)
        found = [result async for result in self.results()]
        if len(found) != 1:
            raise BrokerError("broken")
        return found[0]

    async def copied(self) -> AsyncIterator[bytes]:
        """The data of a COPY … TO STDOUT that was sent, in pieces of some 64 KiB: whole rows."""
        pgconn = self._connection.pgconn
        try:
            started = await self._connection.wait(generators.fetch(pgconn))
            if started is None or started.status != ExecStatus.COPY_OUT:
                told = _told(started) if started is not None else {}
                await self._drain()
                raise RefusedError(told)
            async with self._watched() as portion:
                held: list[bytes] = []
                size = 0
                while (got := pgconn.get_copy_data(1))[0] >= 0:
                    if got[0]:
                        held.append(bytes(got[1]))
                        size += got[0]
                    if held and (not got[0] or size >= _PIECE):
                        portion()
                        yield b"".join(held)
                        held, size = [], 0
                    if not got[0]:
                        await self._connection.wait(_more(pgconn))
                if held:
                    yield b"".join(held)
            ended = await self._connection.wait(generators.fetch(pgconn))
            await self._drain()
        except Error:
            raise self._failure() from None
        if ended is None or ended.status != ExecStatus.COMMAND_OK:
            raise RefusedError(_told(ended) if ended is not None else {})

    async def copy_in(self, sql: str, chunks: Sequence[bytes]) -> int:
        """Send `chunks` to a COPY … FROM STDIN; the number of rows."""
        pgconn = self._connection.pgconn
        await self.send(sql, portions=False)
        try:
            started = await self._connection.wait(generators.fetch(pgconn))
            if started is None or started.status != ExecStatus.COPY_IN:
                told = _told(started) if started is not None else {}
                await self._drain()
                raise RefusedError(told)
            for chunk in chunks:
                await self._connection.wait(generators.copy_to(pgconn, chunk))
            done = await self._connection.wait(generators.copy_end(pgconn, None))
        except Error as error:
            if error.sqlstate is None:
                raise self._failure() from None
            raise RefusedError({name: getattr(error.diag, _DIAG[name]) or "" for name in _DIAG}) from None
        return done.command_tuples or 0

    async def clean(self) -> bool:
        """Make it as new: whether it is."""
        with suppress(Error, BrokerError, RefusedError, TimeoutError):
            async with asyncio.timeout(_CANCEL_SECONDS):
                if self._status != TransactionStatus.IDLE:
                    await self._own("ROLLBACK")
                await self._own("DISCARD ALL")
                await self._own(_SPELLING)
                return await self._row(_STATE) == self._born and self._status == TransactionStatus.IDLE
        return False

    async def cut(self) -> None:
        """End what it does at the server, and close it."""
        if self._status == TransactionStatus.ACTIVE and not self._overflow:
            with suppress(Error, OSError, TimeoutError):
                await self._connection.cancel_safe(timeout=_CANCEL_SECONDS)
        await self._connection.close()

    @property
    def good(self) -> bool:
        """Whether the other side has not hung up, as far as can be told without asking."""
        return not self._connection.closed and self._status == TransactionStatus.IDLE and not _readable(self._socket)

    @property
    def _status(self) -> TransactionStatus:
        return self._connection.pgconn.transaction_status

    @property
    def _socket(self) -> int:
        return self._connection.pgconn.socket

    async def _own(self, sql: str) -> None:
        """Statements of ours, by the simple protocol: several in one go."""
        await self._simple(sql)

    async def _row(self, sql: str) -> list[bytes | None]:
        found = (await self._simple(sql))[-1]
        return [found.get_value(0, column) for column in range(found.nfields)]

    async def _simple(self, sql: str) -> list[PGresult]:
        pgconn = self._connection.pgconn
        try:
            pgconn.send_query(sql.encode())
            results = await self._connection.wait(generators.execute(pgconn))
        except Error:
            raise self._failure() from None
        for found in results:
            if found.status == ExecStatus.FATAL_ERROR:
                raise RefusedError(_told(found))
        return list(results)

    async def _drain(self) -> None:
        with suppress(Error):
            while await self._connection.wait(generators.fetch(self._connection.pgconn)) is not None:
                pass
        await self._leave_pipeline()

    def _failure(self) -> BrokerError:
        if self._overflow:
            return BrokerError("too-large", limit=f"{MAX_CELL >> 20} MiB at once")
        return BrokerError("broken")

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[_Portion]:
        """While rows come in: break off when more than may be held came in for one portion."""
        portion = _Portion(self._socket)

        async def watch() -> None:
            while True:
                await asyncio.sleep(_LOOKING)
                if portion.size() > MAX_CELL:
                    self._overflow = True
                    with suppress(OSError), socket.socket(fileno=os.dup(self._socket)) as other:
                        other.shutdown(socket.SHUT_RDWR)
                    return

        watching = asyncio.create_task(watch())
        try:
            yield portion
        finally:
            watching.cancel()


_DIAG = {
    "sqlstate": "sqlstate",
    "message": "message_primary",
    "detail": "message_detail",
    "hint": "message_hint",
    "position": "statement_position",
}


def _more(pgconn: PGconn) -> Generator[Wait, Ready, None]:
    """Wait until more has come in, in psycopg's own way to wait."""
    yield Wait.R
    pgconn.consume_input()


class _Portion:
    """The bytes that came in since the last portion of rows. Calling it begins the next one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before = 0
        self()

    def __call__(self) -> None:
        self._before = self._received()

    def size(self) -> int:
        """In bytes; 0 where the system does not tell."""
        return self._received() - self._before

    def _received(self) -> int:
        option = getattr(socket, "TCP_INFO", None)
        if option is None:
            return 0
        try:
            with socket.socket(fileno=os.dup(self._descriptor)) as looked_at:
                told = looked_at.getsockopt(socket.IPPROTO_TCP, option, 256)
        except OSError:
            return 0
        return int.from_bytes(told[_BYTES_RECEIVED : _BYTES_RECEIVED + 8], "little")


def _readable(descriptor: int) -> bool:
    """Whether something came unasked: the server's goodbye, or a notice, which is no reason to keep it either."""
    import select

    return bool(select.select([descriptor], [], [], 0)[0]) if 0 <= descriptor < 1024 else False  # noqa: PLR2004 - FD_SETSIZE


def _param(value: Scalar) -> bytes | None:
    """A parameter as text. Its type is the server's to say, from where it stands."""
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return (value if isinstance(value, str) else repr(value)).encode()


def _told(found: PGresult) -> dict[str, str]:
    return {name: (found.error_field(code) or b"").decode("utf-8", "replace") for name, code in _FIELDS.items()}


def has_rows(found: PGresult) -> bool:
    """Whether a result is of rows, be there none."""
    return found.status in _ROWS
