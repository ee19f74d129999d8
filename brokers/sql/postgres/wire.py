"""A connection of libpq's behind the gate: what is sent, what comes back, and how much of it may come at once.

Rules of this file
- What comes in between two results is bounded: a row is held whole, by libpq, before it can be looked at.
- Cancelling asks the address that was dialled, over TLS if the connection is.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, PipelineStatus, PollingStatus, TransactionStatus

from brokers.contract import BrokerError
from brokers.sql import rows
from brokers.sql.postgres import faults
from brokers.sql.postgres.gate import Gate, connected, ready
from brokers.sql.postgres.scram import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from psycopg.pq.abc import PGconn, PGresult

    from brokers.sql.postgres.login import Login, Root

logging.getLogger("psycopg").disabled = True  # it would quote servers and statements
logging.getLogger("psycopg.pq").disabled = True

_DIGESTING = 0.03  # seconds of a processor for one portion of 64 KiB: fifty times what rows take
WAITING = (PollingStatus.READING, PollingStatus.WRITING)
COPYING = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)
_MAX_LOGIN = 1 << 20  # bytes of a login: a certificate chain, and what the server says of itself
_SWOLLEN = 8 << 20  # bytes between two results after which libpq's buffer is too large to be kept
_FEW = 100  # notifications in one session: nobody listens here
_COPY = 256 << 10  # bytes of a file that are handed on at once


class Wire:
    """A connection that is logged in."""

    def __init__(self, login: Login, root: Root, pg: PGconn, gate: Gate) -> None:
        self.login = login
        self._root, self._pg, self._gate = root, pg, gate
        self._mark, self._most = gate.received, 0
        self._heard = 0
        self._clock = time.perf_counter

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

    @property
    def swollen(self) -> bool:
        """Whether so much came at once that libpq holds a large buffer."""
        return self._most > _SWOLLEN

    async def next(self) -> PGresult:
        """The next result of what is performed. Raises `Refused` and reads to the end then."""
        while self._busy():
            await self._more()
        found = self._taken()
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
        pipeline, nothing = self._pg.pipeline_status != PipelineStatus.OFF, False
        while True:
            while self._busy():
                await self._more()
            found = self._taken()
            if found is not None and found.status == ExecStatus.PIPELINE_SYNC:
                self._pg.exit_pipeline_mode()
                break
            if found is None and not pipeline:
                break
            if found is None and nothing:
                raise BrokerError("broken")
            nothing = found is None
        self._hear()

    def _taken(self) -> PGresult | None:
        """The next result, which is here."""
        found, received = self._pg.get_result(), self._gate.received
        if received != self._mark:
            self._most = max(self._most, received - self._mark)
            self._mark = received
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
            await self.flush()
        self._pg.put_copy_end()
        await self.flush()
        found = await self.next()
        await self.end()
        return found

    async def skip(self, most: int) -> bool:
        """Read away what is left of a result, if it is at most `most` bytes."""
        until, nothing = self._gate.received + most, False
        while True:
            while self._busy():
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
            if (found is None and nothing) or (found is not None and found.status in COPYING):
                return False
            nothing = found is None

    async def cancel(self) -> None:
        """Have the server stop what it performs: asked at the address that was dialled, over TLS if the session is."""
        self._root.rewind()
        asked = self._pg.cancel_conn()
        try:
            asked.start()
            while (state := asked.poll()) in WAITING:
                await ready(
                    asked.socket, writing=state == PollingStatus.WRITING, reading=state == PollingStatus.READING
                )
        finally:
            asked.finish()

    def close(self) -> None:
        """End it."""
        self._pg.finish()
        self._gate.close()
        self._root.close()

    def _busy(self) -> bool:
        """Whether more has to come in. Raises `BrokerError("broken")` where what came in keeps libpq at work for long.

        It holds some things in lists that it walks: a server that sends settings without end would have the loop stand.
        """
        clock = self._clock
        began = clock()
        busy = self._pg.is_busy()
        if clock() - began > _DIGESTING:
            if clock is time.thread_time:
                raise BrokerError("broken")
            # It may be the machine that was at work elsewhere. The clock that knows is a system call, so only now.
            self._clock = time.thread_time
        return busy != 0

    def _hear(self) -> None:
        """Take the notifications, which libpq keeps until then. Raises `BrokerError("broken")` where they are many."""
        while self._pg.notifies() is not None:
            self._heard += 1
            if self._heard > _FEW:
                raise BrokerError("broken")

    async def _more(self) -> None:
        """Let libpq have a portion more of what the server sends."""
        gate, pg = self._gate, self._pg
        self._hear()
        if gate.left:
            gate.pass_on()
        else:
            await gate.let_in()
        pg.consume_input()
        if self.login.tls and not gate.left:
            # A record of TLS may be larger than what libpq takes at once; no socket shows the rest.
            pg.consume_input()
            pg.consume_input()
        if gate.received - self._mark > rows.MAX_CELL:
            raise BrokerError("too-large", limit=rows.MAX_CELL)

    async def flush(self) -> None:
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


async def logged_in(pg: PGconn, login: Login) -> Gate:
    """The gate of a connection that has come through its login. Raises `BrokerError`."""
    if pg.status == ConnStatus.BAD:
        raise faults.at_login(pg.get_error_message("utf-8"))
    if not await connected(pg.socket):
        raise BrokerError("connect")
    gate = Gate(pg.socket)
    if not login.tls:
        gate.look = Watch(insecure=login.insecure).look
    try:
        await _through(pg, gate)
    except BaseException:
        gate.close()
        raise
    gate.look = None
    return gate


async def _through(pg: PGconn, gate: Gate) -> None:
    while (state := pg.connect_poll()) in WAITING:
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
