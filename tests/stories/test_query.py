"""A real PostgreSQL through kv: what an agent may ask, what waits for a person, and what never comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import postgres_server
import pytest
from agent import agent
from postgres_server import DATABASE, PASSWORD, USER, Postgres
from wired import Wire
from world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "tok_51Hq+7Zk/9vXw=Tt0aB0aB"


class Site:
    """A world with a database connected to it as `shop`, admitted always."""

    def __init__(self, world: World, server: Postgres) -> None:
        self.world, self.server = world, server
        self.dsn = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{DATABASE}?sslmode=disable"
        pinned = ("--connection", "shop", "--allow-address", "127.0.0.1", "--admission", "always")
        world.store("shop/DSN", self.dsn.encode(), *pinned)
        world.store("shop/TOKEN", SECRET.encode(), "--no-connection")

    def query(self, *args: str, **options: Any) -> Any:  # noqa: ANN401 - whatever the command printed
        """What `kv query shop … --json` answers."""
        return self.world.kv("query", "shop", *args, "--json", **options).json

    def approved(self, *args: str) -> Any:  # noqa: ANN401 - as above
        """The same after a person's yes."""
        told = self.query(*args, "--wait", "0")
        self.world.must("approve", told["pending"], proof=True)
        return self.world.kv("wait", told["pending"], "--json").json


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server and one world for all."""
    with Postgres() as server, World(tmp_path_factory.mktemp("query")) as world:
        with server.app() as app:
            app.execute("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'one'), (2, NULL)")
        yield Site(world.init(), server)


def test_a_query_is_answered_as_documented(site: Site) -> None:
    """The document that scripts read."""
    told = site.query("select 1 as one")
    assert told["columns"] == [{"name": "one", "type": "int4"}]
    assert (told["rows"], told["truncated"], told["untrusted"], told["source"]) == ([[1]], False, True, "shop")


@pytest.mark.parametrize(
    ("form", "out"),
    [
        ("table", "id | name\n---+-----\n 1 | one\n 2 | NULL\n"),
        ("csv", "id,name\n1,one\n2,\n"),
        ("jsonl", '{"id": 1, "name": "one"}\n{"id": 2, "name": null}\n'),
        ("json", '[\n  {\n    "id": 1,\n    "name": "one"\n  },\n  {\n    "id": 2,\n    "name": null\n  }\n]\n'),
        ("markdown", "| id | name |\n| ---: | --- |\n| 1 | one |\n| 2 | NULL |\n"),
    ],
)
def test_rows_are_printed_in_every_form(site: Site, form: str, out: str) -> None:
    """A table for people, and forms for programs."""
    assert site.world.must("query", "shop", "select * from t order by id", "--format", form).out == out


def test_a_statement_comes_from_a_file_or_from_standard_input(site: Site) -> None:
    """As well as from the command line."""
    (site.world.folder / "report.sql").write_text("select 40 + 2 as found\n")
    assert site.query("--file", "report.sql")["rows"] == [[42]]
    assert site.query("-", stdin=b"select 40 + 2 as found")["rows"] == [[42]]


def test_a_dsn_is_enough(site: Site) -> None:
    """It makes its connection by itself."""
    assert "-> connection database" in site.world.store("DATABASE_URL", site.dsn.encode()).out
    site.world.must("connect", "database", "--admission", "always", proof=True)
    assert site.world.must("query", "database", "select 1", "--json").json["rows"] == [[1]]


def test_parameters_are_values_and_never_text(site: Site) -> None:
    """What a parameter holds is compared, not parsed."""
    assert site.query("select $1::text as x", "-p", "'; drop table t; --")["rows"] == [["'; drop table t; --"]]
    assert site.query("select $1::int + $2::int", "--params", "[40, 2]")["rows"] == [[42]]


def test_a_write_waits_with_its_estimate_on_the_card(site: Site) -> None:
    """Effect, tables, the planner's rows and the statement: and then it happens once."""
    args = ("delete from t where id > 100", "--mode", "write", "--reason", "old", "--wait", "0", "--json")
    ran = site.world.kv("query", "shop", *args)
    assert ran.status == 4
    told, card = ran.json, ran.json["card"]
    assert (card["effect"], card["reason"]) == ("destroy", "old")
    details = dict(card["details"])
    assert details["table"] == "t"
    assert details["sql"] == "delete from t where id > 100"
    assert details["estimate"].startswith("about ")
    site.world.must("approve", told["pending"], proof=True)
    assert site.world.must("wait", told["pending"], "--json").json["affected"] == 0


def test_nothing_pushes_the_statement_off_its_card(site: Site) -> None:
    """Many tables and parameters leave no line of it out; one that is too long for a card says so first."""
    tables = ", ".join(f"t AS t{n}" for n in range(40))
    holes = ",".join(f"${n}" for n in range(1, 41))
    sql = "delete from t where id in (HOLES)\nand exists (select 1 from TABLES)\nor name = 'the last line'"
    sql = sql.replace("HOLES", holes).replace("TABLES", tables)
    told = site.query(sql, "--mode", "write", "--wait", "0", "--params", json.dumps(list(range(40))))
    lines = [text for label, text in told["card"]["details"] if label.startswith("sql")]
    assert "".join(lines).replace(" ", "") == sql.replace("\n", "").replace(" ", "")
    assert len(told["card"]["details"]) <= 32
    site.world.must("deny", told["pending"], proof=True)
    told = site.query("delete from t where false\n" + "or id = 1\n" * 400, "--mode", "write", "--wait", "0")
    labels = [label for label, _ in told["card"]["details"]]
    assert "caution" in labels[:2]
    site.world.must("deny", told["pending"], proof=True)


def test_a_write_in_mode_read_says_what_to_do(site: Site) -> None:
    """Nothing is sent, and the hint names the mode."""
    ran = site.world.kv("query", "shop", "insert into t values (3, 'x')")
    assert (ran.status, "mode=write" in ran.err) == (2, True)


def test_what_is_unknown_asks_and_still_only_reads(site: Site) -> None:
    """A function of the user's own asks, with its name on the card; a yes does not let it write."""
    site.server.root(
        "CREATE OR REPLACE FUNCTION public.sneak() RETURNS int LANGUAGE sql"
        " AS $$INSERT INTO public.t VALUES (9, 'x'); SELECT 1$$"
    )
    told = site.world.kv("explain", "query", "shop", "select sneak()", "--json").json
    assert (told["verdict"], "sneak" in told["because"]) == ("ask", True)
    assert site.query("select sneak()", "--wait", "0")["card"]["because"] == told["because"]
    assert "read-only" in site.approved("select sneak()")["error"]["message"]
    assert site.query("select count(*) from t where id = 9")["rows"] == [[0]]


_OWN = """
CREATE FUNCTION public.spoil(text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch {folder}/spoilt'; RETURN 1; END $$;
CREATE FUNCTION public.length(int) RETURNS int LANGUAGE sql AS 'SELECT public.spoil(NULL)';
CREATE FUNCTION public.checked(anyelement) RETURNS bool LANGUAGE sql AS 'SELECT public.spoil(NULL) = 1';
CREATE DOMAIN public.upper AS int CHECK (public.checked(value));
CREATE DOMAIN public.lower AS public.t CHECK (public.checked(1));
CREATE FUNCTION public.sneak_in(public.t) RETURNS int LANGUAGE sql AS 'SELECT public.spoil(NULL)';
CREATE FUNCTION public.of_any(anyelement) RETURNS int LANGUAGE sql AS 'SELECT public.spoil(NULL)';
CREATE FUNCTION public.matched(text, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT public.spoil($1) = 1';
CREATE OPERATOR public.= (leftarg = text, rightarg = int, function = public.matched);
CREATE OPERATOR public.<> (leftarg = text, rightarg = int, function = public.matched);
CREATE FUNCTION public.negated(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public.spoil($1)';
CREATE OPERATOR public.- (rightarg = text, function = public.negated);
CREATE DOMAIN public.row_of_t AS public.t;
CREATE FUNCTION public.of_domain(public.row_of_t) RETURNS int LANGUAGE sql AS 'SELECT public.spoil(NULL)';
"""


@pytest.fixture
def spoilt(site: Site) -> Iterator[Path]:
    """A database with code of its own behind listed names; the file that the code would make."""
    site.server.root(_OWN.format(folder=site.server.folder))
    yield site.server.folder / "spoilt"
    site.server.root(
        "DROP DOMAIN public.upper, public.lower, public.row_of_t CASCADE;"
        "DROP FUNCTION spoil, public.length, sneak_in, matched, negated, of_any, checked CASCADE"
    )


@pytest.mark.parametrize(
    "sql",
    [
        "select length(1)",
        "select upper(1)",
        "select t.lower from t",
        "select (1).length",
        "select g.length from generate_series(1, 2) g",
        "select t.sneak_in from t",
        'select t . "sneak_in" from t limit 1',
        "select 'x'::text = 1",
        "select t.of_any from t",
        "select 'x'::text in (1)",
        "select case 'x'::text when 1 then 2 end",
        "explain select 'x'::text = 1",
        "select 'x'::text != 1",
        "select 2 *-'x'::text",
        "select 2 <-name from t",
        "select t.of_domain from t",
    ],
)
def test_a_listed_name_of_somebodys_own_is_not_run_unasked(site: Site, spoilt: Path, sql: str) -> None:
    """The same name for other arguments or for a type, a function as a column, an operator."""
    ran = site.world.kv("query", "shop", sql)
    assert (ran.status, "of this database's own" in ran.err) == (8, True), ran.all
    ran = site.world.kv("query", "shop", sql.removeprefix("explain "), "--save", f"{abs(hash(sql))}.csv")
    assert (ran.status, "of this database's own" in ran.err) == (8, True), ran.all
    assert not spoilt.exists()


_UNION = "select v from moods union all select name from t"


def test_a_cast_of_the_databases_own_is_not_run_unasked(site: Site) -> None:
    """No statement names the function behind it."""
    site.server.root(
        "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE moods (v mood); INSERT INTO moods VALUES ('a');"
        "CREATE FUNCTION mood_text(mood) RETURNS text LANGUAGE sql AS 'SELECT pg_read_file(''/etc/hostname'')';"
        "CREATE CAST (mood AS text) WITH FUNCTION mood_text(mood) AS IMPLICIT; GRANT SELECT ON moods TO PUBLIC"
    )
    try:
        for sql in ("select v::text from moods", "select lower(v) from moods", _UNION):
            ran = site.world.kv("query", "shop", sql)
            assert (ran.status, "of this database's own" in ran.err) == (8, True), ran.all
        site.world.must("connect", "shop", "--function", "mood_text", proof=True)
        assert site.query("select v from moods")["rows"] == [["a"]]
    finally:
        site.server.root("DROP TABLE moods; DROP TYPE mood CASCADE")


def test_a_condition_casts_without_a_word(site: Site) -> None:
    """What stands for a condition, a number of rows or a column's new value is cast as by an assignment."""
    site.server.root(
        "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE moods (v mood); INSERT INTO moods VALUES ('a');"
        "CREATE FUNCTION is_good(mood) RETURNS bool LANGUAGE sql AS 'SELECT pg_read_file(''/etc/hostname'') IS NULL';"
        "CREATE CAST (mood AS bool) WITH FUNCTION is_good(mood) AS ASSIGNMENT; GRANT SELECT ON moods TO PUBLIC"
    )
    try:
        ran = site.world.kv("query", "shop", "select 1 from moods where v")
        assert (ran.status, "of this database's own" in ran.err) == (8, True), ran.all
        site.world.must("connect", "shop", "--function", "is_good", proof=True)
        assert site.query("select v from moods")["rows"] == [["a"]]
    finally:
        site.server.root("DROP TABLE moods; DROP TYPE mood CASCADE")


def test_an_estimate_runs_no_code_of_the_databases_own(site: Site, spoilt: Path) -> None:
    """What a planner works out before a person is asked would be a call unasked."""
    told = site.query("delete from t where 'x'::text = 1", "--mode", "write", "--wait", "0")
    assert "of this database's own" in dict(told["card"]["details"])["estimate"]
    assert not spoilt.exists()


@pytest.mark.usefixtures("spoilt")
def test_a_listed_name_that_a_person_named_is_run(site: Site) -> None:
    """`--function` takes names of functions and operators; what is built in is not hindered by its namesake."""
    site.world.must("connect", "shop", "--function", "length", "--function", "doze", "--function", "twice", proof=True)
    assert site.query("select length('abc'::text)")["rows"] == [[3]]


def test_a_function_that_a_person_named_reads(site: Site) -> None:
    """`--function` lets it through quietly."""
    site.server.root("CREATE OR REPLACE FUNCTION public.twice(i int) RETURNS int LANGUAGE sql AS 'SELECT i * 2'")
    site.world.must("connect", "shop", "--function", "twice", proof=True)
    assert site.query("select twice(21)")["rows"] == [[42]]


def test_a_dry_run_is_told_and_rolled_back(site: Site) -> None:
    """What it would touch is counted by doing it."""
    told = site.approved("update t set name = 'x'", "--mode", "write", "--dry-run")
    assert (told["affected"], told["rolled_back"]) == (2, True)
    assert site.query("select count(*) from t where name = 'x'")["rows"] == [[0]]


def test_no_secret_comes_back_from_a_table(site: Site) -> None:
    """Neither the vault's other secrets, nor the DSN's password, in any spelling that redaction knows."""
    site.server.root(f"CREATE TABLE IF NOT EXISTS public.leak AS SELECT '{SECRET}'::text AS v, '{PASSWORD}'::text AS p")
    site.server.root(f"GRANT SELECT ON public.leak TO {USER}")
    for sql in ("select v, p from leak", "select encode(v::bytea, 'base64'), encode(p::bytea, 'hex') from leak"):
        text = site.world.kv("query", "shop", sql).all
        assert SECRET not in text
        assert PASSWORD not in text
        assert "{{kv:" in text
    told = site.world.must("query", "shop", "select v, p from leak", "--save", "leak.csv").err
    assert f"saved as leak.csv, {(site.world.folder / 'leak.csv').stat().st_size:,} bytes" in told
    saved = (site.world.folder / "leak.csv").read_text()
    assert SECRET not in saved
    assert PASSWORD not in saved


def test_a_person_sees_how_much_of_a_file_has_come(site: Site) -> None:
    """In a line of their terminal that is gone at the end; a pipe has none, and an answer that is not saved neither."""
    site.server.root("CREATE FUNCTION public.slowly() RETURNS text LANGUAGE sql AS 'SELECT pg_sleep(0.5)::text'")
    site.world.must("connect", "shop", "--function", "slowly", proof=True)
    slow = "select repeat('x', 300000), slowly() from generate_series(1, 6)"
    argv = site.world.argv("query", "shop", slow, "--save", "slow.csv")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(site.world.folder)
        os.execvpe(argv[0], argv, site.world.environment)  # noqa: S606 - the story's own command line
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's other end is gone
        while data := os.read(terminal, 4096):
            shown += data
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert b"MB so far" in shown
    assert shown.rpartition(b"MB so far")[2].startswith(b"\r\x1b[Kkv: saved as slow.csv")
    assert "so far" not in site.world.must("query", "shop", slow, "--save", "again.csv").err
    with Wire(site.world, "agent") as wire:
        told = wire.ask("query", {"connection": "shop", "sql": "select 1", "live": True})
    assert "live" in told["error"]["message"]


def test_an_error_keeps_its_state_and_loses_names(site: Site) -> None:
    """SQLSTATE, position and hint are the server's; status 8."""
    ran = site.world.kv("query", "shop", "select nope from t", "--json")
    assert ran.status == 8
    assert (ran.json["error"]["sqlstate"], ran.json["error"]["position"]) == ("42703", 8)
    ran = site.world.kv("query", "shop", "select * from pg_catalog.pg_statistic")
    assert USER not in ran.err
    assert "127.0.0.1" not in ran.err


def test_rows_go_to_a_file_and_come_from_one(site: Site) -> None:
    """COPY goes through kv alone, and the files are below the working folder."""
    site.world.must("query", "shop", "select i from generate_series(1, 20000) i", "--save", "out.csv")
    assert len((site.world.folder / "out.csv").read_text().splitlines()) == 20001
    (site.world.folder / "in.csv").write_text("id,name\n50,fifty\n51,\n")
    told = site.world.kv("query", "shop", "--load", "in.csv", "--table", "t", "--wait", "0", "--json").json
    assert told["card"]["effect"] == "write"
    site.world.must("approve", told["pending"], proof=True)
    assert site.world.must("wait", told["pending"], "--json").json["affected"] == 2
    assert site.query("select name from t where id >= 50 order by id")["rows"] == [["fifty"], [None]]
    site.server.root("DELETE FROM public.t WHERE id >= 50")
    for sql in ("copy t to '/tmp/x'", "copy t from program 'id'"):
        assert site.world.kv("query", "shop", sql, "--mode", "write").status == 2


def test_bounds_end_rows_between_two(site: Site) -> None:
    """`truncated` says that there are more."""
    told = site.query("select i from generate_series(1, 5000) i", "--max-rows", "3")
    assert (told["rows"], told["truncated"]) == ([[1], [2], [3]], True)
    told = site.query("select repeat('x', 1000) from generate_series(1, 5000)", "--max-bytes", "10000")
    assert (0 < len(told["rows"]) < 20, told["truncated"]) == (True, True)


def test_the_schema_is_told(site: Site) -> None:
    """Tables, columns, keys: without a look into catalogues."""
    told = site.world.must("schema", "shop", "t", "--json").json
    (table,) = told["tables"]
    assert (table["schema"], table["name"], table["primary_key"]) == ("public", "t", ["id"])
    assert "t   (table" in site.world.must("schema", "shop").out
    none = site.world.must("schema", "shop", "nosuch")
    assert (none.out, none.err) == ("", "kv: no such table\n")


def test_a_client_that_goes_away_takes_its_query_with_it(site: Site) -> None:
    """The backend is cancelled at the server, within a moment."""
    told = site.query("select pg_sleep(60), 4711", "--wait", "0", "--timeout", "60")
    site.world.must("approve", told["pending"], proof=True)
    running = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE '%4711%' AND state = 'active' AND pid <> pg_backend_pid()"
    )
    until = time.monotonic() + 20
    while site.server.root(running) == [(0,)]:
        assert time.monotonic() < until
        time.sleep(0.05)
    site.world.must("lock")
    until = time.monotonic() + 10
    while site.server.root(running) != [(0,)]:
        assert time.monotonic() < until, "the backend goes on"
        time.sleep(0.05)
    site.world.must("unlock", proof=True)


def test_slow_queries_of_one_session_leave_room_for_another(site: Site) -> None:
    """More of them than there are places: another session's query is answered meanwhile."""
    site.server.root(
        "CREATE OR REPLACE FUNCTION public.doze() RETURNS text LANGUAGE sql AS 'SELECT pg_sleep(50)::text'"
    )
    site.world.must("connect", "shop", "--function", "doze", proof=True)
    words = site.world.argv("query", "shop", "select doze()", "--timeout", "60")
    slow = [subprocess.Popen(words, env=site.world.environment, stdout=subprocess.DEVNULL) for _ in range(17)]
    try:
        active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%doze%' AND pid <> pg_backend_pid()"
        until = time.monotonic() + 30
        while site.server.root(active) < [(12,)]:
            assert time.monotonic() < until, "they did not begin"
            time.sleep(0.05)
        assert site.query("select 1", "--timeout", "20", apart=True)["rows"] == [[1]]
        assert site.server.root(active) == [(12,)]
    finally:
        for each in slow:
            each.kill()
            each.wait()


def test_a_database_is_named_by_options_as_well(site: Site) -> None:
    """Its secret is the password then, unless it is a DSN."""
    where = ("--kind", "postgres", "--host", f"127.0.0.1:{site.server.port}", "--admission", "always")
    whom = ("--user", USER, "--database", DATABASE)
    site.world.store("plain/PASSWORD", PASSWORD.encode(), "--connection", "plain", *where, *whom)
    site.world.must("connect", "other", "--secret", "shop/DSN", *where, *whom, proof=True)
    for name in ("plain", "other"):
        assert site.world.must("query", name, "select 1", "--json").json["rows"] == [[1]]


def test_a_rotated_dsn_leads_nowhere_else(site: Site) -> None:
    """The destination is the connection's; a value with another one is refused before anything is sent."""
    site.world.must(
        "set",
        "shop/DSN",
        "--stdin",
        "--no-connection",
        stdin=site.dsn.replace("127.0.0.1", "localhost").encode(),
        proof=True,
    )
    ran = site.world.kv("query", "shop", "select 1")
    assert (ran.status, "leads elsewhere" in ran.err) == (2, True)
    site.world.must("set", "shop/DSN", "--stdin", "--no-connection", stdin=site.dsn.encode(), proof=True)
    assert site.query("select 1")["rows"] == [[1]]


class Squatter:
    """Listens where a database was, and asks for the password in the clear; `said` is what it was told."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.said = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(5)
                    connection.recv(4096)
                    connection.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x03")  # AuthenticationCleartextPassword
                    self.said += connection.recv(4096)
            except OSError:  # it hung up, or the story is over
                if self._listener.fileno() < 0:
                    return

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


def test_a_squatter_that_asks_for_the_password_gets_none(site: Site) -> None:
    """SCRAM alone, on loopback too."""
    with Squatter() as squatter:
        dsn = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{squatter.port}/{DATABASE}"
        site.world.store("squat/DSN", dsn.encode(), "--connection", "squat", "--admission", "always")
        assert PASSWORD.encode() not in squatter.said
        ran = site.world.kv("query", "squat", "select 1")
    assert ran.status == 8
    assert PASSWORD.encode() not in squatter.said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((PASSWORD, "wrong"), "user or password is wrong"),
        ((f"/{DATABASE}", "/nowhere"), "no such database"),
        (("?sslmode=disable", "?sslmode=require"), "does not speak TLS"),
    ],
)
def test_what_is_wrong_with_a_dsn_is_told_without_it(site: Site, change: tuple[str, str], says: str) -> None:
    """In words of kv's own; the password is in none."""
    dsn = site.dsn.replace(*change)
    site.world.store("bad/DSN", dsn.encode(), "--connection", "bad", "--admission", "always")
    ran = site.world.kv("query", "bad", "select 1")
    assert (ran.status, says in ran.err) == (8, True), ran.err
    assert PASSWORD not in "".join(site.world.seen)


def test_a_role_that_can_do_too_much_is_told_loudly(site: Site) -> None:
    """At the moment it is connected, and in doctor; with the statements for a better one."""
    site.server.root("DROP ROLE IF EXISTS mighty; CREATE ROLE mighty SUPERUSER LOGIN PASSWORD 'mighty-password-4711'")
    dsn = f"postgresql://mighty:mighty-password-4711@127.0.0.1:{site.server.port}/{DATABASE}"
    told = site.world.store("mighty/DSN", dsn.encode(), "--connection", "mighty")
    assert "superuser" in told.err
    assert "GRANT SELECT ON ALL TABLES" in told.err
    found = [row for row in json.loads(site.world.kv("doctor", "--json").out) if row["what"] == "mighty"]
    assert [row["verdict"] for row in found] == ["bad", "note"]
    assert "GRANT SELECT ON ALL TABLES" in found[1]["script"]
    assert f"\n    {found[1]['script'].splitlines()[-1]}\n" in site.world.kv("doctor").out


def test_an_agent_over_mcp_asks_and_is_told(site: Site) -> None:
    """kv_query and kv_schema are the same calls, and an answer says that it is from outside."""

    async def story() -> None:
        async with agent(site.world) as one:
            told = (await one.call("kv_query", connection="shop", sql="select 1 as one")).json
            assert (told["body"]["rows"], told["untrusted"], told["source"]) == ([[1]], True, "shop")
            tables = (await one.call("kv_schema", connection="shop")).json["body"]["tables"]
            assert "t" in {table["name"] for table in tables}
            asked = (await one.call("kv_explain", provider="shop", sql="drop table t", mode="write")).json
            assert (asked["verdict"], asked["effect"]) == ("ask", "destroy")
            refused = await one.call("kv_query", connection="shop", sql="select 1", password="x")
            assert "unknown" in refused.error

    asyncio.run(story())


def test_the_verb_fits_the_kind(site: Site) -> None:
    """A database is no HTTP service."""
    ran = site.world.kv("api", "shop", "GET", "/")
    assert (ran.status, "use kv query" in ran.err) == (2, True)


def test_nothing_that_was_shown_holds_the_password(site: Site) -> None:
    """Of all that every story before has printed."""
    assert PASSWORD not in "".join(site.world.seen)
    assert postgres_server.PASSWORD == PASSWORD
