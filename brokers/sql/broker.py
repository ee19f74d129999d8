"""What every SQL broker does alike: a pure plan, and an act that is performed as it was planned.

Rules of this file
- A plan judged `read` is performed read-only, whatever the classifier made of it: the engine opens a READ ONLY
  transaction (or file), and a wrong guess fails at the server.
- What a card shows is what the server will do (`shown`).
- The estimate on a card is a call of its own, an EXPLAIN, judged and recorded like any other.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, ClassVar, cast

from brokers.contract import BrokerError, Effect, Plan
from brokers.resolver import system_resolver
from brokers.sql import shown
from brokers.sql.arguments import Draft, decode
from brokers.sql.statement import classify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokers.contract import Connection, Credential, Outcome
    from brokers.declaration import Kind
    from brokers.resolver import Resolver

_TABLES = 8  # named on a card
_ESTIMATING = 3.0  # seconds for an estimate: somebody waits for the card, who may have asked not to wait at all


class SqlBroker:
    """Calls on one kind of database. An engine gives `kind`, `dialect`, `declared`, and how each act is performed."""

    kind: str
    dialect: str
    declared: ClassVar[Kind]
    wants: tuple[str, ...] = ()  # of the application's lookups
    quick = 512  # a byte can cost the parser 0.2 ms: `a[1], a[1], …`
    places: int
    places_in_all: int

    def __init__(self, resolver: Resolver = system_resolver) -> None:
        self.resolver = resolver

    def plan(self, connection: Connection, arguments: Mapping[str, object], body: bytes = b"") -> Plan:
        """The canonical plan of a call. Raises `BrokerError("argument")`."""
        draft = decode(arguments, body)
        if draft.act == "schema":
            return self._schema_plan(connection, draft)
        if draft.act == "load":
            return self._load_plan(connection, draft, body)
        return self._query_plan(connection, draft)

    def _query_plan(self, connection: Connection, draft: Draft) -> Plan:
        functions = cast("Sequence[str]", connection.target.get("functions") or ())
        found = classify(draft.sql, self.dialect, frozenset(functions))
        effect, because = found.effect, found.because
        if not draft.write and effect not in {Effect.READ, Effect.UNKNOWN}:
            raise BrokerError(
                "argument", argument="mode", why=f"{_DOES[effect]}: say mode=write, and a person is asked"
            )
        if draft.write and effect is Effect.READ:
            effect, because = Effect.WRITE, "mode=write was asked for"
        if draft.export and (draft.write or not found.rows):
            raise BrokerError("argument", argument="save", why="a plain SELECT is saved, in mode=read")
        request = {
            "act": "query",
            "method": found.kind,
            "sql": draft.sql,
            "params": draft.params,
            "mode": "write" if draft.write else "read",
            "tables": found.tables,
            "rows": found.rows,
            "explainable": found.explainable,
            "reach": asdict(found.reach),
            "max_rows": draft.max_rows,
            "export": draft.export,
            "dry_run": draft.dry_run,
        }
        text = shown.plain(draft.sql, self.dialect)
        title = f"{self.declared.place(connection.target)} {shown.title(text)}"
        details = [*shown.rows(text), *_named(found.tables), *shown.values(draft.params)]
        details.sort(key=lambda row: row[0] != "caution")
        details += [("dry run", "performed, then rolled back")] if draft.dry_run else []
        return Plan(connection, effect, because, title, request, b"", tuple(details), draft.limits)

    def _schema_plan(self, connection: Connection, draft: Draft) -> Plan:
        wanted = ".".join(filter(None, (draft.schema, draft.table))) or "all tables"
        return Plan(
            connection=connection,
            effect=Effect.READ,
            because="it reads what tables there are",
            title=f"{self.declared.place(connection.target)} schema of {wanted}",
            request={"act": "schema", "method": "SCHEMA", "schema": draft.schema, "table": draft.table},
            limits=draft.limits,
        )

    def _load_plan(self, connection: Connection, draft: Draft, body: bytes) -> Plan:
        request = {
            "act": "load",
            "method": "COPY",
            "table": draft.table,
            "tables": (draft.table,),
            "columns": draft.columns,
            "format": draft.format,
            "header": draft.header,
            "dry_run": draft.dry_run,
        }
        details = [("table", draft.table), ("columns", ", ".join(draft.columns) or "as the file's first line says")]
        details += [("file", f"{len(body):,} bytes of {draft.format}")]
        details += [("row", line) for line in body[:2000].decode("utf-8", "replace").splitlines()[:4]]
        return Plan(
            connection=connection,
            effect=Effect.WRITE,
            because=f"it adds rows to {draft.table}",
            title=f"{self.declared.place(connection.target)} load {draft.table}",
            request=request,
            body=body,
            details=tuple(details),
            limits=draft.limits,
        )

    def preview(self, plan: Plan) -> Plan | None:
        """The call that estimates how many rows `plan` touches, for its card; None where there is none to make."""
        given = plan.request
        if given["act"] != "query" or given["mode"] != "write" or not given["explainable"]:
            return None
        text = shown.plain(str(given["sql"]), self.dialect)
        return replace(
            plan,
            effect=Effect.READ,
            because="it estimates, by EXPLAIN, what a statement would touch",
            title=f"{self.declared.place(plan.connection.target)} EXPLAIN {shown.title(text)}",
            request={**given, "act": "estimate", "method": "EXPLAIN", "mode": "read"},
            details=(),
            limits=replace(plan.limits, timeout=min(plan.limits.timeout, _ESTIMATING)),
        )

    async def perform(self, plan: Plan, credential: Credential) -> Outcome:
        """Do what was planned. Raises `BrokerError`."""
        act = {"query": self.query, "estimate": self.estimate, "schema": self.schema, "load": self.load}
        outcome = await act[str(plan.request["act"])](plan, credential)
        outcome.head["form"] = "text" if plan.request.get("export") else "json"
        return outcome

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """One statement: a document of rows, or with `export` a file of them; of a write how many rows it touched."""
        raise NotImplementedError

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """The document `{"rows": N}`: how many rows the engine's planner expects the statement to touch."""
        raise NotImplementedError

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """The tables that there are, as a document."""
        raise NotImplementedError

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """The body's rows into a table, all or none; a document with `affected`."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close every connection."""
        raise NotImplementedError


def _named(tables: Sequence[str]) -> list[tuple[str, str]]:
    if not tables:
        return []
    more = f" and {len(tables) - _TABLES} more" if len(tables) > _TABLES else ""
    return [("table" if len(tables) == 1 else "tables", ", ".join(tables[:_TABLES]) + more)]


_DOES = {
    Effect.WRITE: "the statement writes",
    Effect.DESTROY: "the statement destroys",
    Effect.MINT: "the statement changes privileges or what lasts",
}
