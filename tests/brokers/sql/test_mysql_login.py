"""Logging in: TLS that is checked, passwords that are not given away, and servers that are none."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mariadb_server import DATABASE, PASSWORD, USER, Mariadb, lent, performed

from brokers.contract import BrokerError, Connection, Credential, Secret
from brokers.sql.mysql import MysqlBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLEAR, SHA2, SHA256, NATIVE = (
    "mysql_clear_password",
    "caching_sha2_password",
    "sha256_password",
    "mysql_native_password",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Mariadb]:
    """A server that speaks TLS, for the module."""
    with Mariadb(tls=True) as running:
        yield running


def ask(
    connection: Connection, credential: Credential | None = None, sql: str = "select 1 as one", **more: object
) -> Any:  # noqa: ANN401 - a document
    """The rows of a query on a broker of its own."""

    async def once() -> Any:  # noqa: ANN401 - as above
        broker = MysqlBroker()
        try:
            plan = broker.plan(connection, {"sql": sql, **more})
            return json.loads((await performed(broker, plan, credential or lent()))[1])["rows"]
        finally:
            await broker.aclose()

    return asyncio.run(once())


def refused(connection: Connection, credential: Credential | None = None, timeout: float = 30) -> BrokerError:
    """The error of a call that is not performed; it quotes no password."""
    with pytest.raises(BrokerError) as caught:
        ask(connection, credential, timeout=timeout)
    error = caught.value
    assert PASSWORD not in f"{error!r}{error}{error.fields}"
    assert error.__cause__ is None
    return error


def test_tls_is_spoken_and_checked(server: Mariadb) -> None:
    """With the declared CA, for the declared host."""
    rows = ask(server.connection(), sql="show session status like 'Ssl_version'")
    assert rows[0][1].startswith("TLSv1.")
    assert ask(server.connection(host="localhost")) == [[1]]


def test_a_certificate_of_another_ca_is_refused(server: Mariadb) -> None:
    """Before the user's name is sent."""
    other = trustme.CA().cert_pem.bytes().decode()
    assert refused(server.connection(ca=other)).code == "tls"


def test_a_certificate_for_another_host_is_refused(server: Mariadb) -> None:
    """The name that a person declared is the name that is asked for."""
    assert refused(server.connection(host="db.test", addresses=["127.0.0.1"])).code == "tls"


def test_without_a_ca_the_system_decides(server: Mariadb) -> None:
    """A certificate that nobody vouches for is not taken."""
    assert refused(server.connection(ca="")).code == "tls"


def test_a_server_that_wants_no_tls_gets_nothing() -> None:
    """A stripped TLS is an error, not a fallback."""
    with Squatter(NATIVE) as fake:
        error = refused(fake.connection(tls="verify-full"))
        assert (error.code, error.fields["why"]) == ("tls", "the server speaks no TLS")
    assert fake.received == b""


def test_a_server_that_demands_tls_lets_nobody_in_without(server: Mariadb) -> None:
    """MySQL gives the reason; MariaDB says no more than that the login is refused."""
    server.root("SET GLOBAL require_secure_transport = ON")
    try:
        error = refused(server.connection(tls="plain"))
    finally:
        server.root("SET GLOBAL require_secure_transport = OFF")
    assert error.code in {"refused", "login"}


@pytest.mark.parametrize("password", ["wrong", PASSWORD[:-1], PASSWORD + " "])
def test_a_wrong_password_is_refused(server: Mariadb, password: str) -> None:
    """As a login, and no other way is tried."""
    error = refused(server.connection(), lent(password))
    assert (error.code, error.fields["why"]) == ("login", "user or password is wrong")


def test_an_unknown_database_is_refused(server: Mariadb) -> None:
    """Told in our words."""
    server.root(f"GRANT ALL ON *.* TO '{USER}'@'%'")
    try:
        error = refused(server.connection(database="nosuch"))
    finally:
        server.root(f"REVOKE ALL ON *.* FROM '{USER}'@'%'")
    assert (error.code, error.fields["why"]) == ("refused", "there is no such database")
    assert refused(server.connection(database="mysql")).code == "refused"


def test_a_full_server_is_told(server: Mariadb) -> None:
    """Too many connections is no failure of the network."""
    server.root("SET GLOBAL max_connections = 10")
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(12)]
    try:
        assert all(each.recv(5) for each in held)
        error = refused(server.connection())
    finally:
        for each in held:
            each.close()
        server.root("SET GLOBAL max_connections = 60")
    assert (error.code, error.fields["why"]) == ("refused", "it has too many connections")


def test_a_dsn_logs_in_where_it_was_declared(server: Mariadb) -> None:
    """And one that leads elsewhere does not."""
    quoted = "".join(f"%{byte:02X}" for byte in PASSWORD.encode())
    target = server.target()
    given = f"mysql://{USER}:{quoted}@127.0.0.1:{server.port}/{DATABASE}".encode()
    connection = Connection("shop", "mysql", target, "dsn", {}, {"secret": "DSN"})
    assert ask(connection, Credential({"secret": Secret("DSN", given)})) == [[1]]
    other = given.replace(b"127.0.0.1", b"127.0.0.2")
    assert refused(connection, Credential({"secret": Secret("DSN", other)})).code == "credential"


def test_ed25519_logs_in(server: Mariadb) -> None:
    """MariaDB's own method, which shows nobody a hash that could be replayed."""
    server.root("INSTALL SONAME 'auth_ed25519'")
    server.root("CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('ed-password')")
    server.root(f"GRANT SELECT ON {DATABASE}.* TO ed@'%'")
    assert ask(server.connection(user="ed"), lent("ed-password")) == [[1]]
    assert refused(server.connection(user="ed"), lent("other")).code == "login"


def test_an_address_that_is_not_allowed_is_not_dialled() -> None:
    """A name that leads to a private address is refused, whatever listens there."""

    async def inside(host: str, port: int) -> list[str]:
        del host, port
        return ["10.0.0.7"]

    async def once() -> None:
        target = MysqlBroker.declared.target(
            {"host": "db.test", "port": 3306, "database": DATABASE, "user": USER}, {}, "password"
        )
        broker = MysqlBroker(inside)
        connection = Connection("shop", "mysql", target, "password", {}, {"secret": "x"})
        with pytest.raises(BrokerError) as caught:
            await broker.perform(broker.plan(connection, {"sql": "select 1"}), lent())
        assert caught.value.code == "address"
        await broker.aclose()

    asyncio.run(once())


# --- servers that are none


def packet(number: int, body: bytes) -> bytes:
    """A packet of the protocol."""
    return len(body).to_bytes(3, "little") + bytes([number]) + body


OK = b"\0\0\0\x02\0\0\0"
SALT = bytes(range(1, 21))


class Squatter:
    """Takes the port of a stopped database: greets with `plugin`, then does as `then` says. Keeps what it was sent."""

    def __init__(self, plugin: str, then: Callable[[Squatter, socket.socket], None] | None = None) -> None:
        self.plugin, self._then = plugin, then or (lambda *_: None)
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(10)

    def connection(self, **given: object) -> Connection:
        """A connection that leads to it."""
        stated = {"host": "127.0.0.1", "port": self.port, "database": DATABASE, "user": USER}
        target = MysqlBroker.declared.target({**stated, **given}, {}, "password")
        return Connection("shop", "mysql", target, "password", {}, {"secret": "x"})

    def take(self, client: socket.socket) -> bytes:
        """The next packet's body."""
        head = client.recv(4, socket.MSG_WAITALL)
        size = int.from_bytes(head[:3], "little")
        body = client.recv(size, socket.MSG_WAITALL) if size else b""
        self.received += body
        return body

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            client.settimeout(10)
            flags = 0xFFFFFFFF & ~(1 << 11) & ~(1 << 24)  # all but TLS and the newer end of rows
            greeting = b"\x0a10.11.0-MariaDB\0" + struct.pack("<I", 1) + SALT[:8] + b"\0"
            greeting += struct.pack("<HBHHB", flags & 0xFFFF, 45, 2, flags >> 16, 21) + b"\0" * 10 + SALT[8:] + b"\0"
            client.sendall(packet(0, greeting + self.plugin.encode() + b"\0"))
            try:
                if self.take(client):
                    self._then(self, client)
            except OSError:
                return

    def gave_away(self) -> bool:
        """Whether the password came in clear."""
        return PASSWORD.encode() in self.received


def switch(plugin: str) -> Callable[[Squatter, socket.socket], None]:
    """Ask for another method, and take what comes."""

    def then(fake: Squatter, client: socket.socket) -> None:
        client.sendall(packet(2, b"\xfe" + plugin.encode() + b"\0" + SALT + b"\0"))
        fake.take(client)

    return then


@pytest.mark.parametrize(
    "plugin", [CLEAR, SHA256, "dialog", "mysql_old_password", "auth_gssapi_client", "parsec", "évil"]
)
@pytest.mark.parametrize("greeting", [NATIVE, SHA2, "same"])
def test_a_squatter_gets_no_password(plugin: str, greeting: str) -> None:
    """Whatever method it greets with or switches to: what gives a password away is refused, and nothing is sent."""
    with Squatter(plugin if greeting == "same" else greeting, switch(plugin)) as fake:
        error = refused(fake.connection())
    assert error.code == ("login" if plugin.isascii() else "broken")
    assert not fake.gave_away()
    handshake = fake.received
    assert handshake.count(USER.encode() + b"\0") == 1, "nothing but the first answer was sent"


@pytest.mark.parametrize("greeting", [SHA256, NATIVE, CLEAR, ""])
def test_a_squatter_that_shows_its_key_at_once_gets_nothing(greeting: str) -> None:
    """sha256_password would encrypt the password to any key that a server sends, and say so in its first answer."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    shown = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    sent: list[bytes] = []

    def then(fake: Squatter, client: socket.socket) -> None:
        client.sendall(packet(2, b"\x01" + shown))
        sent.append(fake.take(client))

    with Squatter(greeting, then) as fake:
        refused(fake.connection())
    assert sent == [b""]
    assert b"sha256_password\0" not in fake.received.replace(b"caching_sha2_password\0", b"")


def wants_all(fake: Squatter, client: socket.socket) -> None:
    """caching_sha2_password: ask for the password itself, and show a key of one's own."""
    client.sendall(packet(2, b"\x01\x04"))
    fake.take(client)


def test_a_squatters_key_encrypts_no_password() -> None:
    """Without TLS the key is anybody's: it is not even asked for."""
    with Squatter(SHA2, wants_all) as fake:
        error = refused(fake.connection())
    assert error.code == "login"
    assert not fake.received.endswith(b"\x02")


def test_insecure_loopback_asks_for_the_key() -> None:
    """A person who said so has it asked for."""
    with Squatter(SHA2, wants_all) as fake:
        refused(fake.connection(insecure_loopback=True))
    assert fake.received.endswith(b"\x02")


def fast(fake: Squatter, client: socket.socket) -> None:
    """caching_sha2_password as MySQL does it when it has the hash cached, then the answers of a new session."""
    client.sendall(packet(2, b"\x01\x03") + packet(3, OK))
    fake.take(client)


def test_caching_sha2_password_answers_its_challenge() -> None:
    """The response is the one that MySQL computes: XOR(SHA256(p), SHA256(SHA256(SHA256(p)), nonce))."""
    with Squatter(SHA2, fast) as fake:
        refused(fake.connection())
    one = hashlib.sha256(PASSWORD.encode()).digest()
    two = hashlib.sha256(hashlib.sha256(one).digest() + SALT).digest()
    assert bytes(a ^ b for a, b in zip(one, two, strict=True)) in fake.received
    assert fake.received.endswith(b"SET NAMES utf8mb4")
    assert not fake.gave_away()


@contextmanager
def after_login(answer: bytes) -> Iterator[Squatter]:
    """A server that lets everybody in and answers the first statement with `answer`."""

    def then(fake: Squatter, client: socket.socket) -> None:
        client.sendall(packet(2, OK))
        fake.take(client)
        client.sendall(answer)
        fake.take(client)

    with Squatter(NATIVE, then) as fake:
        yield fake


def test_a_request_for_a_local_file_gets_nothing() -> None:
    """LOAD DATA LOCAL is asked for by a server; kv sends neither the file nor an empty one."""
    with after_login(packet(1, b"\xfb/etc/passwd")) as fake:
        assert refused(fake.connection()).code == "broken"
    assert b"root:" not in fake.received
    assert fake.received.endswith(b"SET NAMES utf8mb4")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        packet(1, b""),
        packet(7, OK),
        packet(1, b"\xff"),
        packet(1, b"\xff\x01"),
        packet(1, b"\xfe" + b"\xff" * 20),
        packet(1, b"\x03"),
        packet(1, b"\x01") + packet(2, b"\x03de"),
        packet(1, b"\xfd\xff\xff\xff"),
        packet(1, b"\xfc\x00\x00"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 64,
    ],
)
def test_what_is_no_protocol_is_broken(answer: bytes) -> None:
    """Whatever a server sends, it is a declared error, and soon."""
    with after_login(answer) as fake:
        assert refused(fake.connection(), timeout=3).code in {"broken", "too-large", "timeout", "refused"}


def test_a_port_that_says_nothing_is_a_timeout() -> None:
    """A listener that is no database costs the call's time and no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = MysqlBroker.declared.target(
            {"host": "127.0.0.1", "port": listener.getsockname()[1], "database": "d", "user": "u"}, {}, "password"
        )
        error = refused(Connection("shop", "mysql", target, "password", {}, {"secret": "x"}), timeout=0.4)
    assert (error.code, error.fields["seconds"]) == ("timeout", 1)


def sized(text: bytes) -> bytes:
    """A text with its length before it."""
    return b"\xfd" + len(text).to_bytes(3, "little") + text


def named(name: bytes) -> bytes:
    """The definition of a column."""
    parts = (b"def", b"", b"", b"", name, b"")
    return b"".join(map(sized, parts)) + b"\x0c" + struct.pack("<HIBHBxx", 45, 100, 253, 0, 0)


def test_the_names_of_a_result_are_bounded() -> None:
    """A server that names columns without end is left before they fill the memory."""
    long = named(b"n" * (1 << 20))
    answer = packet(1, b"\xfc" + struct.pack("<H", 10_000))
    with after_login(answer + b"".join(packet(number, long) for number in range(2, 8))) as fake:
        error = refused(fake.connection())
    assert (error.code, error.fields["limit"]) == ("too-large", 4 << 20)


def test_what_kv_asks_for_itself_is_bounded() -> None:
    """The answer to one of its own questions is a few megabytes at most, however few its rows."""
    row = sized(b"v" * (2 << 20))

    def then(fake: Squatter, client: socket.socket) -> None:
        client.sendall(packet(2, OK))
        fake.take(client)
        client.sendall(packet(1, OK))
        fake.take(client)
        client.sendall(packet(1, b"\x01") + packet(2, named(b"m")) + packet(3, b"\xfe\0\0\2\0"))
        for number in range(4, 20):
            client.sendall(packet(number, row))
        fake.take(client)

    with Squatter(NATIVE, then) as fake:
        error = refused(fake.connection())
    assert fake.received.endswith(b"SELECT @@sql_mode")
    assert (error.code, error.fields["limit"]) == ("too-large", 16 << 20)
