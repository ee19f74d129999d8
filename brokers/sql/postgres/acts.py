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
from brokers.sql import answer, export, rows
from brokers.sql.postgres import faults, login, role, work
from brokers.sql.postgres.pool import Pool
from brokers.sql.postgres.results import Rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from brokers.contract import Connection, Credential, Plan
    from brokers.personal import Findings
    from brokers.resolver import Resolver
    from brokers.sql.postgres.call import Call
    from brokers.sql.postgres.results import Tell

    Work = Callable[[Plan, Call, Tell], Awaitable[bytes]]

_CHUNK, _CHUNKS = 64 << 10, 8  # bytes, or portions of rows, that are handed on together
_WIDE = 20  # of a file, whose rows have no bound but that of one
_LOOK_SECONDS = 15.0
_SYNTAX = "42601"


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
            return await self._whole(plan, credential, work.changed)
        if given["export"] == "csv" and not given["params"]:
            copied = await self._copied(plan, credential)
            if copied is not None:
                return copied
        try:
            return await self._read(plan, credential, _WIDE if given["export"] else work.PORTION)
        except BrokerError as error:
            if error.code != "too-large":
                raise
        # A portion of rows was too much, a single one may be none. Nothing of a read lasts, so it can begin again.
        return await self._read(plan, credential, 1)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, work.estimated, before=len(work.EXPLAIN))

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, work.tables)

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, work.loaded)

    async def inspect(self, connection: Connection, credential: Credential) -> Findings:
        """See `PostgresBroker`."""
        call = await self._pool.call(connection, credential, _LOOK_SECONDS)
        try:
            await work.begin(call, role.QUESTION, write=False, path="pg_catalog")
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

    async def _whole(self, plan: Plan, credential: Credential, perform: Work, *, before: int = 0) -> Outcome:
        """The document that `perform` makes, once it is made."""
        call = await self._pool.call(plan.connection, credential, plan.limits.timeout)
        tell = _teller(plan, call, before)
        try:
            told = answer.whole(await perform(plan, call, tell))
        except faults.Refused as refused:
            told = _answer(tell(refused.refusal))
        except BaseException:
            call.abandon()
            raise
        call.give_back()
        return told

    async def _read(self, plan: Plan, credential: Credential, portion: int) -> Outcome:
        """A query's rows as they come."""
        given, form = plan.request, str(plan.request["export"])
        call = await self._pool.call(plan.connection, credential, plan.limits.timeout)
        tell = _teller(plan, call)
        found = Rows(call, tell)
        try:
            described = await work.begin(
                call, str(given["sql"]), write=False, ask=(work.params(plan), portion), plan=plan
            )
            if found.knows(described):
                await found.describe(described)
                await found.asked()
            else:
                # Types are looked up before the rows come. Nothing of a read lasts, so it can begin again.
                await call.timed(call.session.stop())
                await found.describe(await work.begin(call, str(given["sql"]), write=False, plan=plan))
                await found.begin(work.params(plan), portion)
        except faults.Refused as refused:
            told = tell(refused.refusal)
            call.give_back()
            if form:
                raise export.refused() from None
            return _answer(told)
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
            described = await work.begin(call, sql, write=False, plan=plan)
            parsed = described.nfields > 0
            if parsed:
                await call.timed(call.session.send(f"COPY (\n{sql}\n) TO STDOUT (FORMAT csv, HEADER true)"))
                stream = call.session.copied()
                first = await call.timed(_next(stream))
        except faults.Refused as refused:
            call.give_back()
            if parsed and refused.refusal.state == _SYNTAX:
                return None
            raise export.refused() from None
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
            raise export.refused() from None
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


def _teller(plan: Plan, call: Call, before: int = 0) -> Tell:
    def tell(refusal: faults.Refusal) -> dict[str, object]:
        late = asyncio.get_running_loop().time() >= call.rings - 0.1
        return faults.members(refusal, login.words(plan.connection), late=late, before=before)

    return tell


def _answer(told: dict[str, object]) -> Outcome:
    return answer.refused(told["sqlstate"], faults.document(told))


async def _kept(chunks: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
    """The chunks, small ones together; whatever ends them early ends what the server does for them."""
    parts, size = list[bytes](), 0
    try:
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= _CHUNK or len(parts) >= _CHUNKS:
                yield b"".join(parts)
                parts, size = [], 0
                await asyncio.sleep(0)  # a fast server must not keep the loop from its other work
        if parts:
            yield b"".join(parts)
    except GeneratorExit:
        raise
    except faults.Refused:
        call.give_back()
        raise export.refused() from None
    except BaseException:
        call.abandon()
        raise


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream, b"")
