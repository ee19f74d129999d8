"""COPY: a query's rows as the server writes them, and rows into a table as fast as it takes them.

Rules of this file
- The statement was sent; here is only what follows it in libpq's protocol for copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import Error, generators
from psycopg.pq import ExecStatus
from psycopg.waiting import Wait

from brokers.sql.pg.session import RefusedError, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Sequence

    from psycopg.pq.abc import PGconn
    from psycopg.waiting import Ready

    from brokers.sql.pg.session import Session

_PIECE = 64 << 10  # bytes that go on in one go


async def out(session: Session) -> AsyncIterator[bytes]:
    """The data of a COPY … TO STDOUT, in pieces of some 64 KiB: whole rows. Raises `RefusedError`, `BrokerError`."""
    pgconn = session.connection.pgconn
    try:
        await _started(session, ExecStatus.COPY_OUT)
        with session.watch() as watch:
            held: list[memoryview] = []
            size = 0
            while (got := pgconn.get_copy_data(1))[0] >= 0:
                if got[0]:
                    held.append(got[1])
                    size += got[0]
                if held and (not got[0] or size >= _PIECE):
                    watch.portion()
                    yield b"".join(held)
                    held, size = [], 0
                if not got[0]:
                    await session.connection.wait(_more(pgconn))
            if held:
                yield b"".join(held)
        ended = await session.connection.wait(generators.fetch(pgconn))
        await session.drain()
    except Error:
        raise session.failure() from None
    if ended is None or ended.status != ExecStatus.COMMAND_OK:
        raise RefusedError(told(ended))


async def into(session: Session, sql: str, chunks: Sequence[bytes]) -> int:
    """Send `chunks` to a COPY … FROM STDIN; the number of rows. Raises `RefusedError`, `BrokerError`."""
    pgconn = session.connection.pgconn
    await session.send(sql, portions=False)
    try:
        await _started(session, ExecStatus.COPY_IN)
        for chunk in chunks:
            await session.connection.wait(generators.copy_to(pgconn, chunk))
        done = await session.connection.wait(generators.copy_end(pgconn, None))
    except Error as error:
        if error.sqlstate is None:
            raise session.failure() from None
        said = {"sqlstate": error.sqlstate, "message": error.diag.message_primary or ""}
        more = {"detail": error.diag.message_detail or "", "hint": error.diag.message_hint or ""}
        raise RefusedError({**said, **more}) from None
    return done.command_tuples or 0


async def _started(session: Session, status: ExecStatus) -> None:
    started = await session.connection.wait(generators.fetch(session.connection.pgconn))
    if started is None or started.status != status:
        await session.drain()
        raise RefusedError(told(started))


def _more(pgconn: PGconn) -> Generator[Wait, Ready | int, None]:
    """Wait until more has come in, in psycopg's own way to wait."""
    yield Wait.R
    pgconn.consume_input()
