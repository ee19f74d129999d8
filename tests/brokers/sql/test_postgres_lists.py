"""kv's lists of harmless names against a PostgreSQL's own catalogue: what they say of it, and what it lacks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from postgres_server import Postgres, lent, performed

from brokers.contract import BrokerError, Effect
from brokers.sql.invoked import known
from brokers.sql.postgres import PostgresBroker
from brokers.sql.tokens import words
from brokers.sql.typenames import GRAMMARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Chance, the clock, sizes; what is volatile in a server before 15 alone; words of the grammar.
VOLATILE = words(
    """
    array_sample array_shuffle clock_timestamp current_query gen_random_uuid pg_database_size pg_indexes_size
    pg_is_in_recovery pg_partition_ancestors pg_partition_tree pg_relation_size pg_table_size pg_tablespace_size
    pg_total_relation_size random random_normal timeofday uuidv4 uuidv7
    timezone
    bernoulli system
    """
)
NEWEST = 180000  # of what the lists know, each server lacks what is newer than itself
GONE = {"pg_timezone_abbrevs"}  # from the newest


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One server for the module."""
    with Postgres() as found:
        yield found


def column(server: Postgres, sql: str) -> set[str]:
    """The first column of what its superuser is answered."""
    return {name for (name,) in server.root(sql)}


def test_no_listed_function_is_volatile_but_those_that_were_looked_at(server: Postgres) -> None:
    """Whatever the version: a name that was given another meaning there would be found."""
    sql = "SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'"
    assert known("postgres") & column(server, sql) <= VOLATILE


def test_the_newest_server_has_what_is_listed(server: Postgres) -> None:
    """No listed name is a slip of the pen; an older server may lack it."""
    functions = column(server, "SELECT proname FROM pg_proc UNION SELECT word FROM pg_get_keywords()")
    lacks = {name for name in known("postgres") if name.rpartition(".")[2] not in functions}
    types = column(server, "SELECT typname FROM pg_type") | GRAMMARS
    lacks |= {name for name in known("postgres-types") if name.rpartition(".")[2] not in types}
    (number,) = column(server, "SHOW server_version_num")
    assert lacks <= GONE or int(number) < NEWEST


async def _told(server: Postgres, statements: Iterable[str]) -> dict[str, str]:
    """For each that is judged a read, the code of its error, "" where there is none."""
    broker, found = PostgresBroker(), dict[str, str]()
    try:
        for sql in statements:
            plan = broker.plan(server.connection(), {"sql": sql}, b"")
            try:
                found |= {sql: ""} if plan.effect is Effect.READ else {}
                head, _ = await performed(broker, plan, lent())
                found |= {sql: "failed"} if sql in found and head.get("failed") else {}
            except BrokerError as error:
                found |= {sql: error.code} if sql in found else {}
    finally:
        await broker.aclose()
    return found


@pytest.mark.parametrize(
    ("made", "called"),
    [
        ("CREATE FUNCTION public.{}() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT {}()"),
        ("CREATE DOMAIN public.{} AS int", "SELECT {}('1')"),
    ],
)
def test_what_this_server_lacks_is_asked_about(server: Postgres, made: str, called: str) -> None:
    """A listed name that it does not know may be somebody's own function or domain there, and is not run as a read."""
    schema = "pg_catalog'::regnamespace"
    lacks = known("postgres") - column(server, f"SELECT proname FROM pg_proc WHERE pronamespace = '{schema}")  # noqa: S608 - words of this file
    lacks -= column(server, f"SELECT typname FROM pg_type WHERE typnamespace = '{schema}")  # noqa: S608 - as above
    names = sorted(name for name in lacks if "." not in name)
    server.root("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")
    server.root("; ".join(made.format(f'"{name}"') for name in names))
    told = asyncio.run(_told(server, [called.format(f'"{name}"') for name in names]))
    assert len(told) > 20
    assert set(told.values()) == {"refused"}


def test_a_type_that_this_server_lacks_is_asked_about(server: Postgres) -> None:
    """So is a listed type of which it has none."""
    types = known("postgres-types") - column(server, "SELECT typname FROM pg_type") - GRAMMARS
    names = sorted(name for name in types if "." not in name)
    server.root("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")
    for name in names:
        server.root(f"CREATE DOMAIN public.{name} AS text")
    told = asyncio.run(_told(server, [f"SELECT '{{}}'::{name}" for name in names]))
    assert told == dict.fromkeys(told, "refused")
    assert len(told) == len(names)
