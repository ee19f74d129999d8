"""How a session begins: by which certificate, by which method, and by nothing from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import pytest
import trustme
from postgres_server import DATABASE, PASSWORD, USER, Postgres, lent, performed

from brokers.contract import BrokerError, Connection
from brokers.sql.postgres import PostgresBroker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def plain() -> Iterator[Postgres]:
    """A server without TLS."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def secured() -> Iterator[Postgres]:
    """A server with a certificate of its own authority, for localhost and not for 127.0.0.1."""
    with Postgres(tls=True, names=["localhost"]) as server:
        yield server


def tried(connection: Connection, password: str = PASSWORD, sql: str = "select 1", times: int = 1) -> Any:  # noqa: ANN401 - a document or an error
    """The rows of a query over a connection, or the error."""

    async def story() -> Any:  # noqa: ANN401 - as above
        broker = PostgresBroker()
        try:
            for _ in range(times):
                _, data = await performed(broker, broker.plan(connection, {"sql": sql, "timeout": 10}), lent(password))
            return json.loads(data)["rows"]
        except BrokerError as error:
            return error
        finally:
            await broker.aclose()

    return asyncio.run(story())


def test_a_certificate_of_the_declared_authority_lets_in(secured: Postgres) -> None:
    """TLS 1.2 or better, to the name that was declared."""
    found = tried(
        secured.connection(host="localhost"),
        sql="select ssl, version from pg_stat_ssl where pid = pg_backend_pid()",
        times=2,
    )
    assert found[0][0] is True
    assert found[0][1] in {"TLSv1.2", "TLSv1.3"}


def test_large_results_come_through_tls(secured: Postgres) -> None:
    """Records of TLS do not end where libpq's portions do: nothing is left waiting."""

    async def story() -> tuple[int, int]:
        broker = PostgresBroker()
        connection = secured.connection(host="localhost")
        sql = "select repeat(md5(n::text), 500) from generate_series(1, 2000) n"
        _, data = await performed(
            broker, broker.plan(connection, {"sql": sql, "max_rows": 5000, "max_bytes": 16 << 20}), lent()
        )
        _, file = await performed(broker, broker.plan(connection, {"sql": sql, "export": "csv"}), lent())
        await broker.aclose()
        return len(json.loads(data)["rows"]), file.count(b"\n")

    shown, exported = asyncio.run(story())
    assert shown > 1000
    assert exported == 2001


def test_a_call_over_tls_is_stopped_over_tls(secured: Postgres) -> None:
    """The request to cancel goes the way of the session."""

    async def story() -> int:
        broker = PostgresBroker()
        plan = broker.plan(
            secured.connection(host="localhost"),
            {"sql": "select pg_sleep(60)", "timeout": 60},
        )
        task = asyncio.create_task(performed(broker, plan, lent()))
        look = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}' AND state = 'active'"  # noqa: S608 - words of this file
        while not (await asyncio.to_thread(secured.root, look))[0][0]:
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(3):
            while (await asyncio.to_thread(secured.root, look))[0][0]:
                pass
        await broker.aclose()
        return 1

    assert asyncio.run(story())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"host": "127.0.0.1"}, "another name"),
        ({"host": "localhost", "ca": trustme.CA().cert_pem.bytes().decode()}, "an unknown authority"),
        ({"host": "localhost", "ca": ""}, "an unknown authority"),
        ({"host": "localhost", "ca": "no certificate"}, "the CA cannot be read"),
    ],
)
def test_a_wrong_certificate_is_refused(secured: Postgres, given: dict[str, object], why: str) -> None:
    """Another authority, another name, the system's roots where the server's is not among them."""
    error = tried(secured.connection(**given))
    assert (error.code, error.fields) == ("tls", {"why": why})


def test_a_server_without_tls_is_refused(plain: Postgres) -> None:
    """It is not spoken to without."""
    error = tried(plain.connection(tls="verify-full", ca=plain.ca.cert_pem.bytes().decode()))
    assert (error.code, error.fields["why"]) == ("tls", "the server does not speak TLS")


def test_refusals_at_the_login_are_told_apart(plain: Postgres) -> None:
    """Wrong password, unknown role, unknown database, no right to it."""
    assert tried(plain.connection(), "wrong").fields == {"why": "user or password is wrong"}
    assert tried(plain.connection(user="nobody-here")).code == "login"
    assert tried(plain.connection(database="nosuch")).fields == {"why": "there is no such database"}
    plain.root(f"REVOKE CONNECT ON DATABASE {DATABASE} FROM PUBLIC, {USER}")
    assert tried(plain.connection()).fields == {"why": "the role may not use this database"}
    plain.root(f"GRANT CONNECT ON DATABASE {DATABASE} TO {USER}; ALTER ROLE {USER} CONNECTION LIMIT 0")
    assert tried(plain.connection()).fields == {"why": "it has too many connections"}
    plain.root(f"ALTER ROLE {USER} CONNECTION LIMIT -1 NOLOGIN")
    assert tried(plain.connection()).code == "login"
    plain.root(f"ALTER ROLE {USER} LOGIN")
    assert tried(plain.connection()) == [[1]]


def test_nothing_comes_from_the_environment_or_from_files(
    plain: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables, a service file, a password file and certificates at home that all lead astray change nothing."""
    home = tmp_path / "home"
    (home / ".postgresql").mkdir(parents=True)
    for name in ("postgresql.crt", "postgresql.key", "root.crt", "root.crl"):
        (home / ".postgresql" / name).write_text("not one", encoding="ascii")
    (home / ".pgpass").write_text("*:*:*:*:stray\n", encoding="ascii")
    (home / ".pgpass").chmod(0o600)
    service = tmp_path / "service"
    service.write_text("[stray]\nhost=192.0.2.1\nsslmode=require\noptions=-c work_mem=1MB\n", encoding="ascii")
    stray = {
        "PGSERVICE": "stray",
        "PGSERVICEFILE": str(service),
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "stray",
        "PGPASSWORD": "stray",
        "PGDATABASE": "stray",
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c search_path=stray",
        "PGTZ": "Asia/Tokyo",
        "PGDATESTYLE": "German",
        "PGAPPNAME": "stray",
        "PGREQUIREAUTH": "none",
        "PGCLIENTENCODING": "LATIN1",
        "PGTARGETSESSIONATTRS": "standby",
        "PGSSLCERT": str(home / ".postgresql/postgresql.crt"),
        "PGREQUIREPEER": "stray",
        "HOME": str(home),
    }
    for name, value in stray.items():
        monkeypatch.setenv(name, value)
    found = tried(
        plain.connection(),
        sql="select current_setting('search_path'), current_setting('TimeZone'), current_setting('application_name'), 'é'",  # noqa: E501 - one statement
    )
    assert found == [['"$user", public', plain.root("show timezone")[0][0], "kv", "é"]]
    assert "PGTZ" not in os.environ
    assert tried(plain.connection(), "wrong").code == "login"


def test_a_kept_session_is_nobody_elses(plain: Postgres) -> None:
    """Who has another secret logs in with it: with a DSN that leads elsewhere, or a wrong password, not at all."""
    dsn = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{plain.port}/{DATABASE}?sslmode=disable"
    by_dsn = replace(plain.connection(), scheme="dsn")

    async def story() -> list[object]:
        broker = PostgresBroker()

        async def told(connection: Connection, secret: str) -> object:
            try:
                _, data = await performed(broker, broker.plan(connection, {"sql": "select 1"}), lent(secret))
            except BrokerError as error:
                return error.code
            return json.loads(data)["rows"]

        try:
            found = [await told(plain.connection(), secret) for secret in (PASSWORD, f"{PASSWORD}x", "", PASSWORD)]
            return found + [await told(by_dsn, secret) for secret in (dsn, dsn.replace(DATABASE, "other"), dsn)]
        finally:
            await broker.aclose()

    one = [[1]]
    assert asyncio.run(story()) == [one, "login", "credential", one, one, "credential", one]


def test_an_empty_password_is_looked_up_nowhere(plain: Postgres) -> None:
    """Libpq would look into ~/.pgpass for it."""
    assert tried(plain.connection(), "").code == "credential"


@pytest.mark.parametrize("hba", ["password", "md5", "trust"])
def test_what_gives_a_password_away_takes_a_word(hba: str) -> None:
    """A real server that asks for it in clear, as MD5 or not at all is refused; with --insecure-loopback it is not."""
    with Postgres(hba=hba) as server:
        error = tried(server.connection())
        assert (error.code, error.fields["why"]) == (
            "login",
            "the server asks for the password in a way that gives it away",
        )
        assert tried(server.connection(insecure_loopback=True)) == [[1]]


class Squatter:
    """Listens on a free port and asks whoever comes for something. `heard` is all that it was told."""

    def __init__(self, asks: bytes) -> None:
        self.heard = b""
        self._asks = asks
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, contextlib.suppress(OSError):
            self.heard += client.recv(4096)
            client.sendall(self._asks)
            while data := client.recv(4096):
                self.heard += data


CLEAR = b"R" + struct.pack(">ii", 8, 3)
MD5 = b"R" + struct.pack(">ii", 12, 5) + b"salt"
WELCOME = b"R" + struct.pack(">ii", 8, 0) + b"Z" + struct.pack(">i", 5) + b"I"


@pytest.mark.parametrize("asks", [CLEAR, MD5, WELCOME], ids=["clear", "md5", "trust"])
def test_a_squatter_is_told_nothing(asks: bytes) -> None:
    """On a stopped server's port: it hears the start-up packet and no more, and its answers are not taken."""
    with Squatter(asks) as squatter:
        target = PostgresBroker.declared.target(
            {"host": "127.0.0.1", "port": squatter.port, "database": DATABASE, "user": USER}, {}, "password"
        )
        error = tried(Connection("shop", "postgres", target, "password", {}, {"secret": "shop/PASSWORD"}))
    assert error.code == "login"
    assert PASSWORD.encode() not in squatter.heard
    assert squatter.heard[4:8] == b"\0\x03\0\0"  # protocol 3.0's start-up packet
    assert len(squatter.heard) == int.from_bytes(squatter.heard[:4], "big")  # and nothing after it


class Scram(Squatter):
    """A squatter that asks for SCRAM with so many iterations, a byte at a time."""

    def __init__(self, iterations: bytes) -> None:
        super().__init__(b"R" + struct.pack(">ii", 23, 10) + b"SCRAM-SHA-256\0\0")
        self.answer = b""
        self._iterations = iterations

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.recv(4096)
            client.sendall(self._asks)
            nonce = client.recv(4096).partition(b"n=,r=")[2]
            first = b"r=" + nonce + b"x,s=c2FsdA==,i=" + self._iterations
            for byte in b"R" + struct.pack(">ii", len(first) + 8, 11) + first:
                client.sendall(bytes([byte]))
            self.answer = client.recv(4096)


@pytest.mark.parametrize(
    ("iterations", "insecure", "answered"),
    [
        (b"4096", False, True),
        (b"1", False, False),
        (b"4095", False, False),
        (b"04096", False, False),
        (b" 4096", False, False),
        (b"4096,x=1", False, False),
        (b"2147483647", False, False),
        (b"1", True, True),
        (b"2147483647", True, False),
    ],
)
def test_a_squatter_gets_no_proof_that_is_cheap_to_guess_from(
    *, iterations: bytes, insecure: bool, answered: bool
) -> None:
    """It chooses how often a guess is hashed: less than servers do takes a person's word, and for hours nobody's."""
    with Scram(iterations) as squatter:
        given = {"host": "127.0.0.1", "port": squatter.port, "database": DATABASE, "user": USER}
        target = PostgresBroker.declared.target({**given, "insecure_loopback": insecure}, {}, "password")
        error = tried(Connection("shop", "postgres", target, "password", {}, {"secret": "shop/PASSWORD"}))
    assert (b"p=" in squatter.answer) is answered
    if not answered:
        assert (error.code, "guessed" in str(error.fields["why"])) == ("login", True)


def test_a_server_that_says_nothing_costs_the_calls_time() -> None:
    """And no more than that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = PostgresBroker.declared.target(
            {"host": "127.0.0.1", "port": listener.getsockname()[1], "database": DATABASE, "user": USER}, {}, "password"
        )
        connection = Connection("shop", "postgres", target, "password", {}, {"secret": "shop/PASSWORD"})

        async def story() -> str:
            broker = PostgresBroker()
            with pytest.raises(BrokerError) as refused:
                await performed(broker, broker.plan(connection, {"sql": "select 1", "timeout": 0.5}), lent())
            await broker.aclose()
            return refused.value.code

        assert asyncio.run(story()) == "timeout"


def test_a_server_that_floods_at_the_login_is_left() -> None:
    """A notice of two gigabytes before the login is over is not read."""
    with Squatter(b"N" + struct.pack(">i", 2_000_000_000) + b"x" * (4 << 20)) as squatter:
        target = PostgresBroker.declared.target(
            {"host": "127.0.0.1", "port": squatter.port, "database": DATABASE, "user": USER}, {}, "password"
        )
        error = tried(Connection("shop", "postgres", target, "password", {}, {"secret": "shop/PASSWORD"}))
    assert error.code == "broken"


def test_every_address_is_judged_before_it_is_dialled() -> None:
    """A name that leads to this machine, where nobody pinned it, is not dialled."""

    async def inward(host: str, port: int) -> list[str]:
        del host, port
        return ["127.0.0.1"]

    target = PostgresBroker.declared.target(
        {"host": "db.example.test", "database": DATABASE, "user": USER}, {}, "password"
    )
    connection = Connection("shop", "postgres", target, "password", {}, {"secret": "shop/PASSWORD"})

    async def story() -> BrokerError:
        broker = PostgresBroker(inward)
        with pytest.raises(BrokerError) as refused:
            await performed(broker, broker.plan(connection, {"sql": "select 1"}), lent())
        await broker.aclose()
        return refused.value

    error = asyncio.run(story())
    assert (error.code, error.fields) == ("address", {"kind": "loopback"})
