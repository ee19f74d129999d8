"""A real PostgreSQL on loopback for tests: an unprivileged user's, thrown away afterwards, with or without TLS.

Rules of this file
- A machine without PostgreSQL is told what to install: nothing is skipped.
- Only the process that was started here is ended, by its number.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
import trustme

from brokers.contract import Connection, Credential, Secret
from brokers.sql.kind import Postgres as Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from brokers.contract import Plan
    from brokers.sql.broker import SqlBroker

USER, PASSWORD, DATABASE = "app", "pw-4711-Tr0ub4dor-é", "shop"
_UP = 30.0  # seconds to start on a busy machine
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "80",
    "shared_buffers": "32MB",
    "deadlock_timeout": "100ms",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "error",
}


def programs() -> Path:
    """Where PostgreSQL's programs are: the path's first, as `make servers` says; Debian keeps them out of the path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise AssertionError("initdb is missing: apt-get install postgresql")


class Postgres:
    """A server with a database `shop` and a user `app` that owns it. Use as a context manager.

    `hba` is what the server asks of people who come over TCP: a method of pg_hba.conf.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        names: Sequence[str] = ("127.0.0.1", "localhost"),
        hba: str = "scram-sha-256",
        settings: Mapping[str, str] | None = None,
        encoding: str = "UTF8",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kv-postgres-", dir="/tmp"))
        self._as = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        self._bin, self._hba, self._encoding = programs(), hba, encoding
        self._settings = {**_SETTINGS, **(settings or {})}
        self.ca = trustme.CA()
        self.tls = tls
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if tls:
            given = self.ca.issue_cert(*names)
            (self.folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in given.cert_chain_pems))
            given.private_key_pem.write_to_path(self.folder / "key.pem")
            (self.folder / "key.pem").chmod(0o600)
            self._settings |= {
                "ssl": "on",
                "ssl_cert_file": f"{self.folder}/cert.pem",
                "ssl_key_file": f"{self.folder}/key.pem",
            }
        if self._as:
            subprocess.run(["chown", "-R", "nobody", str(self.folder)], check=True)

    def __enter__(self) -> Self:
        subprocess.run(
            [
                *(*self._as, str(self._bin / "initdb"), "-D", f"{self.folder}/data", "-U", "root", "-A", "trust"),
                *("-E", self._encoding, "--locale=C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            timeout=120,
        )
        hba = self.folder / "data" / "pg_hba.conf"
        places = "".join(f"host all all {place} {self._hba}\n" for place in ("127.0.0.1/32", "::1/128"))
        hba.write_text(f"local all all trust\n{places}", encoding="ascii")
        self.start()
        self.root(
            f"SET password_encryption = '{'md5' if self._hba == 'md5' else 'scram-sha-256'}'; "
            f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'"
        )
        self.root(f"CREATE DATABASE {DATABASE} OWNER {USER}", "postgres")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [word for key, value in self._settings.items() for word in ("-c", f"{key}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._as, str(self._bin / "postgres"), "-D", f"{self.folder}/data", "-p", str(self.port)),
                    *("-k", str(self.folder), *options),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        until = time.monotonic() + _UP
        while True:
            try:
                self.root("SELECT 1")
            except psycopg.OperationalError:
                gone = self._process.poll() is not None or time.monotonic() > until
                assert not gone, (self.folder / "log").read_text(encoding="utf-8")
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: the server itself, whose number is in its file, and what started it."""
        if self._process is None:
            return
        try:
            number = int((self.folder / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0])
            os.kill(number, how)
        except (OSError, ValueError, IndexError):
            pass
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def root(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Statements as the server's own superuser; the rows of the last."""
        database = database or (DATABASE if self._known() else "postgres")
        with psycopg.connect(
            host=str(self.folder), port=self.port, user="root", dbname=database, autocommit=True
        ) as held:
            cursor = held.execute(sql.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def _known(self) -> bool:
        with psycopg.connect(host=str(self.folder), port=self.port, user="root", dbname="postgres") as held:
            return held.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is not None

    def app(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the user's own, beside kv."""
        return psycopg.connect(host=str(self.folder), port=self.port, user=USER, dbname=DATABASE, autocommit=True)

    def own(self, sql: str) -> None:
        """Statements as the user."""
        with self.app() as held:
            held.execute(sql.encode())

    def target(self, **given: object) -> Mapping[str, object]:
        """The target of a connection to it."""
        stated: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "database": DATABASE, "user": USER}
        if self.tls:
            stated |= {"tls": "verify-full", "ca": self.ca.cert_pem.bytes().decode()}
        return Kind().target({**stated, **given}, {}, "password")

    def connection(self, **given: object) -> Connection:
        """A connection to it."""
        return Connection("shop", "postgres", self.target(**given), "password", {}, {"secret": "shop/PASSWORD"})


def lent(password: str = PASSWORD) -> Credential:
    """The password, as it is lent to a call."""
    return Credential({"secret": Secret("shop/PASSWORD", password.encode())})


async def performed(broker: SqlBroker, plan: Plan, credential: Credential) -> tuple[dict[str, object], bytes]:
    """Head and body of a call."""
    outcome = await broker.perform(plan, credential)
    try:
        return outcome.head, await whole(outcome.body)
    finally:
        await outcome.aclose()


async def whole(body: AsyncIterator[bytes]) -> bytes:
    """All of a body."""
    return b"".join([chunk async for chunk in body])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
