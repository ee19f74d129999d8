"""The corpus against real servers: what is harmless runs, and nothing that is hostile leaves a trace, judged or not.

Rules of this file
- A hostile statement is performed as a read whatever the classifier says of it, as if a person had agreed or the
  classifier were wrong: the server alone holds it back then.
- Before and after each, everything is looked at that the role could have changed: every table's rows, the catalogue,
  settings, other sessions' locks, the files that the statements name, and what the next call finds in its session.
- A session is made as new when its answer is out, so what is left of a call is looked for until that has been done.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import postgres_server
import psycopg
import pytest
from mariadb_server import Mariadb
from mariadb_server import lent as lent_mysql
from postgres_server import Postgres, performed
from sql_vectors import schema, vectors

from brokers.contract import BrokerError, Connection, Credential, Effect, Plan
from brokers.sql import kind
from brokers.sql.mysql import MysqlBroker
from brokers.sql.postgres import PostgresBroker
from brokers.sql.sqlite import SqliteBroker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from sql_vectors import Vector

    from brokers.sql.broker import SqlBroker

    Told = tuple[dict[str, object], bytes] | str  # head and document, or the code of an error

_LOOKS_AGAIN = 100
SECONDS = 1.0  # for a statement that sleeps or never ends
# Files that the statements would write.
FILES = ("/tmp/out", "/tmp/orders.csv", "/tmp/pwned", "/tmp/x", "/tmp/evil.so")  # noqa: S108 - the attacks' own


def a_read(connection: Connection, sql: str) -> Plan:
    """`sql` as a read, whatever it is."""
    request = {"act": "query", "method": "SELECT", "sql": sql, "params": (), "mode": "read", "tables": (), "rows": True}
    more = {"explainable": False, "max_rows": 100, "export": "", "dry_run": False}
    plan = Plan(connection, Effect.READ, "judged wrongly", "a read", {**request, **more})
    return replace(plan, limits=replace(plan.limits, timeout=SECONDS))


class Served:
    """A server with the corpus's tables, and how it is asked."""

    def __init__(self, broker: Callable[[], SqlBroker], connection: Connection, lent: Credential) -> None:
        self._broker, self.connection, self._lent = broker, connection, lent

    def ask(self, *statements: str) -> list[Told]:
        """What comes of each, one call after the other on one broker."""
        return list(asyncio.run(self._asked(statements)).values())

    def attack(self, engine: str, fresh: str, look: Callable[[], object]) -> dict[str, str]:
        """Which hostile statements changed something, and what.

        `fresh` asks for the state of a session, `look` for everything else.
        """
        attacks = {vector.sql: vector.name for vector in vectors(engine) if vector.flag == "hostile"}
        changed: dict[str, str] = {}
        seen = {"before": look(), "session": self.ask(fresh)[0]}

        async def after(sql: str) -> None:
            for _ in range(_LOOKS_AGAIN):
                if (found := look()) == seen["before"]:
                    return
                await asyncio.sleep(0.05)
            changed[attacks[sql]] = f"{seen['before']} became {found}"
            seen["before"] = found

        for sql, told in asyncio.run(self._asked(attacks, after, fresh)).items():
            if told != seen["session"]:
                changed[attacks[sql]] = f"the next call found {told!r}"
        return changed

    async def _asked(
        self, statements: Iterable[str], after: Callable[[str], Awaitable[None]] | None = None, fresh: str = ""
    ) -> dict[str, Told]:
        """What comes of each statement, or of `fresh` right after it; `after` is called with each."""
        broker = self._broker()
        found: dict[str, Told] = {}
        try:
            for sql in statements:
                for one in filter(None, (sql, fresh)):
                    try:
                        found[sql] = await performed(broker, a_read(self.connection, one), self._lent)
                    except BrokerError as error:
                        found[sql] = error.code
                if after is not None:
                    await after(sql)
        finally:
            await broker.aclose()
        return found


def traces() -> list[str]:
    """Which of the files there are."""
    return [name for name in FILES if Path(name).exists()]


# -- PostgreSQL -------------------------------------------------------------------------------------------------------

_LOOKS = """
SELECT oid::regclass::text, relkind, relowner, relacl::text FROM pg_class WHERE relpersistence <> 't' ORDER BY 1;
SELECT count(*), md5(string_agg(proname, ',' ORDER BY oid)) FROM pg_proc;
SELECT rolname, rolsuper, rolcanlogin FROM pg_roles ORDER BY 1; SELECT count(*) FROM pg_largeobject_metadata;
SELECT extname FROM pg_extension ORDER BY 1; SELECT datname, datacl::text FROM pg_database ORDER BY 1;
SELECT setconfig::text FROM pg_db_role_setting ORDER BY 1; SELECT count(*) FROM pg_trigger;
SELECT count(*) FROM pg_rewrite; SELECT count(*) FROM pg_policy; SELECT count(*) FROM pg_subscription;
SELECT count(*) FROM pg_publication; SELECT count(*) FROM pg_foreign_server; SELECT count(*) FROM pg_replication_slots;
SELECT count(*) FROM pg_prepared_xacts; SELECT last_value, is_called FROM ticket;
SELECT name, setting FROM pg_settings WHERE source = 'configuration file' ORDER BY 1;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid();
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM customers t;
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM orders t;
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM items t;
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM events t;
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM staff t;
SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM daily t
"""
_IN_SESSION = (
    "SELECT current_user, session_user, current_setting('search_path'), current_setting('transaction_read_only'),"
    " current_setting('work_mem'), (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),"
    " (SELECT count(*) FROM pg_cursors WHERE is_holdable), (SELECT count(*) FROM pg_listening_channels())"
)


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


@pytest.mark.timeout(300)
def test_nothing_hostile_leaves_a_trace_in_postgres(postgres: tuple[Served, Postgres]) -> None:
    """Performed as reads by a role that owns everything, the hostile statements change nothing, in any place."""
    served, server = postgres
    with psycopg.connect(
        host=str(server.folder), port=server.port, user="root", dbname="shop", autocommit=True
    ) as root:

        def look() -> list[object]:
            return [root.execute(one.encode()).fetchall() for one in _LOOKS.split(";")] + [traces()]

        assert served.attack("postgres", _IN_SESSION, look) == {}


# -- MySQL and MariaDB ------------------------------------------------------------------------------------------------


_MY_LOOKS = (
    *(f"CHECKSUM TABLE shop.{name}" for name in ("customers", "orders", "items", "events", "staff")),
    "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' ORDER BY 1, 2",
    "SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'shop' ORDER BY 1",
    "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'shop' ORDER BY 1",
    "SELECT event_name FROM information_schema.events ORDER BY 1",
    "SELECT user, host FROM mysql.user ORDER BY 1, 2",
    "SELECT schema_name FROM information_schema.schemata ORDER BY 1",
    "SELECT @@global.read_only, @@global.local_infile, @@global.general_log, @@global.sql_mode",
)
_MY_SESSION = (
    "SELECT current_user(), database(), @@session.sql_mode, @@session.tx_isolation, @@in_transaction, @a, @x,"
    " @@session.autocommit"
)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[tuple[Served, Mariadb]]:
    """MariaDB with the tables, whose owner is the role that is lent."""
    with Mariadb() as server:
        server.root_all("USE shop", *filter(str.strip, schema("mysql").split(";\n")))
        yield Served(MysqlBroker, server.connection(), lent_mysql()), server


@pytest.mark.parametrize("vector", [v for v in vectors("mysql") if v.flag == "harmless"], ids=str)
def test_mariadb_runs_what_is_harmless(mariadb: tuple[Served, Mariadb], vector: Vector) -> None:
    """What a developer writes simply works."""
    (found,) = mariadb[0].ask(vector.sql)
    assert not isinstance(found, str), found
    assert not found[0].get("failed"), found[1]


@pytest.mark.timeout(300)
def test_nothing_hostile_leaves_a_trace_in_mariadb(mariadb: tuple[Served, Mariadb]) -> None:
    """As for PostgreSQL."""
    served, server = mariadb
    assert served.attack("mysql", _MY_SESSION, lambda: [*server.root_all(*_MY_LOOKS), traces()]) == {}


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
    found = in_file(file).attack("sqlite", "SELECT count(*) FROM sqlite_schema", lambda: seen_in_folder(file.parent))
    assert found == {}
