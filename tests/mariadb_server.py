"""A real MariaDB on loopback for tests: an unprivileged user's, thrown away afterwards, with or without TLS.

Rules of this file
- A machine without MariaDB is told what to install: nothing is skipped.
- Only the process that was started here is ended, by its number.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pymysql
import trustme

from brokers.contract import Connection, Credential, Secret
from brokers.sql.kind import Mysql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from brokers.contract import Plan
    from brokers.sql.broker import SqlBroker

USER, PASSWORD, DATABASE = "app", "pw-4711-Tr0ub4dor-é", "shop"
_UP = 30.0  # seconds to start on a busy machine


class Mariadb:
    """A server with a database `shop` and a user `app` that owns it. Use as a context manager."""

    def __init__(
        self,
        *,
        tls: bool = False,
        names: Sequence[str] = ("127.0.0.1", "localhost"),
        port: int = 0,
        address: str = "127.0.0.1",
    ) -> None:
        for program in ("mariadbd", "mariadb-install-db"):
            assert shutil.which(program), f"{program} is missing: apt-get install mariadb-server"
        self.folder = Path(tempfile.mkdtemp(prefix="kv-mariadb-"))
        self._as = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        self.ca = trustme.CA()
        self.tls, self._address = tls, address
        self.port = port or _free_port()
        self._socket = str(self.folder / "s")
        self._process: subprocess.Popen[bytes] | None = None
        if tls:
            given = self.ca.issue_cert(*names)
            (self.folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in given.cert_chain_pems))
            given.private_key_pem.write_to_path(self.folder / "key.pem")
        (self.folder / "temporary").mkdir()
        if self._as:
            subprocess.run(["chown", "-R", "nobody", str(self.folder)], check=True)

    def __enter__(self) -> Self:
        subprocess.run(
            [
                *(*self._as, "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--skip-test-db"),
                *("--auth-root-authentication-method=normal", "--innodb-log-file-size=4M", "--innodb-fast-shutdown=1"),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        self.start()
        self.root(f"CREATE DATABASE {DATABASE}")
        self.root(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
        self.root(f"GRANT ALL ON {DATABASE}.* TO '{USER}'@'%'")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"--ssl-cert={self.folder}/cert.pem", f"--ssl-key={self.folder}/key.pem"] if self.tls else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._as, "mariadbd", "--no-defaults", f"--datadir={self.folder}/data", f"--port={self.port}"),
                    *(f"--bind-address={self._address}", f"--socket={self._socket}", f"--pid-file={self.folder}/pid"),
                    f"--tmpdir={self.folder}/temporary",  # else two servers take each other's temporary tables away
                    *("--skip-log-bin", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M"),
                    *("--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve", "--performance-schema=OFF"),
                    *(
                        "--max-allowed-packet=1G",
                        "--local-infile=1",
                        "--max-connections=60",
                        "--character-set-server=utf8mb4",
                        *options,
                    ),
                ],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _UP
        while True:
            with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaves one open where nobody listens yet
                if probe.connect_ex(self._socket) == 0:
                    break
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.05)
        self.root("SELECT 1")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it: the server itself, whose number is in its file, and what started it."""
        if self._process is None:
            return
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.folder / "pid").read_text()), how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def root(self, sql: str) -> list[tuple[Any, ...]]:
        """A statement as the server's own superuser."""
        with (
            contextlib.closing(
                pymysql.connect(unix_socket=self._socket, user="root", autocommit=True, charset="utf8mb4")
            ) as held,
            held.cursor() as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall())

    def root_all(self, *statements: str) -> list[list[tuple[Any, ...]]]:
        """Several of them in one session."""
        with (
            contextlib.closing(pymysql.connect(unix_socket=self._socket, user="root", charset="utf8mb4")) as held,
            held.cursor() as cursor,
        ):
            found = []
            for sql in statements:
                cursor.execute(sql)
                found.append(list(cursor.fetchall()))
            return found

    def tried(self, *statements: str) -> None:
        """Several of them in one session, in the database; what is refused is passed over."""
        with (
            contextlib.closing(
                pymysql.connect(unix_socket=self._socket, user="root", database=DATABASE, autocommit=True)
            ) as held,
            held.cursor() as cursor,
        ):
            for sql in statements:
                with contextlib.suppress(pymysql.Error):
                    cursor.execute(sql)

    def target(self, **given: object) -> Mapping[str, object]:
        """The target of a connection to it."""
        stated: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "database": DATABASE, "user": USER}
        if self.tls:
            stated |= {"tls": "verify-full", "ca": self.ca.cert_pem.bytes().decode()}
        return Mysql().target({**stated, **given}, {}, "password")

    def connection(self, **given: object) -> Connection:
        """A connection to it."""
        return Connection("shop", "mysql", self.target(**given), "password", {}, {"secret": "shop/PASSWORD"})


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
