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
from contextlib import suppress
from typing import TYPE_CHECKING

from psycopg import Error, generators
from psycopg.pq import DiagnosticField, ExecStatus, PipelineStatus, TransactionStatus

from brokers.contract import BrokerError
from brokers.sql.pg.watch import Watch
from brokers.sql.rows import MAX_CELL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from psycopg import AsyncConnection
    from psycopg.pq.abc import PGresult

    from brokers.sql.arguments import Scalar

PORTION = 32  # rows that libpq collects: each may be 2 MiB before a portion is more than may be held
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
# What a session is born with: how values are spelled, which is set here, and who it is. The same is asked of it when it
# is to be as new.
_STATE = (
    "SELECT pg_catalog.set_config('DateStyle', 'ISO, YMD', false),"
    " pg_catalog.set_config('IntervalStyle', 'postgres', false), pg_catalog.set_config('bytea_output', 'hex', false),"
    " pg_catalog.set_config('extra_float_digits', '1', false),"
    " pg_catalog.set_config('standard_conforming_strings', 'on', false), current_user, session_user,"
    " pg_catalog.current_setting('role'), pg_catalog.current_setting('search_path'),"
    " pg_catalog.current_setting('default_transaction_read_only'),"
    " pg_catalog.current_setting('session_replication_role')"
)
_CLEANING = ("ROLLBACK", "DISCARD ALL", _STATE)
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
        self.connection = connection
        self._born: list[bytes | None] = []
        self._watched: Watch | None = None

    async def prepare(self) -> None:
        """Look at the state that a session of this login begins with."""
        found = (await self._own(_STATE))[-1]
        self._born = _row(found)

    async def begin(self, *, write: bool, seconds: float) -> None:
        """Open the transaction that the next statement runs in."""
        await self._own(f"{_BEGIN[write]}; {_primed(seconds)}")

    async def ask(self, sql: str, params: Sequence[Scalar], seconds: float) -> None:
        """Open a reading transaction and send one statement for it, in one go: `results` has what comes of it.

        The three travel together and are answered in order. Where the first fails the server passes over the others.
        """
        pgconn = self.connection.pgconn
        try:
            pgconn.enter_pipeline_mode()
            pgconn.send_query_params(_BEGIN[False].encode(), None)
            pgconn.send_query_params(_primed(seconds).encode(), None)
            pgconn.send_query_params(sql.encode(), [_param(value) for value in params])
            pgconn.pipeline_sync()
            await self.connection.wait(generators.send(pgconn))
            for _ in range(2):
                found = await self.connection.wait(generators.fetch(pgconn))
                if found is None or found.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
                    raise BrokerError("broken")
                await self.connection.wait(generators.fetch(pgconn))  # the end of its results
            pgconn.set_chunked_rows_mode(PORTION)
        except Error:
            raise BrokerError("broken") from None

    async def end(self, *, commit: bool) -> None:
        """Close it."""
        await self._own("COMMIT" if commit else "ROLLBACK")

    async def send(self, sql: str, params: Sequence[Scalar] = (), *, portions: bool = True) -> None:
        """Send one statement, by the extended protocol."""
        pgconn = self.connection.pgconn
        try:
            pgconn.send_query_params(sql.encode(), [_param(value) for value in params])
            if portions:
                pgconn.set_chunked_rows_mode(PORTION)
            await self.connection.wait(generators.send(pgconn))
        except Error:
            raise BrokerError("broken") from None

    async def results(self) -> AsyncIterator[PGresult]:
        """The results of what was sent as they come, each of at most `PORTION` rows."""
        pgconn = self.connection.pgconn
        with self.watch() as watch:
            while True:
                try:
                    found = await self.connection.wait(generators.fetch(pgconn))
                except Error:
                    raise self.failure() from None
                if found is None:
                    await self._leave_pipeline()
                    return
                watch.portion()
                if found.status == ExecStatus.FATAL_ERROR:
                    refusal = told(found)
                    await self.drain()
                    raise RefusedError(refusal) if refusal["sqlstate"] else self.failure()
                yield found

    async def _leave_pipeline(self) -> None:
        pgconn = self.connection.pgconn
        if pgconn.pipeline_status == PipelineStatus.OFF:
            return
        try:
            while (found := await self.connection.wait(generators.fetch(pgconn))) is not None:
                if found.status == ExecStatus.PIPELINE_SYNC:
                    break
            pgconn.exit_pipeline_mode()
        except Error:
            raise self.failure() from None

    async def whole(self, sql: str, params: Sequence[Scalar] = ()) -> PGresult:
        """One statement's only result."""
        await self.send(sql, params, portions=False)
        found = [result async for result in self.results()]
        if len(found) != 1:
            raise BrokerError("broken")
        return found[0]

    async def clean(self) -> bool:
        """Make it as new: whether it is. All in one go, each by itself."""
        pgconn = self.connection.pgconn
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                pgconn.enter_pipeline_mode()
                for sql in _CLEANING:
                    pgconn.send_query_params(sql.encode(), None)
                    pgconn.pipeline_sync()
                await self.connection.wait(generators.send(pgconn))
                last, syncs = None, 0
                while syncs < len(_CLEANING):
                    found = await self.connection.wait(generators.fetch(pgconn))
                    if found is None:
                        continue
                    if found.status == ExecStatus.PIPELINE_SYNC:
                        syncs += 1
                    elif found.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
                        last = found
                    else:
                        return False
                pgconn.exit_pipeline_mode()
        except (Error, BrokerError, TimeoutError):
            return False
        return last is not None and _row(last) == self._born and self._status == TransactionStatus.IDLE

    async def cut(self) -> None:
        """End what it does at the server, and close it."""
        if self._status == TransactionStatus.ACTIVE and not self._overflow:
            with suppress(Error, OSError, TimeoutError):
                await self.connection.cancel_safe(timeout=_CANCEL_SECONDS)
        await self.connection.close()

    @property
    def good(self) -> bool:
        """Whether the other side has not hung up, as far as can be told without asking."""
        return not self.connection.closed and self._status == TransactionStatus.IDLE and not _readable(self._socket)

    @property
    def _status(self) -> TransactionStatus:
        return TransactionStatus(self.connection.pgconn.transaction_status)

    @property
    def _socket(self) -> int:
        return self.connection.pgconn.socket

    async def _own(self, sql: str) -> list[PGresult]:
        """Statements of ours, by the simple protocol: several in one go."""
        pgconn = self.connection.pgconn
        try:
            pgconn.send_query(sql.encode())
            results = await self.connection.wait(generators.execute(pgconn))
        except Error:
            raise self.failure() from None
        for found in results:
            if found.status == ExecStatus.FATAL_ERROR:
                raise RefusedError(told(found))
        return list(results)

    async def drain(self) -> None:
        """Read to the end of what comes of the last statement."""
        with suppress(Error):
            while await self.connection.wait(generators.fetch(self.connection.pgconn)) is not None:
                pass
        await self._leave_pipeline()

    def watch(self) -> Watch:
        """Watches what comes in, from now on."""
        self._watched = Watch(self._socket)
        return self._watched

    @property
    def _overflow(self) -> bool:
        return self._watched is not None and self._watched.overflow

    def failure(self) -> BrokerError:
        """What it means that the connection broke."""
        if self._overflow:
            return BrokerError("too-large", limit=f"{MAX_CELL >> 20} MiB at once")
        return BrokerError("broken")


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


def told(found: PGresult | None) -> dict[str, str]:
    """What a refusal says, by the names of `RefusedError`."""
    if found is None:
        return {}
    return {name: (found.error_field(code) or b"").decode("utf-8", "replace") for name, code in _FIELDS.items()}


def has_rows(found: PGresult) -> bool:
    """Whether a result is of rows, be there none."""
    return found.status in _ROWS


def _row(found: PGresult) -> list[bytes | None]:
    return [found.get_value(0, column) for column in range(found.nfields)] if found.ntuples else []
