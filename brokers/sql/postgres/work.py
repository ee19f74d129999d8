"""What is done whole before it is told: writes, loads, estimates and schemas; and how any statement begins.

Rules of this file
- The text that was judged is the text that is sent; what is put around it is of this file.
- A commit whose answer does not come is told as what it is: nobody knows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError
from brokers.sql import records, rows
from brokers.sql.postgres import catalogue, copying_text, own
from brokers.sql.postgres.faults import Refused
from brokers.sql.postgres.results import Rows
from brokers.sql.postgres.session import query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from psycopg.pq.abc import PGresult

    from brokers.contract import Plan
    from brokers.sql.arguments import Scalar
    from brokers.sql.postgres.call import Call
    from brokers.sql.postgres.results import Tell

PORTION = 100  # rows that libpq collects before it hands them over: few enough that wide ones stay within bounds
EXPLAIN = "EXPLAIN (FORMAT JSON) "
_SHARE = 0.1  # of the call's time for the way back, 0.5 s at most: the server's clock is to ring before ours
_LOCK = 10.0  # seconds for somebody else's lock: a longer wait looks like a hang
_CHANGING = (b"INSERT", b"UPDATE", b"DELETE", b"MERGE")


async def begin(  # noqa: PLR0913 - a statement is begun with this much
    call: Call,
    sql: str,
    *,
    write: bool,
    path: str = "",
    ask: tuple[list[bytes | None], int] | None = None,
    plan: Plan | None = None,
) -> PGresult:
    """Open a transaction with `sql` parsed in it, and with `ask` performed: what the server says of its columns.

    With `plan`, the database is asked before whether its names are what they seem. A kept session may have died unseen:
    then a new one does it.
    """
    if not call.opened:
        await call.open()
    first = own.asked(plan) if plan else None
    while True:
        left = call.left * 1000
        milliseconds = max(1, int(left - min(500.0, max(50.0, left * _SHARE))))
        lock = max(1, int(min(milliseconds * 0.8, _LOCK * 1000)))
        call.rings = asyncio.get_running_loop().time() + milliseconds / 1000
        session = call.session
        try:
            if ask is not None:
                return await call.timed(session.ask(sql, *ask, milliseconds=milliseconds, lock=lock, first=first))
            return await call.timed(
                session.begin(sql, write=write, milliseconds=milliseconds, lock=lock, path=path, first=first)
            )
        except Refused as refused:
            if plan and first:
                own.check(refused.refusal, plan)
            raise
        except BrokerError as error:
            if error.code != "broken" or not call.kept:
                raise
        await call.reopen()


async def changed(plan: Plan, call: Call, tell: Tell) -> bytes:
    """A statement that changes something, whole. Its rows (RETURNING) are within bounds, all are read."""
    given = plan.request
    found = Rows(call, tell)
    await found.describe(await begin(call, str(given["sql"]), write=True))
    await found.begin(params(plan), PORTION)
    bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
    parts = [rows.document_head(found.columns)]
    async for batch in found.written(bounded):
        parts.append(bounded.take(batch))  # noqa: PERF401 - asynchronous comprehensions read worse
    shown = not found.columns or found.tag.startswith(_CHANGING)
    undone = await _ended(call, dry_run=given["dry_run"] is True)
    affected = (found.affected or 0) if shown else None
    parts.append(rows.document_tail(truncated=bounded.truncated, affected=affected, rolled_back=undone))
    return b"".join(parts)


async def loaded(plan: Plan, call: Call, tell: Tell) -> bytes:
    """A file's rows into a table, all or none."""
    del tell
    given = plan.request
    columns, found = records.read(
        plan.body, str(given["format"]), cast("Sequence[str]", given["columns"]), header=given["header"] is True
    )
    statement = copying_text.statement(str(given["table"]), columns)
    await begin(call, "SELECT", write=True)
    await call.timed(call.session.send(statement))
    done = await call.timed(call.session.copy_in(_paced(found)))
    undone = await _ended(call, dry_run=given["dry_run"] is True)
    return rows.document_head(()) + rows.document_tail(
        truncated=False, affected=done.command_tuples or 0, rolled_back=undone
    )


async def _paced(found: Iterator[list[Scalar]]) -> AsyncIterator[bytes]:
    for portion in records.chunks(found, 1000):
        yield copying_text.lines(portion)
        await asyncio.sleep(0)  # reading a file is work, and others wait


async def _ended(call: Call, *, dry_run: bool) -> bool | None:
    """Commit; or check what is checked at the end, and roll back: True then."""
    if not call.session.in_transaction:
        raise BrokerError("argument", argument="sql", why="it ended the transaction that kv had opened for it")
    if dry_run:
        await call.timed(_sent(call, "SET CONSTRAINTS ALL IMMEDIATE"))
        await call.timed(_sent(call, "ROLLBACK"))
        return True
    try:
        tag = await call.timed(_sent(call, "COMMIT"))
    except BrokerError:
        raise BrokerError("broken") from None  # whether it was committed nobody knows
    if tag != b"COMMIT":
        raise BrokerError("broken")
    return None


async def _sent(call: Call, sql: str) -> bytes | None:
    return (await call.session.together(query(sql)))[0].command_status


async def estimated(plan: Plan, call: Call, tell: Tell) -> bytes:
    """How many rows the planner expects the statement to touch."""
    found = Rows(call, tell)
    await begin(call, f"{EXPLAIN}{plan.request['sql']}", write=False, plan=plan)
    await found.begin(params(plan), 1)
    told = [row async for batch in found.batches() for row in batch]
    return catalogue.estimate(told[0][0] or b"" if told else b"")


async def tables(plan: Plan, call: Call, tell: Tell) -> bytes:
    """The tables, within bounds."""
    found = Rows(call, tell)
    await begin(call, catalogue.TABLES, write=False, path="pg_catalog")
    await found.begin([str(plan.request[name]).encode() for name in ("schema", "table")], 1)
    parts, size = list[bytes](), 0
    async for batch in found.batches():
        if size <= plan.limits.max_bytes and len(parts) <= catalogue.MAX_TABLES:
            parts += [row[0] or b"" for row in batch]
            size += sum(len(row[0] or b"") for row in batch)
    return catalogue.tables(parts, plan.limits.max_bytes)


def params(plan: Plan) -> list[bytes | None]:
    """The parameters as text. Their types are the server's to say, from where they stand."""
    return [_param(value) for value in cast("Sequence[Scalar]", plan.request["params"])]


def _param(value: Scalar) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return (value if isinstance(value, str) else repr(value)).encode()
