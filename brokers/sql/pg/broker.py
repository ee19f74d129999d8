"""The broker of PostgreSQL: which act is performed by which statements, and what becomes of the answer.

Rules of this file
- What reads is streamed and never committed; what writes is over before it is told.
- A refusal by the server is an answer. Whatever else goes wrong, the session is not used again.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, cast

from psycopg.postgres import types as builtin

from brokers.contract import BrokerError, Outcome
from brokers.resolver import system_resolver
from brokers.sql import export, rows
from brokers.sql.broker import SqlBroker
from brokers.sql.kind import Postgres
from brokers.sql.pg import acts, catalogue, cells, copying, faults, reading, role
from brokers.sql.pg.pool import Pool
from brokers.sql.pg.session import RefusedError, has_rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from psycopg.pq.abc import PGresult

    from brokers.contract import Connection, Credential, Plan
    from brokers.declaration import Kind
    from brokers.resolver import Resolver
    from brokers.sql.arguments import Scalar
    from brokers.sql.pg.pool import Lane, Loan
    from brokers.sql.pg.session import Session

    Work = Callable[[Plan, Session], Awaitable[bytes]]

_LOOK_SECONDS = 15.0


class PostgresBroker(SqlBroker):
    """Calls on PostgreSQL."""

    kind = "postgres"
    dialect = "postgres"
    declared: ClassVar[Kind] = Postgres()

    def __init__(self, resolver: Resolver = system_resolver) -> None:
        super().__init__(resolver)
        self._pool = Pool(resolver)

    async def aclose(self) -> None:
        """Close every session."""
        await self._pool.aclose()

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        if plan.request["mode"] == "write":
            return await self._whole(plan, credential, acts.written, write=True)
        if plan.request["export"] == "csv" and not plan.request["params"]:
            return await self._begun(self._copied(plan, credential), {})
        head: dict[str, object] = {}
        return await self._begun(self._rows(plan, credential, head), head)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, acts.estimated, write=False)

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, acts.schema, write=False)

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._whole(plan, credential, acts.loaded, write=True)

    async def inspect(self, connection: Connection, credential: Credential) -> dict[str, object]:
        """`{server, warnings, script}`: what the role can do beyond reading. Raises `BrokerError`."""
        loan = await self._pool.borrow(connection, credential)
        try:
            await loan.session.begin(write=False, seconds=_LOOK_SECONDS)
            found = await loan.session.whole(role.question())
        except RefusedError:
            raise BrokerError("refused", why="the server does not say what the role may do") from None
        except BaseException:
            await loan.session.cut()
            raise
        finally:
            await loan.release()
        facts = {reading.name(found, at): reading.cell(found, at) for at in range(found.nfields)}
        return role.told(facts, str(connection.target["database"]))

    async def _whole(self, plan: Plan, credential: Credential, work: Work, *, write: bool) -> Outcome:
        """The document that `work` makes, once it is made and the transaction is over."""
        head: dict[str, object] = {}
        async with self._lent(plan, credential) as loan:
            try:
                await loan.session.begin(write=write, seconds=plan.limits.timeout)
                body = await work(plan, loan.session)
                if write:
                    await loan.session.end(commit=plan.request["dry_run"] is not True)
            except RefusedError as refusal:
                head, body = {"failed": True}, faults.answer(refusal.told, _own(plan))
        return Outcome(head, _once(body), _nothing)

    async def _begun(self, stream: AsyncGenerator[bytes, None], head: dict[str, object]) -> Outcome:
        """The outcome of a stream that has begun: a credential is lent for the beginning, and a refusal told with it."""
        try:
            first = await anext(stream)
        except BaseException:
            await stream.aclose()
            raise
        return Outcome(head, _then(first, stream), stream.aclose)

    async def _rows(self, plan: Plan, credential: Credential, head: dict[str, object]) -> AsyncGenerator[bytes, None]:
        """A query's rows as they come, as a document or as a file."""
        given = plan.request
        async with self._lent(plan, credential) as loan:
            try:
                params = cast("Sequence[Scalar]", given["params"])
                await loan.session.ask(str(given["sql"]), params, plan.limits.timeout)
                results = loan.session.results()
                first = await anext(results)
                columns, encoders = await self._columns(first, loan.lane, plan, credential)
                batches = reading.batches(first, results, encoders)
                if form := str(given["export"]):
                    write = {"csv": reading.as_csv, "jsonl": export.lines, "json": export.listed}[form]
                    async for data in write(columns, batches):
                        yield data
                    return
                bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
                async for data in rows.document(columns, batches, bounded, {}):
                    yield data
                if bounded.truncated:
                    await loan.session.cut()
            except RefusedError as refusal:
                if given["export"]:
                    raise _no_file() from None
                head["failed"] = True
                yield faults.answer(refusal.told, _own(plan))

    async def _copied(self, plan: Plan, credential: Credential) -> AsyncGenerator[bytes, None]:
        """A query's rows as CSV, by COPY: the server writes them as fast as it can."""
        async with self._lent(plan, credential) as loan:
            sql = str(plan.request["sql"]).rstrip("; \t\r\n")
            try:
                await loan.session.begin(write=False, seconds=plan.limits.timeout)
                # By itself it must be one statement: what is, cannot end the bracket that it is put into. The line end
                # before that closes a comment.
                await loan.session.whole(f"EXPLAIN {sql}")
                await loan.session.send(f"COPY (\n{sql}\n) TO STDOUT (FORMAT csv, HEADER)", portions=False)
                async for data in copying.out(loan.session):
                    yield data
            except RefusedError:
                raise _no_file() from None

    @asynccontextmanager
    async def _lent(self, plan: Plan, credential: Credential) -> AsyncIterator[Loan]:
        """A session for as long as the call may take; cut where it did not end well."""
        try:
            async with asyncio.timeout(plan.limits.timeout + 1):  # the server's own clock rings first
                loan = await self._pool.borrow(plan.connection, credential)
                try:
                    yield loan
                except BaseException:
                    await asyncio.shield(loan.session.cut())
                    raise
                finally:
                    await loan.release()
        except TimeoutError:
            raise BrokerError("timeout", seconds=max(1, round(plan.limits.timeout))) from None

    async def _columns(
        self, first: PGresult, lane: Lane, plan: Plan, credential: Credential
    ) -> tuple[list[rows.Column], list[cells.Encoder]]:
        if not has_rows(first):
            return [], []
        if first.nfields > rows.MAX_COLUMNS:
            raise BrokerError("too-large", limit=f"{rows.MAX_COLUMNS:,} columns")
        oids = [first.ftype(at) for at in range(first.nfields)]
        for oid in {*oids} - lane.types.keys():
            lane.types[oid] = await self._type(oid, plan.connection, credential)
        columns = [rows.Column(reading.name(first, at), lane.types[oid][0]) for at, oid in enumerate(oids)]
        return columns, [cells.encoder(oid, lane.types[oid][1]) for oid in oids]

    async def _type(self, oid: int, connection: Connection, credential: Credential) -> tuple[str, int | None]:
        """A type's name, and what an array of it is made of. What is not built in is asked for, on another session."""
        if (known := builtin.get(oid)) is not None:
            return (known.name, None) if known.oid == oid else (f"_{known.name}", known.oid)
        loan = await self._pool.borrow(connection, credential)
        try:
            found = await loan.session.whole(catalogue.TYPES, (oid,))
        except RefusedError:
            return f"oid {oid}", None
        finally:
            await loan.release()
        if not found.ntuples:
            return f"oid {oid}", None
        return reading.cell(found, 1), int(reading.cell(found, 2)) if reading.cell(found, 2) else None


def _own(plan: Plan) -> tuple[str, ...]:
    target = plan.connection.target
    return str(target["user"]), str(target["host"]), str(target["database"])


def _no_file() -> BrokerError:
    return BrokerError("refused", why="the server refuses the statement; without a file it says why")


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _then(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for data in rest:
        yield data


async def _nothing() -> None:
    """There is nothing left to free."""
