"""Queries, estimates, schemas and loads, each on a session of its own for as long as it takes.

Rules of this file
- What reads is streamed, and never committed; what writes is over before it is told.
- A refusal by the server is an answer. A session that refused is made as new like any other.
- Whatever else goes wrong, the session is not used again.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError, Outcome
from brokers.sql import export, records, rows
from brokers.sql.postgres import catalogue, copying_text, faults, role
from brokers.sql.postgres.pool import Pool
from brokers.sql.postgres.results import Rows
from brokers.sql.postgres.session import query

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from psycopg.pq.abc import PGresult

    from brokers.contract import Connection, Credential, Plan
    from brokers.resolver import Resolver
    from brokers.sql.arguments import Scalar
    from brokers.sql.postgres.pool import Call
    from brokers.sql.postgres.results import Tell

    Work = Callable[[Plan, Call, Tell], Awaitable[bytes]]

_PORTION = 100  # rows that libpq collects before it hands them over: few enough that wide ones stay within bounds
_WIDE = 20  # of a file, whose rows have no bound but that of one
_SHARE = 0.1  # of the call's time for the way back, 0.5 s at most: the server's clock is to ring before ours
_LOCK = 10.0  # seconds for somebody else's lock: a longer wait looks like a hang
_LOOK_SECONDS = 15.0
_EXPLAIN = "EXPLAIN (FORMAT JSON) "
_SYNTAX = "42601"
_CHANGING = (b"INSERT", b"UPDATE", b"DELETE", b"MERGE")
_UNKNOWN = "it is not known whether the transaction was committed: look before repeating it"


class Acts:
    """What is done on PostgreSQL. Its state is the pool."""

    def __init__(self, resolver: Resolver) -> None:
        self._pool = Pool(resolver)

    async def aclose(self) -> None:
        """Close every session."""
        await self._pool.aclose()

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        given = plan.request
        if given["mode"] == "write":
            return await self._whole(plan, credential, _changed)
        if given["export"] == "csv" and not given["params"]:
            copied = await self._copied(plan, credential)
            if copied is not None:
                return copied
        try:
            return await self._read(plan, credential, _WIDE if given["export"] else _PORTION)
        except BrokerError as error:
            if error.code != "too-large":
                raise
        # A portion of rows was too much, a single one may be none. Nothing of a read lasts, so it can begin again.
        return await self._read(plan, credential, 1)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, _estimated, before=len(_EXPLAIN))

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, _tables)

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, _loaded)

    async def inspect(self, connection: Connection, credential: Credential) -> dict[str, object]:
        """See `PostgresBroker`."""
        call = await self._pool.call(connection, credential, _LOOK_SECONDS)
        try:
            await begin(call, role.QUESTION, write=False, path="pg_catalog")
            found = await call.timed(call.session.table(role.QUESTION))
        except faults.Refused:
            call.give_back()
            raise BrokerError("refused", why="the server does not say what the role may do") from None
        except BaseException:
            call.abandon()
            raise
        call.give_back()
        facts = json.loads(found[0][0] or b"{}")
        return role.told(call.session.version, facts, str(connection.target["database"]))

    async def _whole(self, plan: Plan, credential: Credential, work: Work, *, before: int = 0) -> Outcome:
        """The document that `work` makes, once it is made."""
        call = await self._pool.call(plan.connection, credential, plan.limits.timeout)
        head: dict[str, object] = {}
        tell = _teller(call, before)
        try:
            body = await work(plan, call, tell)
        except faults.Refused as refused:
            head, body = _answer(tell(refused.refusal))
        except BaseException:
            call.abandon()
            raise
        call.give_back()
        return Outcome(head, _once(body), _nothing)

    async def _read(self, plan: Plan, credential: Credential, portion: int) -> Outcome:
        """A query's rows as they come."""
        given, form = plan.request, str(plan.request["export"])
        call = await self._pool.call(plan.connection, credential, plan.limits.timeout)
        tell = _teller(call)
        found = Rows(call, tell)
        try:
            described = await begin(call, str(given["sql"]), write=False, ask=(params(plan), portion))
            if found.knows(described):
                await found.describe(described)
                await found.asked()
            else:
                # Types are looked up before the rows come. Nothing of a read lasts, so it can begin again.
                await call.timed(call.session.stop())
                await found.describe(await begin(call, str(given["sql"]), write=False))
                await found.begin(params(plan), portion)
        except faults.Refused as refused:
            told = tell(refused.refusal)
            call.give_back()
            if form:
                raise _no_file() from None
            head, body = _answer(told)
            return Outcome(head, _once(body), _nothing)
        except BaseException:
            call.abandon()
            raise
        if form:
            write = {"jsonl": export.lines, "json": export.listed}.get(form)
            chunks = write(found.columns, found.written()) if write else export.csv(found.columns, found.spelled())
            return Outcome({}, _kept(chunks, call), found.aclose)
        bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
        document = rows.document(found.columns, found.told(bounded), bounded, found.facts)
        return Outcome({}, _kept(document, call), found.aclose)

    async def _copied(self, plan: Plan, credential: Credential) -> Outcome | None:
        """A query's rows as CSV, written by the server; None where COPY does not take the statement, and rows must do.

        The statement is put between brackets, after the server has parsed it by itself: what is one statement by itself
        has as many closing brackets as opening ones at every place, so it cannot close ours, and no quote or comment of
        it is open at its end but one that the line's end closes.
        """
        call = await self._pool.call(plan.connection, credential, plan.limits.timeout)
        sql = str(plan.request["sql"]).rstrip("; \t\r\n\f\v")
        parsed = False
        try:
            described = await begin(call, sql, write=False)
            parsed = described.nfields > 0
            if parsed:
                await call.timed(call.session.send(f"COPY (\n{sql}\n) TO STDOUT (FORMAT csv, HEADER true)"))
                stream = call.session.copied()
                first = await call.timed(_next(stream))
        except faults.Refused as refused:
            call.give_back()
            if parsed and refused.refusal.state == _SYNTAX:
                return None
            raise _no_file() from None
        except BaseException:
            call.abandon()
            raise
        if not parsed:
            call.give_back()
            return None
        copy = _Copy(call, first, stream)
        return Outcome({}, copy.body(), copy.aclose)


class _Copy:
    """The rest of a COPY, its first bytes read."""

    def __init__(self, call: Call, first: bytes, stream: AsyncGenerator[bytes, None]) -> None:
        self._call, self._first, self._stream = call, first, stream
        self._ascii, self._done = call.session.ascii, False

    async def body(self) -> AsyncIterator[bytes]:
        """The file. Raises `BrokerError`."""
        data = self._first
        try:
            while data:
                yield data.decode("utf-8", "replace").encode() if self._ascii else data
                await asyncio.sleep(0)  # a fast server must not keep the loop from its other work
                data = await self._call.timed(_next(self._stream))
        except faults.Refused:
            self._done = True
            raise BrokerError("broken") from None
        except BaseException:
            self._call.abandon()
            raise
        self._done = True

    async def aclose(self) -> None:
        """Free the session."""
        await self._stream.aclose()
        if self._done:
            self._call.give_back()
        else:
            self._call.abandon()


async def begin(
    call: Call, sql: str, *, write: bool, path: str = "", ask: tuple[list[bytes | None], int] | None = None
) -> PGresult:
    """Open a transaction with `sql` parsed in it, and with `ask` performed: what the server says of its columns.

    A kept session may have died unseen: then a new one does it.
    """
    if not call.opened:
        await call.open()
    while True:
        left = call.left * 1000
        milliseconds = max(1, int(left - min(500.0, max(50.0, left * _SHARE))))
        lock = max(1, int(min(milliseconds * 0.8, _LOCK * 1000)))
        call.rings = asyncio.get_running_loop().time() + milliseconds / 1000
        session = call.session
        try:
            if ask is not None:
                return await call.timed(session.ask(sql, *ask, milliseconds=milliseconds, lock=lock))
            return await call.timed(session.begin(sql, write=write, milliseconds=milliseconds, lock=lock, path=path))
        except BrokerError as error:
            if error.code != "broken" or not call.kept:
                raise
        await call.reopen()


async def _changed(plan: Plan, call: Call, tell: Tell) -> bytes:
    """A statement that changes something, whole. Its rows (RETURNING) are within bounds, all are read."""
    given = plan.request
    found = Rows(call, tell)
    await found.describe(await begin(call, str(given["sql"]), write=True))
    await found.begin(params(plan), _PORTION)
    bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
    parts = [rows.document_head(found.columns)]
    async for batch in found.written():
        if not bounded.truncated:
            parts.append(bounded.take(batch))
    shown = not found.columns or found.tag.startswith(_CHANGING)
    undone = await _ended(call, dry_run=given["dry_run"] is True)
    affected = (found.affected or 0) if shown else None
    parts.append(rows.document_tail(truncated=bounded.truncated, affected=affected, rolled_back=undone))
    return b"".join(parts)


async def _loaded(plan: Plan, call: Call, tell: Tell) -> bytes:
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
        raise BrokerError("broken", why=_UNKNOWN) from None
    if tag != b"COMMIT":
        raise BrokerError("broken")
    return None


async def _sent(call: Call, sql: str) -> bytes | None:
    return (await call.session.together(query(sql)))[0].command_status


async def _estimated(plan: Plan, call: Call, tell: Tell) -> bytes:
    found = Rows(call, tell)
    await begin(call, f"{_EXPLAIN}{plan.request['sql']}", write=False)
    await found.begin(params(plan), 1)
    told = [row async for batch in found.batches() for row in batch]
    return catalogue.estimate(told[0][0] or b"" if told else b"")


async def _tables(plan: Plan, call: Call, tell: Tell) -> bytes:
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


def _teller(call: Call, before: int = 0) -> Tell:
    def tell(refusal: faults.Refusal) -> dict[str, object]:
        late = asyncio.get_running_loop().time() >= call.rings - 0.1
        return faults.members(refusal, call.login.words, late=late, before=before)

    return tell


def _answer(told: dict[str, object]) -> tuple[dict[str, object], bytes]:
    return {"failed": True, "sqlstate": told["sqlstate"]}, faults.document(told)


def _no_file() -> BrokerError:
    return BrokerError("refused", why="the server refuses the statement; without a file it says why")


async def _kept(chunks: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
    """The chunks; whatever ends them early ends what the server does for them."""
    try:
        async for chunk in chunks:
            yield chunk
            await asyncio.sleep(0)  # a fast server must not keep the loop from its other work
    except GeneratorExit:
        raise
    except faults.Refused:
        call.give_back()
        raise BrokerError("broken") from None
    except BaseException:
        call.abandon()
        raise


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream, b"")


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _nothing() -> None:
    """The session went back before the answer."""
