"""One session: a transaction around each statement, one statement in it, and as new afterwards or not used again.

Rules of this file
- Every statement goes by the extended protocol, which takes one at a time: "COMMIT; DELETE …" is refused as a whole.
- A read is in a READ ONLY transaction that has had a query, so that SET TRANSACTION READ WRITE comes too late.
- A statement is parsed by the server before anything is performed. Up to there all can be done again elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import pq
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus

from brokers.contract import BrokerError
from brokers.sql.postgres import faults, own
from brokers.sql.postgres.login import Root, conninfo, forget_environment
from brokers.sql.postgres.wire import COPYING, Wire, cells_of, check, logged_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.pq.abc import PGconn, PGresult

    from brokers.sql.postgres.gate import Gate
    from brokers.sql.postgres.login import Login

    Send = Callable[[PGconn], None]
    Params = Sequence[bytes | None] | None

_NAME = b"kv"  # of the statement that is parsed: one without a name would not outlive the next of ours
_STOPPED = 16 << 20  # bytes that may be on their way when the server is stopped
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
    "pg_catalog.current_setting('standard_conforming_strings'), "
    "pg_catalog.current_setting('session_replication_role'), "
    "pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('row_security'), "
    "pg_catalog.pg_is_in_recovery()::text, pg_catalog.pg_backend_pid()::text"
)


def query(sql: str, params: Params = None) -> Send:
    """A statement with its parameters, for `together`."""
    return lambda pg: pg.send_query_params(sql.encode(), params)


class Session(Wire):
    """A session that is logged in."""

    def __init__(self, login: Login, root: Root, pg: PGconn, gate: Gate) -> None:
        super().__init__(login, root, pg, gate)
        self.idle_since = 0.0
        self._first: list[list[bytes | None]] = []

    @classmethod
    async def open(cls, login: Login, address: str) -> Session:
        """Log in at `address`. Raises `BrokerError`."""
        forget_environment()
        root = Root(login)
        pg = pq.PGconn.connect_start(conninfo(login, address, root))
        gate: Gate | None = None
        try:
            gate = await logged_in(pg, login)
            pg.nonblocking = 1
            made = cls(login, root, pg, gate)
            made._first = await made.table(_SELF)
        except BaseException:
            pg.finish()
            root.close()
            if gate is not None:
                gate.close()
            raise
        return made

    async def begin(  # noqa: PLR0913 - a transaction is opened with this much
        self, sql: str, *, write: bool, milliseconds: int, lock: int, path: str = "", first: Params = None
    ) -> PGresult:
        """Open a transaction and have `sql` parsed in it: what the server says of its columns. Raises `Refused`.

        With `first`, the parameters of `own.QUESTION`, that is asked before: what it finds is a refusal too.
        """
        opening = "BEGIN TRANSACTION READ WRITE" if write else "BEGIN TRANSACTION READ ONLY"
        settings = self._settings(milliseconds, lock)
        setting = [query(f"SELECT pg_catalog.set_config('search_path', '{path}', true)")] if path else []
        found = await self.together(
            query(opening),
            query(_SETTINGS, settings),
            *setting,
            *([query(own.QUESTION, first)] if first else []),
            lambda pg: pg.send_prepare(_NAME, sql.encode()),
            lambda pg: pg.send_describe_prepared(_NAME),
        )
        if not self.in_transaction:
            raise BrokerError("broken")
        return found[-1]

    async def ask(  # noqa: PLR0913 - as `begin`
        self, sql: str, params: Params, portion: int, *, milliseconds: int, lock: int, first: Params = None
    ) -> PGresult:
        """As `begin` for reading and `run` in one go, which costs one way to the server and back: the rows are `next`.

        What is sent together is answered in order; where one fails the server passes over the others.
        """
        pg = self._pg
        settings = self._settings(milliseconds, lock)
        pg.enter_pipeline_mode()
        pg.send_query_params(b"BEGIN TRANSACTION READ ONLY", None)
        pg.send_query_params(_SETTINGS.encode(), settings)
        if first:
            pg.send_query_params(own.QUESTION.encode(), first)
        pg.send_prepare(_NAME, sql.encode())
        pg.send_describe_prepared(_NAME)
        pg.send_query_prepared(_NAME, params)
        pg.pipeline_sync()
        await self.flush()
        found: PGresult | None = None
        for _ in range(5 if first else 4):
            found = await self.next()
            if self._busy() or self._taken() is not None:  # what parts two results is libpq's own, and here at once
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
        await self.flush()
        found = await self._answers(len(sends) if apart else 1)
        pg.exit_pipeline_mode()
        self._hear()
        for result in found:
            check(result)
        if len(found) != len(sends):
            raise BrokerError("broken")
        return found

    async def _answers(self, syncs: int) -> list[PGresult]:
        """All results up to the last of so many ends of what was sent together."""
        found, nothing = list["PGresult"](), False
        while syncs:
            while self._busy():
                await self._more()
            result = self._taken()
            if result is None:
                if nothing:
                    raise BrokerError("broken")
            elif result.status == ExecStatus.PIPELINE_SYNC:
                syncs -= 1
            else:
                found.append(result)
            nothing = result is None
        return found

    async def table(self, sql: str, params: Params = None) -> list[list[bytes | None]]:
        """All rows of a statement of ours. Raises `Refused`."""
        found = (await self.together(query(sql, params)))[0]
        return cells_of(found)

    async def run(self, params: Params, portion: int) -> PGresult:
        """Perform what was parsed: its first result, of `portion` rows at most. Raises `Refused`."""
        self._pg.send_query_prepared(_NAME, params)
        self._portion(portion)
        await self.flush()
        return await self.next()

    async def send(self, sql: str) -> PGresult:
        """Perform a statement of ours without rows: its result. Raises `Refused`."""
        self._pg.send_query_params(sql.encode(), None)
        await self.flush()
        found = await self.next()
        if found.status not in COPYING:
            await self.end()
        return found

    async def renew(self) -> bool:
        """Make the session as new. False where it is not what it was, and must not be used again."""
        if self._pg.pipeline_status != PipelineStatus.OFF or self.swollen:
            return False
        try:
            found = await self.together(query("ROLLBACK"), query("DISCARD ALL"), query(_SELF), apart=True)
        except faults.Refused:
            return False
        return cells_of(found[2]) == self._first and self._pg.transaction_status == TransactionStatus.IDLE

    async def stop(self) -> None:
        """End what was asked, and its transaction."""
        if not await self.skip(0):
            await self.cancel()
            if not await self.skip(_STOPPED):
                raise BrokerError("broken")
        await self.together(query("ROLLBACK"), query("DEALLOCATE ALL"), apart=True)
