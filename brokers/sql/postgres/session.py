"""One session: libpq behind the gate, statements by the extended protocol, results in portions.

Rules of this file
- Every statement goes by the extended protocol, which takes one at a time: "COMMIT; DELETE …" is refused as a whole.
- A read is in a READ ONLY transaction that has had a query, so that SET TRANSACTION READ WRITE comes too late.
- A statement is parsed by the server before anything is performed. Up to there all can be done again elsewhere.
- What comes in between two results is bounded: a row is held whole, by libpq, before it can be looked at.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, PGconn, PipelineStatus, PollingStatus, TransactionStatus

from brokers.contract import BrokerError
from brokers.sql import rows
from brokers.sql.postgres import faults
from brokers.sql.postgres.gate import Gate, connected, ready
from brokers.sql.postgres.login import Root, conninfo, forget_environment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from psycopg.pq.abc import PGresult

    from brokers.sql.postgres.login import Login

    Send = Callable[[PGconn], None]
    Params = Sequence[bytes | None] | None

logging.getLogger("psycopg").disabled = True  # it would quote servers and statements
logging.getLogger("psycopg.pq").disabled = True

_MAX_LOGIN = 1 << 20  # bytes of a login: a certificate chain, and what the server says of itself
_SWOLLEN = 8 << 20  # bytes between two results after which libpq's buffer is too large to be kept
_NAME = b"kv"  # of the statement that is parsed: one without a name would not outlive the next of ours
_STOPPED = 16 << 20  # bytes that may be on their way when the server is stopped
_COPY = 128 << 10  # bytes of a file that are handed on at once
# The first query of a transaction, and by it the settings that its values are spelled and its statements read with.
_SETTINGS = (
    "SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('lock_timeout', $2, true), "
    "pg_catalog.set_config('idle_in_transaction_session_timeout', $3, true), "
    "pg_catalog.set_config('datestyle', 'ISO', true), pg_catalog.set_config('intervalstyle', 'postgres', true), "
    "pg_catalog.set_config('extra_float_digits', '1', true), pg_catalog.set_config('bytea_output', 'hex', true), "
    "pg_catalog.set_config('standard_conforming_strings', 'on', true), "
    "pg_catalog.set_config('client_encoding', $4, true), "
    "pg_catalog.set_config('client_min_messages', 'error', true)"
)
# What a session is as which it was made: whoever has changed it had more in mind.
_SELF = (
    "SELECT session_user::text, current_user::text, pg_catalog.current_setting('role'), "
    "pg_catalog.current_setting('search_path'), pg_catalog.current_setting('default_transaction_read_only'), "
    "pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('session_replication_role'), "
    "pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('row_security'), "
    "pg_catalog.pg_is_in_recovery()::text, pg_catalog.pg_backend_pid()::text"
)


def query(sql: str, params: Params = None) -> Send:
    """A statement with its parameters, for `together`."""
    return lambda pg: pg.send_query_params(sql.encode(), params)


class Session:
    """A session that is logged in. `address` is the one that was dialled."""

    def __init__(self, login: Login, address: str, root: Root, pg: PGconn, gate: Gate) -> None:
        self.login, self.address = login, address
        self.idle_since = 0.0
        self._root, self._pg, self._gate = root, pg, gate
        self._mark, self._most = gate.received, 0
        self._first: list[str] = []

    @classmethod
    async def open(cls, login: Login, address: str) -> Session:
        """Log in at `address`. Raises `BrokerError`."""
        forget_environment()
        root = Root(login)
        pg = PGconn.connect_start(conninfo(login, address, root))
        gate: Gate | None = None
        try:
            gate = await _logged_in(pg)
            pg.nonblocking = 1
            made = cls(login, address, root, pg, gate)
            made._first = await made.row(_SELF)
        except BaseException:
            pg.finish()
            root.close()
            if gate is not None:
                gate.close()
            raise
        return made

    @property
    def quiet(self) -> bool:
        """Whether an idle session is as it was left."""
        return self._pg.status == ConnStatus.OK and self._gate.quiet

    @property
    def in_transaction(self) -> bool:
        """Whether the transaction that was opened is still open, and not failed."""
        return self._pg.transaction_status == TransactionStatus.INTRANS

    @property
    def ascii(self) -> bool:
        """Whether the database has no encoding, and delivers any bytes."""
        return self._pg.parameter_status(b"server_encoding") == b"SQL_ASCII"

    @property
    def version(self) -> str:
        """The server's, as it says it."""
        return (self._pg.parameter_status(b"server_version") or b"").decode("utf-8", "replace").partition(" ")[0]

    async def begin(self, sql: str, *, write: bool, milliseconds: int, lock: int, path: str = "") -> PGresult:
        """Open a transaction and have `sql` parsed in it: what the server says of its columns. Raises `Refused`."""
        opening = "BEGIN TRANSACTION READ WRITE" if write else "BEGIN TRANSACTION READ ONLY"
        settings = self._settings(milliseconds, lock)
        setting = [query(f"SELECT pg_catalog.set_config('search_path', '{path}', true)")] if path else []
        found = await self.together(
            query(opening),
            query(_SETTINGS, settings),
            *setting,
            lambda pg: pg.send_prepare(_NAME, sql.encode()),
            lambda pg: pg.send_describe_prepared(_NAME),
        )
        if not self.in_transaction:
            raise BrokerError("broken")
        return found[-1]

    async def ask(
        self, sql: str, params: Params, portion: int, *, milliseconds: int, lock: int
    ) -> PGresult:
        """As `begin` for reading and `run` in one go, which costs one way to the server and back: the rows are `next`.

        What is sent together is answered in order; where one fails the server passes over the others.
        """
        pg = self._pg
        settings = self._settings(milliseconds, lock)
        pg.enter_pipeline_mode()
        pg.send_query_params(b"BEGIN TRANSACTION READ ONLY", None)
        pg.send_query_params(_SETTINGS.encode(), settings)
        pg.send_prepare(_NAME, sql.encode())
        pg.send_describe_prepared(_NAME)
        pg.send_query_prepared(_NAME, params)
        pg.pipeline_sync()
        await self._flush()
        found: PGresult | None = None
        for _ in range(4):
            found = await self.next()
            if await self.result() is not None:
                raise BrokerError("broken")
        self._portion(portion)
        if found is None:
            raise BrokerError("broken")
        return found

    def _settings(self, milliseconds: int, lock: int) -> list[bytes]:
        # A database without an encoding refuses to deliver in UTF-8 what is none: then it is taken as it is.
        encoding = b"SQL_ASCII" if self.ascii else b"UTF8"
        return [*(str(number).encode() for number in (milliseconds, lock, milliseconds + 5000)), encoding]

    def _portion(self, rows_: int) -> None:
        if rows_ > 1:
            self._pg.set_chunked_rows_mode(rows_)
        else:
            self._pg.set_single_row_mode()

    async def together(self, *sends: Send, apart: bool = False) -> list[PGresult]:
        """The results of statements that are sent at once; `apart`, each for itself. Raises the first's `Refused`."""
        pg = self._pg
        pg.enter_pipeline_mode()
        for send in sends:
            send(pg)
            if apart:
                pg.pipeline_sync()
        if not apart:
            pg.pipeline_sync()
        await self._flush()
        found: list[PGresult] = []
        waiting, nothing = (len(sends) if apart else 1), False
        while waiting:
            result = await self.result()
            if result is None:
                if nothing:
                    raise BrokerError("broken")
            elif result.status == ExecStatus.PIPELINE_SYNC:
                waiting -= 1
            else:
                found.append(result)
            nothing = result is None
        pg.exit_pipeline_mode()
        for result in found:
            check(result)
        if len(found) != len(sends):
            raise BrokerError("broken")
        return found

    async def row(self, sql: str, params: Params = None) -> list[str]:
        """The one row of a statement of ours, NULL as "". Raises `Refused`."""
        found = (await self.together(query(sql, params)))[0]
        return [(found.get_value(0, at) or b"").decode("utf-8", "replace") for at in range(found.nfields)]

    async def table(self, sql: str, params: Params = None) -> list[list[bytes | None]]:
        """All rows of a statement of ours. Raises `Refused`."""
        found = (await self.together(query(sql, params)))[0]
        return cells_of(found)

    async def run(self, params: Params, portion: int) -> PGresult:
        """Perform what was parsed: its first result, of `portion` rows at most. Raises `Refused`."""
        self._pg.send_query_prepared(_NAME, params)
        self._portion(portion)
        await self._flush()
        return await self.next()

    async def send(self, sql: str) -> PGresult:
        """Perform a statement of ours without rows: its result. Raises `Refused`."""
        self._pg.send_query_params(sql.encode(), None)
        await self._flush()
        found = await self.next()
        if found.status not in _COPYING:
            await self.end()
        return found

    async def next(self) -> PGresult:
        """The next result of what is performed. Raises `Refused` and reads to the end then."""
        found = await self.result()
        if found is None:
            raise BrokerError("broken")
        try:
            check(found)
        except faults.Refused:
            await self.end()
            raise
        return found

    async def end(self) -> None:
        """Read until there is no more result."""
        if self._pg.pipeline_status == PipelineStatus.OFF:
            while await self.result() is not None:
                pass
            return
        nothing = False
        while (found := await self.result()) is None or found.status != ExecStatus.PIPELINE_SYNC:
            if found is None and nothing:
                raise BrokerError("broken")
            nothing = found is None
        self._pg.exit_pipeline_mode()

    async def result(self) -> PGresult | None:
        """The next result, of whatever kind."""
        pg = self._pg
        while pg.is_busy():
            await self._more()
        found = pg.get_result()
        self._most = max(self._most, self._gate.received - self._mark)
        self._mark = self._gate.received
        return found

    async def copied(self) -> AsyncGenerator[bytes, None]:
        """What COPY … TO STDOUT sends, whole rows at a time. Raises `Refused`."""
        take = self._pg.get_copy_data
        parts: list[memoryview] = []
        size = 0
        while True:
            count, data = take(1)
            if count > 0:
                parts.append(data)
                size += count
                if size < _COPY:
                    continue
            elif count == 0:
                await self._more()
                continue
            if parts:
                self._mark = self._gate.received
                yield b"".join(parts)
                parts, size = [], 0
            if count < 0:
                break
        await self.next()
        await self.end()

    async def copy_in(self, chunks: AsyncIterator[bytes]) -> PGresult:
        """Send what COPY … FROM STDIN takes: the last result. Raises `Refused`."""
        async for chunk in chunks:
            self._pg.put_copy_data(chunk)
            await self._flush()
        self._pg.put_copy_end()
        await self._flush()
        found = await self.next()
        await self.end()
        return found

    async def renew(self) -> bool:
        """Make the session as new. False where it is not what it was, and must not be used again."""
        if self._pg.pipeline_status != PipelineStatus.OFF or self._most > _SWOLLEN:
            return False
        while self._pg.notifies():
            pass  # nobody listens here; libpq keeps them until they are taken
        try:
            found = await self.together(query("ROLLBACK"), query("DISCARD ALL"), query(_SELF), apart=True)
        except faults.Refused:
            return False
        now = [(found[2].get_value(0, at) or b"").decode("utf-8", "replace") for at in range(found[2].nfields)]
        return now == self._first and self._pg.transaction_status == TransactionStatus.IDLE

    async def skip(self, most: int) -> bool:
        """Read away what is left of a result, if it is at most `most` bytes."""
        until, nothing = self._gate.received + most, False
        while True:
            while self._pg.is_busy():
                if self._gate.received > until:
                    return False
                await self._more()
            found = self._pg.get_result()
            self._mark = self._gate.received
            if found is None and self._pg.pipeline_status == PipelineStatus.OFF:
                return True
            if found is not None and found.status == ExecStatus.PIPELINE_SYNC:
                self._pg.exit_pipeline_mode()
                return True
            if (found is None and nothing) or (found is not None and found.status in _COPYING):
                return False
            nothing = found is None

    async def stop(self) -> None:
        """End what was asked, and its transaction."""
        if not await self.skip(0):
            await self.cancel()
            if not await self.skip(_STOPPED):
                raise BrokerError("broken")
        await self.together(query("ROLLBACK"), query("DEALLOCATE ALL"), apart=True)

    async def cancel(self) -> None:
        """Have the server stop what it performs: asked at the address that was dialled, over TLS if the session is."""
        self._root.rewind()
        asked = self._pg.cancel_conn()
        try:
            asked.start()
            while (state := asked.poll()) in _WAITING:
                await ready(asked.socket, writing=state == PollingStatus.WRITING, reading=state == PollingStatus.READING)
        finally:
            asked.finish()

    def close(self) -> None:
        """End it."""
        self._pg.finish()
        self._gate.close()
        self._root.close()

    async def _more(self) -> None:
        """Let libpq have a portion more of what the server sends."""
        gate, pg = self._gate, self._pg
        if gate.left:
            gate.pass_on()
        else:
            await gate.let_in()
        pg.consume_input()
        if self.login.tls and not gate.left:
            # A record of TLS may be larger than what libpq takes at once; the rest is in OpenSSL, where no socket shows it.
            pg.consume_input()
            pg.consume_input()
        if gate.received - self._mark > rows.MAX_CELL:
            raise BrokerError("too-large", limit=rows.MAX_CELL)

    async def _flush(self) -> None:
        """Send all that libpq has to send, and let in what would keep the server from taking it."""
        while True:
            rest = self._pg.flush()
            if self._gate.push():
                if not rest:
                    return
            else:
                await self._gate.send_on()
                if not self._gate.push():
                    await self._more()


async def _logged_in(pg: PGconn) -> Gate:
    """The gate of a connection that has come through its login. Raises `BrokerError`."""
    if pg.status == ConnStatus.BAD:
        raise faults.at_login(pg.get_error_message("utf-8"))
    if not await connected(pg.socket):
        raise BrokerError("connect")
    gate = Gate(pg.socket)
    try:
        while (state := pg.connect_poll()) in _WAITING:
            if state == PollingStatus.WRITING:
                await gate.send_on()
            elif gate.left:
                gate.pass_on()
            else:
                await gate.let_in()
            if gate.received > _MAX_LOGIN:
                raise BrokerError("broken")
        if state != PollingStatus.OK:
            raise faults.at_login(pg.get_error_message("utf-8"))
    except BaseException:
        gate.close()
        raise
    return gate


_WAITING = (PollingStatus.READING, PollingStatus.WRITING)
_COPYING = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


def check(result: PGresult) -> None:
    """Raise `Refused` for a refusal, and `BrokerError("broken")` for libpq's own errors."""
    if result.status == ExecStatus.PIPELINE_ABORTED:
        raise BrokerError("broken")
    if result.status not in {ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.NONFATAL_ERROR}:
        return
    told = [
        (result.error_field(field) or b"").decode("utf-8", "replace")
        for field in (
            *(DiagnosticField.SQLSTATE, DiagnosticField.MESSAGE_PRIMARY, DiagnosticField.MESSAGE_DETAIL),
            *(DiagnosticField.MESSAGE_HINT, DiagnosticField.STATEMENT_POSITION),
        )
    ]
    if not told[0]:
        raise BrokerError("broken")
    position = int(told[4]) if told[4].isdecimal() and len(told[4]) < 10 else None  # noqa: PLR2004 - 1 MiB has 7 digits
    raise faults.Refused(faults.Refusal(told[0], told[1], told[2], told[3], position)) from None


def cells_of(result: PGresult) -> list[list[bytes | None]]:
    """The rows of a result."""
    take, columns = result.get_value, range(result.nfields)
    return [[take(row, column) for column in columns] for row in range(result.ntuples)]
