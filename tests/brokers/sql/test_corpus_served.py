"""The corpus against real servers: what is harmless runs, and nothing that is hostile leaves a trace, judged or not.

Rules of this file
- A hostile statement is performed as a read whatever the classifier says of it, as if a person had agreed or the
  classifier were wrong: the server alone holds it back then.
- Before and after each, everything is looked at that the role could have changed: every table's rows, the catalogue,
  settings, other sessions' locks, the files that the statements name, and what the next call finds in its session.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import postgres_server
import pytest
from mariadb_server import Mariadb
from mariadb_server import lent as lent_mysql
from postgres_server import Postgres, performed
from sql_vectors import Vector, schema, vectors

from brokers.contract import BrokerError, Connection, Credential, Effect, Plan
from brokers.sql import kind
from brokers.sql.mysql import MysqlBroker
from brokers.sql.pg import PostgresBroker
from brokers.sql.sqlite import SqliteBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brokers.sql.broker import SqlBroker

SECONDS = 2.0  # for a statement that sleeps or never ends
# Files that the statements would write.
FILES = ("/tmp/out", "/tmp/orders.csv", "/tmp/pwned", "/tmp/x", "/tmp/evil.so")  # noqa: S108 - the attacks' own


def a_read(connection: Connection, sql: str) -> Plan:
    """`sql` as a read, whatever it is."""
    request = {"act": "query", "method": "SELECT", "sql": sql, "params": (), "mode": "read", "tables": (), "rows": True}
    more = {"explainable": False, "max_rows": 100, "export": "", "dry_run": False}
    plan = Plan(connection, Effect.READ, "judged wrongly", "a read", {**request, **more})
    return replace(plan, limits=replace(plan.limits, timeout=SECONDS))


class Served:
    """A server with the corpus's tables: how it is asked, and how it is looked at."""

    def __init__(self, broker: Callable[[], SqlBroker], connection: Connection, lent: Credential) -> None:
        self._broker, self.connection, self._lent = broker, connection, lent

    def ask(self, *statements: str) -> list[tuple[dict[str, object], bytes] | str]:
        """What comes of each, one call after the other on one broker: a document, or the code of an error."""

        async def story() -> list[tuple[dict[str, object], bytes] | str]:
            broker = self._broker()
            found: list[tuple[dict[str, object], bytes] | str] = []
            try:
                for sql in statements:
                    try:
                        found.append(await performed(broker, a_read(self.connection, sql), self._lent))
                    except BrokerError as error:
                        found.append(error.code)
            finally:
                await broker.aclose()
            return found

        return asyncio.run(story())


def traces() -> list[str]:
    """Which of the files there are."""
    return [name for name in FILES if Path(name).exists()]


# -- PostgreSQL -------------------------------------------------------------------------------------------------------

_LOOKS = """
SELECT string_agg(n.nspname || '.' || c.relname || ' ' || c.relkind || ' ' || c.relowner || ' ' || coalesce(c.relacl::text, ''),
  ',' ORDER BY 1) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg\\_t%';
SELECT count(*), md5(string_agg(proname, ',' ORDER BY oid)) FROM pg_proc;
SELECT string_agg(rolname || rolsuper || rolcanlogin, ',' ORDER BY 1) FROM pg_roles;
SELECT count(*) FROM pg_largeobject_metadata;
SELECT string_agg(extname, ',') FROM pg_extension;
SELECT string_agg(datname || coalesce(datacl::text, ''), ',' ORDER BY 1) FROM pg_database;
SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting;
SELECT count(*) FROM pg_trigger; SELECT count(*) FROM pg_rewrite; SELECT count(*) FROM pg_policy;
SELECT count(*) FROM pg_subscription; SELECT count(*) FROM pg_publication; SELECT count(*) FROM pg_foreign_server;
SELECT count(*) FROM pg_replication_slots; SELECT count(*) FROM pg_prepared_xacts; SELECT last_value, is_called FROM ticket;
SELECT string_agg(name || setting, ',' ORDER BY name) FROM pg_settings WHERE context <> 'internal' AND source = 'configuration file';
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' OR mode LIKE '%Exclusive%' AND locktype = 'relation'
"""
_IN_SESSION = (
    "SELECT current_user, session_user, current_setting('search_path'), current_setting('transaction_read_only'),"
    " current_setting('statement_timeout'), (SELECT count(*) FROM pg_prepared_statements),"
    " (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_listening_channels())"
)


def seen_in_postgres(server: Postgres) -> list[Any]:
    """Everything that a statement could have changed."""
    tables = [
        row[0]
        for row in server.root(
            "SELECT relname FROM pg_class WHERE relkind IN ('r','m') AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
    ]
    looks = [*(f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t" for name in tables)]
    looks += [look.strip() for look in _LOOKS.split(";\n") if look.strip()]
    return [server.root(one) for look in looks for one in look.split("; ")] + [traces()]


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[Served, Postgres]]:
    """PostgreSQL with the tables, whose owner is the role that is lent."""
    with Postgres() as server:
        with server.app() as app:
            app.execute(schema("postgres").encode())
        yield Served(PostgresBroker, server.connection(), postgres_server.lent()), server


@pytest.mark.parametrize("vector", [v for v in vectors("postgres") if v.flag == "harmless"], ids=str)
def test_postgres_runs_what_is_harmless(postgres: tuple[Served, Postgres], vector: Vector) -> None:
    """What a developer writes simply works."""
    (found,) = postgres[0].ask(vector.sql)
    assert not isinstance(found, str), found
    assert not found[0].get("failed"), found[1]


def test_nothing_hostile_leaves_a_trace_in_postgres(postgres: tuple[Served, Postgres]) -> None:
    """Performed as reads by a role that owns everything, the hostile statements change nothing, in any place."""
    served, server = postgres
    before = seen_in_postgres(server)
    ((_, fresh),) = served.ask(_IN_SESSION)
    changed = {}
    for vector in vectors("postgres"):
        if vector.flag != "hostile":
            continue
        found = served.ask(vector.sql, _IN_SESSION)[1]
        if isinstance(found, str) or found[1] != fresh:
            changed[vector.name] = f"the next call's session: {found}"
        if (after := seen_in_postgres(server)) != before:
            changed[vector.name] = f"{[(b, a) for b, a in zip(before, after, strict=False) if a != b]}"
            before = after
    assert not changed


# -- MySQL and MariaDB ------------------------------------------------------------------------------------------------


def seen_in_mariadb(server: Mariadb) -> list[Any]:
    """As above."""
    tables = [
        row[0]
        for row in server.root(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop' AND table_type = 'BASE TABLE' ORDER BY 1"
        )
    ]
    looks = [f"CHECKSUM TABLE shop.`{name}`" for name in tables if name != "ticket"]
    looks += [
        "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1, 2",
        "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_schema = 'shop' ORDER BY 1, 2",
        "SELECT trigger_name FROM information_schema.triggers ORDER BY 1",
        "SELECT event_name FROM information_schema.events ORDER BY 1",
        "SELECT user, host FROM mysql.user ORDER BY 1, 2",
        "SELECT schema_name FROM information_schema.schemata ORDER BY 1",
        "SELECT @@global.read_only, @@global.local_infile, @@global.general_log, @@global.sql_mode",
    ]
    return [server.root(look) for look in looks] + [traces()]


_MY_SESSION = (
    "SELECT current_user(), database(), @@session.sql_mode, @@session.tx_isolation, @@in_transaction, @a, @x,"
    " @@session.autocommit"
)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[tuple[Served, Mariadb]]:
    """MariaDB with the tables, whose owner is the role that is lent."""
    with Mariadb() as server:
        for statement in filter(str.strip, schema("mysql").split(";\n")):
            server.root(f"USE shop; {statement}" if False else statement, "shop")
        yield Served(MysqlBroker, server.connection(), lent_mysql()), server


@pytest.mark.parametrize("vector", [v for v in vectors("mysql") if v.flag == "harmless"], ids=str)
def test_mariadb_runs_what_is_harmless(mariadb: tuple[Served, Mariadb], vector: Vector) -> None:
    """What a developer writes simply works."""
    (found,) = mariadb[0].ask(vector.sql)
    assert not isinstance(found, str), found
    assert not found[0].get("failed"), found[1]


def test_nothing_hostile_leaves_a_trace_in_mariadb(mariadb: tuple[Served, Mariadb]) -> None:
    """As for PostgreSQL."""
    served, server = mariadb
    before = seen_in_mariadb(server)
    ((_, fresh),) = served.ask(_MY_SESSION)
    changed = {}
    for vector in vectors("mysql"):
        if vector.flag != "hostile":
            continue
        found = served.ask(vector.sql, _MY_SESSION)[1]
        if isinstance(found, str) or found[1] != fresh:
            changed[vector.name] = f"the next call's session: {found}"
        if (after := seen_in_mariadb(server)) != before:
            changed[vector.name] = f"{[(b, a) for b, a in zip(before, after, strict=False) if a != b]}"
            before = after
    assert not changed


# -- SQLite -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with the tables, and another beside it that an attack may reach for."""
    for name in ("shop.db", "other.db"):
        with sqlite3.connect(tmp_path / name) as made:
            made.executescript(schema("sqlite"))
        made.close()
    return tmp_path / "shop.db"


def in_file(path: Path) -> Served:
    """The file as it is asked."""
    target = kind.Sqlite().target({"path": str(path)}, {}, "none")
    return Served(SqliteBroker, Connection("shop", "sqlite", target, "none"), Credential({}))


def seen_in_folder(folder: Path) -> dict[str, str]:
    """Every file of the folder, by its bytes."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}
    return {**found, "elsewhere": ",".join(traces())}


@pytest.mark.parametrize("vector", [v for v in vectors("sqlite") if v.flag == "harmless"], ids=str)
def test_sqlite_runs_what_is_harmless(file: Path, vector: Vector) -> None:
    """What a developer writes simply works."""
    (found,) = in_file(file).ask(vector.sql)
    assert not isinstance(found, str), found
    assert not found[0].get("failed"), found[1]


def test_nothing_hostile_leaves_a_trace_beside_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the file nor in another, nor is a new one made."""
    monkeypatch.chdir(file.parent)
    served, before = in_file(file), seen_in_folder(file.parent)
    changed = {}
    for vector in vectors("sqlite"):
        if vector.flag == "hostile":
            served.ask(vector.sql)
            if seen_in_folder(file.parent) != before:
                changed[vector.name] = vector.sql
                before = seen_in_folder(file.parent)
    assert not changed
