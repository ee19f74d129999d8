"""Calls on SQLite files: what comes back, what is changed, and every known way round a read-only file."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from brokers.conformance import BrokerSuite
from brokers.contract import Broker, BrokerError, Connection, Credential, Effect, Plan
from brokers.sql.sqlite import SqliteBroker, spill
from brokers.sql.sqlite.file import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOTHING = Credential({})
COUNT = "with recursive r(x) as (select 1 union all select x + 1 from r where x < {}) select * from r"


def connection(path: Path, *functions: str) -> Connection:
    """A connection to a file."""
    target = SqliteBroker.declared.target({"path": str(path), "functions": functions}, {}, "none")
    return Connection("notes", "sqlite", target, "none")


def made(path: Path, *statements: str) -> Path:
    """A file with a small table, and what else is wanted."""
    with closing(sqlite3.connect(path)) as held:
        held.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        held.execute("INSERT INTO t VALUES (1, 'one'), (2, NULL)")
        for sql in statements:
            held.execute(sql)
        held.commit()
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a small table."""
    return made(tmp_path / "notes.db")


async def performed(broker: SqliteBroker, plan: Plan) -> tuple[dict[str, object], bytes]:
    """Head and body of a call."""
    outcome = await broker.perform(plan, NOTHING)
    try:
        return outcome.head, b"".join([chunk async for chunk in outcome.body])
    finally:
        await outcome.aclose()


def run(
    path: Path, call: Mapping[str, object], body: bytes = b"", *, preview: bool = False, functions: Sequence[str] = ()
) -> Any:  # noqa: ANN401 - a document
    """The document of a call."""

    async def once() -> Any:  # noqa: ANN401 - as above
        broker = SqliteBroker()
        try:
            plan = broker.plan(connection(path, *functions), call, body)
            if preview:
                seen = broker.preview(plan)
                assert seen is not None
                plan = seen
            head, data = await performed(broker, plan)
            return json.loads(data) if head["form"] == "json" else data
        finally:
            await broker.aclose()

    return asyncio.run(once())


def one(path: Path, sql: str, *params: object, **more: object) -> Any:  # noqa: ANN401 - as above
    """The document of a query."""
    return run(path, {"sql": sql, "params": list(params), **more})


def attempt(path: Path, sql: str, effect: Effect = Effect.READ, kind: str = "SELECT", **more: object) -> Any:  # noqa: ANN401 - as above
    """The document or error of a statement that a classifier took for something else."""

    async def once() -> Any:  # noqa: ANN401 - as above
        broker = SqliteBroker()
        try:
            plan = broker.plan(connection(path), {"sql": "select 1", **more})
            mode = "read" if effect is Effect.READ else "write"
            request = {**plan.request, "sql": sql, "mode": mode, "method": kind}
            plan = Plan(plan.connection, effect, "a mistake", "x", request, limits=plan.limits)
            return json.loads((await performed(broker, plan))[1])
        except BrokerError as error:
            return error
        finally:
            await broker.aclose()

    return asyncio.run(once())


def rows_of(path: Path, sql: str = "SELECT * FROM t ORDER BY id") -> list[tuple[Any, ...]]:
    """The rows as they are in the file."""
    with closing(sqlite3.connect(path)) as held:
        return held.execute(sql).fetchall()


class TestSqliteBroker(BrokerSuite):
    """The broker of SQLite keeps the suite of all brokers."""

    arguments: ClassVar[Mapping[str, object]] = {"sql": "select 1 as one"}
    refused: ClassVar[Sequence[Mapping[str, object]]] = (
        {"no such argument": 1},
        {"sql": ""},
        {"sql": "select 1; select 2"},
        {"timeout": 1000},
        {"mode": "both"},
    )

    def broker(self) -> Broker:
        """A new broker."""
        return SqliteBroker()

    @contextmanager
    def reachable(self) -> Iterator[tuple[Connection, Credential]]:
        """A file."""
        with TemporaryDirectory() as folder:
            yield connection(made(Path(folder) / "notes.db")), NOTHING

    def unreachable(self) -> tuple[Connection, Credential]:
        """No file."""
        return connection(Path("/nonexistent/notes.db")), NOTHING

    def with_text(self, text: str) -> Sequence[Mapping[str, object]]:
        """The statement, a parameter, and what a schema names."""
        return (
            {"sql": f"select '{text}'"},
            {"sql": "select ?", "params": [text]},
            {"act": "schema", "table": text},
        )


def test_values_keep_their_types(file: Path) -> None:
    """Whole numbers beyond what JSON has exactly are text, blobs are SQLite's own literals, NULL is null."""
    found = one(
        file, "select 1 as i, 9223372036854775807 as u, 1.5 as f, 'é😀' as s, x'00ff' as b, null as n, 1e999 as e"
    )
    assert found["rows"] == [[1, "9223372036854775807", 1.5, "é😀", "X'00FF'", None, "inf"]]
    assert [column["type"] for column in found["columns"]] == [
        *("integer", "integer", "real", "text", "blob", "null", "real")
    ]


def test_text_that_is_no_unicode_is_shown(file: Path) -> None:
    """A file may hold any bytes as TEXT: what is not UTF-8 is replaced."""
    assert one(file, "select cast(x'61ff62' as text) as t")["rows"] == [["a\N{REPLACEMENT CHARACTER}b"]]


@pytest.mark.parametrize("value", ["a'b", "é😀", "", "?", 5, -5, 1.5, None, 1 << 62])
def test_parameters_arrive_as_they_were_given(file: Path, value: object) -> None:
    """They are bound, never written into the statement."""
    found = one(file, "select ? as v", value)["rows"][0][0]
    assert found == (str(value) if value == 1 << 62 else value)


@pytest.mark.parametrize(("sql", "params"), [("select ?", []), ("select 1", [1]), ("select ?", [1 << 63])])
def test_parameters_have_to_fit(file: Path, sql: str, params: list[object]) -> None:
    """In number and in size."""
    with pytest.raises(BrokerError) as caught:
        run(file, {"sql": sql, "params": params})
    assert (caught.value.code, caught.value.fields["argument"]) == ("argument", "params")


@pytest.mark.parametrize("table", ["bindings", '"one statement"'])
def test_a_tables_name_is_not_taken_for_a_refusal(file: Path, table: str) -> None:
    """What SQLite says is told as its answer, whatever words of the statement it repeats."""
    assert "no such table" in one(file, f"select * from {table}")["error"]["message"]  # noqa: S608 - the story's


@pytest.mark.parametrize(
    "sql",
    [
        "with recursive r(x) as (select 1 union all select x + 1 from r where x < 3) select * from r",
        "select count(*) over (order by id), lower(name), json_extract('{\"a\":1}', '$.a') from t",
        "select * from json_each('[1,2]')",
        "select '{\"a\":1}' -> 'a', '{\"a\":1}' ->> 'a'",
        "select * from t where name like 'o%' or name glob 'o*'",
        "explain query plan select * from t",
        "select * from pragma_table_info('t')",
        "select datetime('now'), printf('%d', 5), group_concat(name) from t",
        "values (1), (2)",
        "select * from sqlite_master",
    ],
)
def test_harmless_queries_simply_work(file: Path, sql: str) -> None:
    """Window functions, JSON, recursion and plans are reads."""
    assert attempt(file, sql)["rows"]


def test_a_write_tells_how_many_rows_it_touched(file: Path) -> None:
    """It is committed, and what it returns comes back."""
    assert one(file, "update t set name = ?", "new", mode="write")["affected"] == 2
    assert rows_of(file) == [(1, "new"), (2, "new")]
    found = one(file, "insert into t (name) values ('x'), ('y') returning id", mode="write")
    assert (found["rows"], found["affected"]) == ([[3], [4]], 2)
    assert one(file, "delete from t where id > 2", mode="write")["affected"] == 2


@pytest.mark.parametrize(
    "sql", ["delete from t", "drop table t", "alter table t add column x", "insert into t values (9, 'x')"]
)
def test_a_dry_run_changes_nothing(file: Path, sql: str) -> None:
    """Definitions are rolled back like all else."""
    before = file.read_bytes()
    found = one(file, sql, mode="write", dry_run=True)
    assert found["rolled_back"] is True
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "create table x (a, b references t (id))",
        "create index i on t (name)",
        "create view v as select * from t",
        "create trigger g after insert on t begin delete from t where id = 99; end",
        "alter table t rename column name to title",
        "alter table t drop column name",
        "create virtual table f using fts5(a)",
        "create table c as select * from t",
        "drop table t",
        "reindex",
    ],
)
def test_definitions_are_performed(file: Path, sql: str) -> None:
    """What the plan says is a definition may define."""
    found = attempt(file, sql, Effect.DESTROY, sql.split(maxsplit=1)[0].upper())
    assert "error" not in found, found


def test_full_text_search_works(file: Path) -> None:
    """A virtual table that keeps what it holds in the file is written and searched."""
    attempt(file, "create virtual table f using fts5(a)", Effect.WRITE, "CREATE")
    assert one(file, "insert into f values ('some words')", mode="write")["affected"] == 1
    assert attempt(file, "select a from f where f match 'words'")["rows"] == [["some words"]]


def test_an_estimate_says_how_the_rows_are_found(file: Path) -> None:
    """SQLite has no number of them; nothing is touched."""
    before = file.read_bytes()
    found = run(file, {"sql": "delete from t where id = 1", "mode": "write"}, preview=True)
    assert found["rows"] is None
    assert "SEARCH t" in found["plan"][0]
    assert file.read_bytes() == before


def test_the_schema_tells_all_that_a_query_needs(tmp_path: Path) -> None:
    """Columns, keys, indexes and views; of one table, where one is asked for."""
    path = made(
        tmp_path / "s.db",
        "CREATE TABLE u (a INTEGER NOT NULL DEFAULT 5, b TEXT, c REFERENCES t (id), PRIMARY KEY (b, a)) WITHOUT ROWID",
        "CREATE UNIQUE INDEX i ON u (c, a)",
        "CREATE VIEW v AS SELECT id FROM t",
    )
    tables = {table["name"]: table for table in run(path, {"act": "schema"})["tables"]}
    assert list(tables) == ["t", "u", "v"]
    assert tables["u"]["columns"][0] == {"name": "a", "type": "INTEGER", "nullable": False, "default": "5"}
    assert tables["u"]["primary_key"] == ["b", "a"]
    assert tables["u"]["indexes"] == [{"name": "i", "columns": ["c", "a"], "unique": True}]
    assert tables["u"]["foreign_keys"] == [{"columns": ["c"], "table": "t", "references": ["id"]}]
    assert tables["v"]["kind"] == "view"
    assert [table["name"] for table in run(path, {"act": "schema", "table": "U"})["tables"]] == ["u"]


def test_a_file_that_is_refused_on_the_way_says_so(file: Path) -> None:
    """An overflow in a late row is the statement's fault, not a file that broke off."""
    sql = COUNT.format(9000).replace("select *", "select abs(case x when 8000 then -9223372036854775808 else x end)")
    for form in ("csv", "jsonl"):
        with pytest.raises(BrokerError) as caught:
            one(file, sql, export=form)
        assert (caught.value.code, "without a file" in str(caught.value.fields["why"])) == ("refused", True)


def test_a_file_is_exported_and_loaded(file: Path) -> None:
    """In CSV and JSON lines, and a trial leaves nothing."""
    data = one(file, "select * from t order by id", export="csv")
    assert data == b"id,name\n1,one\n2,\n"
    assert one(file, "select * from t where id = 1", export="json") == b'[\n{"id":1,"name":"one"}\n]\n'
    one(file, "delete from t", mode="write")
    assert run(file, {"act": "load", "table": "t", "dry_run": True}, data)["affected"] == 2
    assert rows_of(file) == []
    assert run(file, {"act": "load", "table": "main.t"}, data)["affected"] == 2
    assert rows_of(file) == [(1, "one"), (2, None)]
    lines = b'{"id": 3, "name": "x"}\n{"id": 1, "name": "again"}\n'
    assert run(file, {"act": "load", "table": "t", "format": "jsonl"}, lines)["error"]["sqlstate"].startswith(
        "SQLITE_CONSTRAINT"
    )
    assert len(rows_of(file)) == 2


def test_rows_are_cut_at_the_bound(file: Path) -> None:
    """`truncated` says so."""
    sql = "with recursive r(x) as (select 1 union all select x + 1 from r) select x from r"
    found = one(file, sql, max_rows=700)
    assert "total" not in found
    assert one(file, "select * from t where id = 1")["total"] == 1
    assert (len(found["rows"]), found["truncated"]) == (700, True)
    assert one(file, sql, max_bytes=1000)["truncated"] is True


# --- ways round, read

READ_HOSTILE = (
    *("attach '{other}' as o", "attach 'file:{new}?mode=rwc' as o", "attach ':memory:' as o", "detach main"),
    *(
        "vacuum into '{new}'",
        "vacuum",
        "pragma query_only = 0",
        "pragma writable_schema = 1",
        "pragma journal_mode = wal",
    ),
    *("pragma user_version = 5", "pragma wal_checkpoint", "pragma optimize", "pragma temp_store_directory = '/tmp'"),
    *(
        "select load_extension('x')",
        "select fts3_tokenizer('simple')",
        "select writefile('{new}', 'x')",
        "select readfile('/etc/passwd')",
    ),
    *("select * from fsdir('/')", "select edit('x')", "select * from sqlite_dbpage", "select * from dbstat"),
    *("insert into t values (9, 'x')", "update t set name = 'x'", "delete from t", "replace into t values (1, 'x')"),
    *(
        "drop table t",
        "create table x (a)",
        "create temp table x (a)",
        "create temp trigger g after insert on t begin select 1; end",
    ),
    *(
        "alter table t add column z",
        "create virtual table f using fts5(a)",
        "reindex",
        "analyze",
        "create temp view v as select 1",
    ),
    *("begin", "begin immediate", "commit", "savepoint s", "release s", "update sqlite_master set sql = 'x'"),
    *(
        "insert into sqlite_master values ('table', 'x', 'x', 0, 'x')",
        "delete from sqlite_master",
        "select 1; delete from t",
    ),
    *(
        "select 1 -- \n; delete from t",
        "/* ; */ delete from t",
        "explain delete from t; delete from t",
        "select 1\0; delete from t",
    ),
    *(
        "select * from pragma_user_version(5)",
        "select * from pragma_journal_mode('wal')",
        "select * from pragma_query_only(0)",
    ),
    "with x as (select 1) delete from t returning *",
)


@pytest.mark.parametrize("sql", READ_HOSTILE)
def test_nothing_reaches_out_of_a_read(tmp_path: Path, sql: str) -> None:
    """No other file is read, written or made, and this one stays as it is."""
    file, other, new = made(tmp_path / "a.db"), made(tmp_path / "b.db"), tmp_path / "new.db"
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = attempt(file, sql.format(other=other, new=new) if "{" in sql else sql)
    assert isinstance(found, BrokerError) or found.get("error") or not found["rows"], found
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("layer", ["guard", "mode=ro", "query_only"])
def test_each_layer_stands_alone(file: Path, monkeypatch: pytest.MonkeyPatch, layer: str) -> None:
    """With two of the three taken away, the last one still keeps a read from writing."""
    real, opened = sqlite3.connect, list[str]()

    def connect(at: str, **more: Any) -> sqlite3.Connection:  # noqa: ANN401 - whatever it is called with
        opened.append(at if layer == "mode=ro" else at.replace("mode=ro", "mode=rw"))
        made_one: sqlite3.Connection = real(opened[-1], **more)
        return made_one

    monkeypatch.setattr(sqlite3, "connect", connect)
    if layer != "query_only":
        monkeypatch.setattr(File, "_prepare", lambda *_, **__: None)
    if layer != "guard":
        monkeypatch.setattr(File, "guarded", lambda *_: None)
    before = file.read_bytes()
    for sql in ("delete from t", "drop table t", "create table x (a)"):
        assert attempt(file, sql)["error"]
    assert file.read_bytes() == before
    assert len(opened) == 3


# --- ways round, write

WRITE_HOSTILE = (
    *(
        "attach '{other}' as o",
        "vacuum into '{new}'",
        "pragma writable_schema = 1",
        "pragma journal_mode = wal",
        "detach main",
    ),
    *(
        "select load_extension('x')",
        "insert into t values (9, writefile('{new}', 'x'))",
        "update sqlite_master set sql = 'x'",
    ),
    *(
        "insert into sqlite_master values ('table', 'x', 'x', 0, 'x')",
        "delete from sqlite_master",
        "commit",
        "rollback",
        "savepoint s",
    ),
    *(
        "create temp table x (a)",
        "create temp trigger g after insert on t begin select 1; end",
        "drop table t",
        "alter table t add z",
    ),
    *(
        "insert into t values (9, 'x'); attach '{other}' as o",
        "create table x (a)",
        "update sqlite_sequence set seq = 9",
    ),
)


@pytest.mark.parametrize("sql", WRITE_HOSTILE)
def test_a_write_is_held_to_what_was_approved(tmp_path: Path, sql: str) -> None:
    """A statement planned to add rows defines nothing, ends no transaction and reaches no other file."""
    file, other, new = (
        made(tmp_path / "a.db", "CREATE TABLE q (a INTEGER PRIMARY KEY AUTOINCREMENT)"),
        made(tmp_path / "b.db"),
        tmp_path / "new.db",
    )
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = attempt(file, sql.format(other=other, new=new) if "{" in sql else sql, Effect.WRITE, "INSERT")
    assert isinstance(found, BrokerError) or found["error"], found
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_insert_does_not_delete(file: Path) -> None:
    """What was shown as adding rows removes none, unless a trigger of the database does."""
    assert attempt(file, "delete from t", Effect.WRITE, "INSERT")["error"]["sqlstate"] == "SQLITE_AUTH"
    attempt(file, "create trigger g after insert on t begin delete from t where id = 1; end", Effect.WRITE, "CREATE")
    assert "error" not in attempt(file, "insert into t values (9, 'x')", Effect.WRITE, "INSERT")
    assert rows_of(file) == [(2, None), (9, "x")]


# --- bounds


@pytest.mark.parametrize(
    "sql",
    [
        "select randomblob(1000000000)",
        "select zeroblob(1 << 30)",
        "select hex(zeroblob(16000000))",
        "select printf('%.*c', 1000000000, 'x')",
        "select replace(hex(zeroblob(4000000)), '0', '0123456789')",
        "select " + ",".join(["zeroblob(15000000)"] * 500),
        f"select group_concat(hex(zeroblob(100000))) from ({COUNT.format(1000)})",  # noqa: S608 - of our own words
    ],
)
def test_a_giant_value_is_not_made(file: Path, sql: str) -> None:
    """One value has a bound, and the values of a row have one together."""
    found = attempt(file, sql)
    if sql.startswith("select printf"):  # it makes NULL of what is too long
        assert found["rows"] == [[None]]
    else:
        assert found["error"]["sqlstate"] == "SQLITE_TOOBIG"


@pytest.mark.parametrize(
    "sql",
    [
        "with recursive r(x) as (select 1 union all select x + 1 from r) select count(*) from r",
        "with recursive r(x) as (values(1) union all select x from r) select * from r where x = 2",
        f"select count(*) from ({COUNT.format(30000)}) a, ({COUNT.format(30000)}) b",  # noqa: S608 - of our own words
    ],
)
def test_endless_work_is_stopped(file: Path, sql: str) -> None:
    """In the call's time."""
    begun = time.monotonic()
    found = attempt(file, sql, timeout=0.5)
    assert (found.code, found.fields["seconds"], time.monotonic() - begun < 4) == ("timeout", 1, True)


_LONG = "hex(zeroblob(4000000))"


@pytest.mark.parametrize(
    "sql",
    [
        "select instr(hex(zeroblob(600000)), hex(zeroblob(300000)) || '1')",
        "select replace(hex(zeroblob(600000)), (select hex(zeroblob(300000)) || '1'), '')",
        "select length(trim(hex(zeroblob(600000)), coalesce(null, hex(zeroblob(300000)))))",
        "select ltrim(a, b) from (select hex(zeroblob(600000)) as a, hex(zeroblob(600000)) as b)",
        f"select {_LONG} like '%{'0' * 900}1'",
        f"select {_LONG} glob '*' || replace(hex(zeroblob(450)), 'x', '') || '1'",
        f"select json_extract({_LONG}, {', '.join(['?'] * 90)})".replace("?", "'$'"),
        "select length(json_patch(hex(zeroblob(60000)), '{}'))",
        "select a from w",
    ],
)
def test_no_function_works_for_long_on_one_value(file: Path, sql: str) -> None:
    """SQLite looks at no clock within a function: what would take minutes is too long for it."""
    with sqlite3.connect(file) as held:
        held.execute("CREATE VIEW w AS SELECT instr(hex(zeroblob(600000)), hex(zeroblob(300000)) || '1') AS a")
    held.close()
    told = one(file, sql)["error"]
    assert told["sqlstate"] in {"SQLITE_TOOBIG", "SQLITE_ERROR"}
    assert "too big" in told["message"] or "too complex" in told["message"]


def test_what_is_looked_for_in_long_values_is_found(file: Path) -> None:
    """A short text that stands in the statement, or is given for it, is looked for in megabytes."""
    long = "hex(zeroblob(1000000))"
    assert one(file, f"select instr({long}, '1'), length(replace({long}, ?, 'x'))", "00")["rows"] == [[0, 1000000]]
    assert one(file, f"select length(trim({long}, '0')), {long} like '%00%', {long} glob ?", "*1")["rows"] == [
        [0, 1, 0]
    ]
    assert one(file, "select length(json_set('{}', '$.a', hex(zeroblob(400000)))) > 800000")["rows"] == [[1]]
    found = one(file, "select trim(name, name), replace(name, name, id), name like name from t where id = 1")
    assert found["rows"] == [["", "1", 1]]


@pytest.fixture(params=["/var/tmp", "/dev/shm"])  # noqa: S108 - a disk, and memory
def aside(request: pytest.FixtureRequest) -> Iterator[None]:
    """SQLite's temporary files lie there. The setting is one for all of SQLite in the process, and not yet gone."""
    spill._counted.cache_clear()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA temp_store_directory = '{request.param}'")
        yield
        connection.execute("PRAGMA temp_store_directory = ''")
    spill._counted.cache_clear()


@pytest.mark.usefixtures("aside")
@pytest.mark.parametrize("wanted", ["count(*)", "n"])
def test_a_read_does_not_fill_the_disk(file: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    """What outgrows SQLite's memory goes to files without a name, and they are bounded; a small sort is not held up."""
    monkeypatch.setattr("brokers.sql.sqlite.spill.MOST", 8 << 20)
    rows = "with recursive c(n, x) as (select 1, randomblob(1000000) union select n + 1, randomblob(1000000) from c"
    found = attempt(file, f"{rows}) select {wanted} from c", max_rows=100000)  # noqa: S608 - words of this file
    assert (found.code, found.fields["limit"]) == ("too-large", 8 << 20)
    assert one(file, f"{rows} limit 3) select length(x) from c order by 1")["rows"] == [[1000000]] * 3  # noqa: S608 - as above


@pytest.mark.usefixtures("aside")
def test_what_others_have_put_away_is_theirs(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read is held to its own part."""
    monkeypatch.setattr("brokers.sql.sqlite.spill.MOST", 8 << 20)
    with closing(sqlite3.connect("")) as other:
        other.execute("PRAGMA cache_size = 1")
        other.execute("CREATE TABLE t AS SELECT zeroblob(10000000)")
        rows = "with recursive c(n, x) as (select 1, randomblob(1000000) union select n + 1, randomblob(1000000) from c"
        assert one(file, f"{rows} limit 3) select count(*) from c")["rows"] == [[3]]  # noqa: S608 - words of this file


def test_a_caller_who_goes_away_ends_the_work(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is free at once, and so is the thread."""

    async def go_away() -> None:
        broker = SqliteBroker()
        sql = "with recursive r(x) as (select 1 union all select x + 1 from r) select count(*) from r"
        ran = asyncio.Event()
        loop = asyncio.get_running_loop()
        real = File.run

        def run_and_tell(self: File, *given: Any) -> sqlite3.Cursor:  # noqa: ANN401 - whatever it is called with
            loop.call_soon_threadsafe(ran.set)
            return real(self, *given)

        monkeypatch.setattr(File, "run", run_and_tell)
        task = asyncio.create_task(performed(broker, broker.plan(connection(file), {"sql": sql, "timeout": 60})))
        await ran.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not broker._calls.open
        await broker.aclose()

    begun = time.monotonic()
    asyncio.run(go_away())
    assert time.monotonic() - begun < 10


def test_a_broker_is_closed_under_a_body(file: Path) -> None:
    """Who reads on is told, and may close what is closed."""

    async def close() -> None:
        broker = SqliteBroker()
        sql = "with recursive r(x) as (select 1 union all select x + 1 from r) select x from r"
        outcome = await broker.perform(broker.plan(connection(file), {"sql": sql, "export": "csv"}), NOTHING)
        await anext(outcome.body)
        await anext(outcome.body)
        await broker.aclose()
        with pytest.raises(BrokerError):
            async for _ in outcome.body:
                pass
        await outcome.aclose()

    asyncio.run(close())


ENDLESS = "with recursive r(x) as (select 1 union all select x + 1 from r) select count(*) from r"


def test_endless_calls_on_a_file_leave_others_room(file: Path, tmp_path: Path) -> None:
    """One file's calls take no more than its part of the threads; who waits for a place ends when the time is over."""
    other = tmp_path / "other.db"
    other.write_bytes(file.read_bytes())

    async def both() -> tuple[bytes, BrokerError]:
        broker = SqliteBroker()
        endless = broker.plan(connection(file), {"sql": ENDLESS, "timeout": 60})
        tasks = [asyncio.create_task(performed(broker, endless)) for _ in range(40)]
        await asyncio.sleep(0)
        assert len(broker._calls.open) == len(tasks)
        with pytest.raises(BrokerError) as caught:
            await performed(broker, broker.plan(connection(file), {"sql": "select 1", "timeout": 0.1}))
        found = await performed(broker, broker.plan(connection(other), {"sql": "select 1", "timeout": 60}))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert json.loads((await performed(broker, broker.plan(connection(file), {"sql": "select 1"})))[1])["rows"]
        await broker.aclose()
        assert not broker._calls._places
        return found[1], caught.value

    found, error = asyncio.run(both())
    assert json.loads(found)["rows"] == [[1]]
    assert error.code == "timeout"


def test_a_call_is_closed_though_no_thread_is_free(file: Path) -> None:
    """Not even calls that hear no stop keep another from being over."""
    free = threading.Event()

    async def close() -> None:
        broker = SqliteBroker()
        outcome = await broker.perform(broker.plan(connection(file), {"sql": "select 1"}), NOTHING)
        stuck = [asyncio.create_task(broker._threads.run(free.wait, lambda: None)) for _ in range(40)]
        await asyncio.sleep(0)
        await outcome.aclose()
        assert not broker._calls.open
        free.set()
        await asyncio.gather(*stuck)
        await broker.aclose()

    asyncio.run(close())


def test_a_hundred_calls_at_once(file: Path) -> None:
    """Reads and writes take turns."""

    async def all_of() -> list[tuple[dict[str, object], bytes]]:
        broker = SqliteBroker()
        write = broker.plan(connection(file), {"sql": "insert into t (name) values ('x')", "mode": "write"})
        read = broker.plan(connection(file), {"sql": "select count(*) from t"})
        try:
            return list(await asyncio.gather(*(performed(broker, write if n % 4 == 0 else read) for n in range(100))))
        finally:
            await broker.aclose()

    assert not [head for head, _ in asyncio.run(all_of()) if head.get("failed")]
    assert len(rows_of(file)) == 27


# --- the file itself


@pytest.mark.parametrize(
    ("content", "why"), [(b"no database" * 100, "no SQLite database"), (b"SQLite format 3\0" + b"x" * 90, "")]
)
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """Before the statement is looked at."""
    (tmp_path / "x.db").write_bytes(content)
    found = attempt(tmp_path / "x.db", "select 1")
    assert found.code == "refused"
    assert why in str(found.fields["why"])


@pytest.mark.parametrize("effect", [Effect.READ, Effect.WRITE])
def test_a_missing_file_is_not_made(tmp_path: Path, effect: Effect) -> None:
    """Neither by a read nor by a write; a folder and a pipe are no files."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("new.db", ".", "pipe"):
        assert attempt(tmp_path / name if name != "." else tmp_path, "select 1", effect, "INSERT").code == "refused"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_path_is_a_path(tmp_path: Path) -> None:
    """Signs that mean something in a URI mean nothing in a name."""
    path = made(tmp_path / "a?mode=rwc&x=%41#b.db")
    assert one(path, "select count(*) as n from t")["rows"] == [[2]]
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_malicious_schema_calls_nothing(tmp_path: Path) -> None:
    """A view or trigger of a file that somebody sent calls no function that reaches out, listed or not."""
    path = made(
        tmp_path / "m.db",
        "CREATE VIEW v AS SELECT load_extension('/tmp/evil.so') AS x FROM t",
        "CREATE VIEW w AS SELECT fts3_tokenizer('simple') AS x FROM t",
        "CREATE TABLE g (a, b AS (hex(a)))",
        "CREATE TRIGGER h AFTER INSERT ON t BEGIN SELECT fts3_tokenizer('x', 'y'); END",
    )
    for sql in ("select * from v", "select * from w"):
        assert attempt(path, sql)["error"]
    assert attempt(path, "insert into t values (9, 'x')", Effect.WRITE, "INSERT")["error"]
    assert len(rows_of(path)) == 2


def test_functions_that_a_person_listed_are_still_not_trusted_to_a_schema(tmp_path: Path) -> None:
    """With fts3_tokenizer allowed to the caller, a view may not call it: the schema is the file's."""
    path = made(tmp_path / "m.db", "CREATE VIEW w AS SELECT fts3_tokenizer('simple') AS x FROM t")
    assert "unsafe" in run(path, {"sql": "select * from w"}, functions=("fts3_tokenizer",))["error"]["message"]


def test_a_schema_does_not_look_where_a_caller_may(tmp_path: Path) -> None:
    """What is harmless when an agent asks for it is refused to a view of the file: `trusted_schema` is off."""
    path = made(tmp_path / "m.db", "CREATE VIEW w AS SELECT name FROM pragma_table_info('t')")
    assert attempt(path, "select name from pragma_table_info('t')")["rows"] == [["id"], ["name"]]
    assert "unsafe" in attempt(path, "select * from w")["error"]["message"]


def test_a_database_in_wal_mode_is_read(tmp_path: Path) -> None:
    """While another program has it open and has not written it back."""
    path = made(tmp_path / "w.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as held:
        held.execute("PRAGMA journal_mode = wal")
        held.execute("INSERT INTO t VALUES (3, 'in the log')")
        assert one(path, "select count(*) from t")["rows"] == [[3]]
        assert one(path, "insert into t values (4, 'x')", mode="write")["affected"] == 1
    assert one(path, "select count(*) from t")["rows"] == [[4]]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (sqlite3.SQLITE_READONLY_DIRECTORY, "WAL"),
        (sqlite3.SQLITE_READONLY_CANTINIT, "WAL"),
        (sqlite3.SQLITE_READONLY_RECOVERY, "has died"),
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "cannot be opened"),
        (0, "does not open"),
    ],
)
def test_what_hinders_the_opening_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, why: str) -> None:
    """In our words, whatever SQLite calls it: what a folder without the right to write does cannot be shown as root."""
    path = made(tmp_path / "a.db")

    def hindered(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("of SQLite")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(File, "_prepare", hindered)
    found = attempt(path, "select 1")
    assert (found.code, why in str(found.fields["why"])) == ("refused", True)


_DYING = """
import os, sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("PRAGMA cache_size = 1")
held.execute("BEGIN IMMEDIATE")
held.execute("UPDATE t SET name = 'half done'")
many = "WITH RECURSIVE r(x) AS (SELECT 10 UNION ALL SELECT x + 1 FROM r WHERE x < 5000)"
held.execute(f"{many} INSERT INTO t SELECT x, hex(randomblob(100)) FROM r")
os._exit(0)
"""


def test_a_hot_journal_is_not_read_past(file: Path) -> None:
    """A file that a program died in is refused to a reader, who may not repair it; a write repairs it."""
    subprocess.run([sys.executable, "-c", _DYING, str(file)], check=True)
    assert file.with_name("notes.db-journal").exists()
    before = file.read_bytes()
    found = attempt(file, "select * from t")
    assert (found.code, "has died" in str(found.fields["why"])) == ("refused", True)
    assert file.read_bytes() == before
    assert one(file, "update t set name = 'x' where id = 1", mode="write")["affected"] == 1
    assert rows_of(file) == [(1, "x"), (2, None)]


def test_a_lock_of_somebody_else_is_an_answer(file: Path) -> None:
    """Waited for within bounds."""
    with closing(sqlite3.connect(file, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        found = attempt(file, "insert into t values (9, 'x')", Effect.WRITE, "INSERT", timeout=1)
    assert isinstance(found, BrokerError) or found["error"]["sqlstate"] == "SQLITE_BUSY"


def test_the_files_rights_are_looked_at(file: Path) -> None:
    """SQLite has no roles: who may read and write the file is told."""
    file.chmod(0o666)
    found = asyncio.run(SqliteBroker().inspect(connection(file), NOTHING))
    assert len(found.warnings) == 2
    assert "role" not in str(found.remedy)
    subprocess.run(["sh", "-c", found.script], check=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o660
    assert asyncio.run(SqliteBroker().inspect(connection(file), NOTHING)).warnings == ()
