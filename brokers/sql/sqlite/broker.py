"""The broker of SQLite: a call opens the file, does its one statement in a thread, and closes it.

Rules of this file
- A read holds the file's shared lock for as long as its rows are read, and no longer than the call's time.
- A write is over before it is told, in one transaction; a trial of it is rolled back.
- A refusal by SQLite is an answer; the file's path is no secret, and SQLite does not name it.
"""

from __future__ import annotations

import shlex
import sqlite3
import stat
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from brokers.contract import BrokerError, Outcome
from brokers.personal import Findings
from brokers.resolver import system_resolver
from brokers.sql import answer, export, records, rows
from brokers.sql.broker import SqlBroker
from brokers.sql.kind import Sqlite
from brokers.sql.room import SQLITE, THREADS
from brokers.sql.sqlite import catalogue, cells
from brokers.sql.sqlite.call import FAILURES, Call, Calls, Reading
from brokers.sql.sqlite.file import fetch
from brokers.sql.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokers.contract import Connection, Credential, Plan
    from brokers.declaration import Kind
    from brokers.resolver import Resolver
    from brokers.sql.sqlite.file import File

_PORTION = 1000  # rows that are added at once


class SqliteBroker(SqlBroker):
    """Calls on SQLite files."""

    kind = "sqlite"
    places, places_in_all = SQLITE, THREADS
    dialect = "sqlite"
    declared: ClassVar[Kind] = Sqlite()

    def __init__(self, resolver: Resolver = system_resolver) -> None:
        super().__init__(resolver)
        self._threads = Threads("kv-sqlite")
        self._calls = Calls()

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        del credential
        given = plan.request
        sql, params = str(given["sql"]), tuple(cast("Sequence[object]", given["params"]))
        if given["mode"] != "write":
            return await self._read(plan, sql, params)
        bounded = rows.Bounded(cast("int", given["max_rows"]), plan.limits.max_bytes)
        dry_run = given["dry_run"] is True
        return await self._whole(plan, lambda file: _changed(file, sql, params, bounded, dry_run=dry_run), write=True)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        del credential
        sql, params = str(plan.request["sql"]), tuple(cast("Sequence[object]", plan.request["params"]))
        return await self._whole(plan, lambda file: catalogue.plan(file, sql, params), write=False)

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        del credential
        wanted, table = str(plan.request["schema"]), str(plan.request["table"])
        most = plan.limits.max_bytes
        return await self._whole(plan, lambda file: catalogue.schema(file, wanted, table, most), write=False)

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        del credential
        given = plan.request
        columns, found = records.read(
            plan.body, str(given["format"]), cast("Sequence[str]", given["columns"]), header=given["header"] is True
        )

        def work(file: File) -> bytes:
            affected, sql = 0, ""
            for portion in records.chunks(found, _PORTION):
                sql = sql or _insert(str(given["table"]), columns, len(portion[0]))
                affected += file.many(sql, cast("list[list[object]]", portion))
            file.end(commit=given["dry_run"] is not True)
            return rows.document_head(()) + rows.document_tail(
                truncated=False, affected=affected, rolled_back=given["dry_run"] or None
            )

        return await self._whole(plan, work, write=True)

    async def inspect(self, connection: Connection, credential: Credential) -> Findings:
        """SQLite has no roles, so it is the file's own rights that are told."""
        del credential
        path = str(connection.target["path"])
        try:
            found = await self._threads.run(Path(path).stat, _do_nothing)
        except OSError:
            raise BrokerError("refused", why="there is no such file, or it cannot be reached") from None
        warnings = []
        if found.st_mode & stat.S_IWOTH:
            warnings.append("every user of this machine may write to the file")
        if found.st_mode & stat.S_IROTH:
            warnings.append("every user of this machine may read the file")
        return Findings(
            server=f"SQLite {sqlite3.sqlite_version}",
            warnings=tuple(warnings),
            script=f"chmod o-rwx {shlex.quote(path)}\n" if warnings else "",
            remedy="other users are kept out by",
        )

    async def aclose(self) -> None:
        """End what is at work."""
        for call in tuple(self._calls.open):
            call.stop()
        self._threads.close()

    async def _whole(self, plan: Plan, work: Callable[[File], bytes], *, write: bool) -> Outcome:
        """The document that `work` makes, once it is made."""
        call = Call(self._threads, self._calls, plan, write=write)
        try:
            return answer.whole(await call.start(work))
        except FAILURES as error:
            return _refused(cells.refusal(error))
        finally:
            await call.aclose()

    async def _read(self, plan: Plan, sql: str, params: tuple[object, ...]) -> Outcome:
        """A query's rows as they come."""
        form = str(plan.request["export"])
        call = Call(self._threads, self._calls, plan, write=False)
        reading = Reading(call)
        try:
            await call.start(lambda file: reading.begin(file, sql, params))
        except BaseException as error:
            await call.aclose()
            if not isinstance(error, FAILURES):
                raise
            if form:
                raise export.refused() from None
            return _refused(cells.refusal(error))
        if form == "csv":
            return Outcome({}, export.kept(export.csv(reading.columns, reading.spelled()), FAILURES), call.aclose)
        if form:
            write = export.lines if form == "jsonl" else export.listed
            return Outcome({}, export.kept(write(reading.columns, reading.written()), FAILURES), call.aclose)
        bounded = rows.Bounded(cast("int", plan.request["max_rows"]), plan.limits.max_bytes)
        document = rows.document(reading.columns, reading.told(bounded), bounded, reading.facts)
        return Outcome({}, document, call.aclose)


def _changed(file: File, sql: str, params: tuple[object, ...], bounded: rows.Bounded, *, dry_run: bool) -> bytes:
    """The document of a statement that changes something. Its rows (RETURNING) are within bounds, all are read."""
    cursor = file.run(sql, params)
    batch = fetch(cursor)
    names = [str(column[0]) for column in cursor.description or ()]
    parts = [rows.document_head(cells.columns(names, batch))]
    while batch:
        if not bounded.truncated:
            parts.append(bounded.take(cells.written(row) for row in batch))
        batch = fetch(cursor)
    affected = file.changes()
    file.end(commit=not dry_run)
    parts.append(rows.document_tail(truncated=bounded.truncated, affected=affected, rolled_back=dry_run or None))
    return b"".join(parts)


def _insert(table: str, columns: Sequence[str], count: int) -> str:
    named = f" ({', '.join(map(_quoted, columns))})" if columns else ""
    marks = ", ".join("?" * count)
    return f"INSERT INTO main.{_quoted(table.removeprefix('main.'))}{named} VALUES ({marks})"  # noqa: S608 - names in quotes


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refused(told: dict[str, str]) -> Outcome:
    return answer.refused(told["sqlstate"], rows.error(told["sqlstate"], told["message"], hint=told.get("hint", "")))


def _do_nothing() -> None:
    """A look at a file's rights is over at once, or waits for a disk that nobody hurries."""
