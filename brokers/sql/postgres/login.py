"""How a session begins: every option of libpq said, so that nothing is left for the environment to say.

Rules of this file
- Variables (PG*), service and password files, and certificates of the home folder are no part of a connection that a
  person declared. What libpq reads from the environment behind its options (PGSERVICE, PGTZ …) is forgotten.
- The password is given to SCRAM alone, which proves that it is known without sending it. A server that asks for it in
  clear, as MD5 or not at all is not the one that was declared; on loopback too, where anybody takes a free port.
- The password stands in the text that is handed to libpq, and nowhere else.
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from psycopg.conninfo import make_conninfo

from brokers.contract import BrokerError
from brokers.sql import kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.contract import Connection, Credential

_NOWHERE = "/dev/null/none"  # a path that cannot be
# Channel binding stays libpq's "prefer": it ties SCRAM to the certificate wherever the server can, and poolers that
# cannot are still proved by verify-full.
_SAFE = "scram-sha-256"
_UNSAFE = "password,md5,scram-sha-256,none"
# Where systems keep their roots. The wheel's OpenSSL looks for them in a folder of its builder's (measured), so
# libpq's "system" finds none.
_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


@dataclass(frozen=True, slots=True)
class Login:
    """Where a session leads and as whom."""

    host: str
    port: int
    user: str
    database: str
    tls: bool
    ca: str
    insecure: bool
    pins: tuple[str, ...]
    password: str = field(repr=False)


def words(connection: Connection) -> tuple[tuple[str, str], ...]:
    """What the server's messages are cleaned of, and what then stands in its place."""
    target = connection.target
    return (str(target["user"]), "[role]"), (str(target["database"]), "[database]"), (str(target["host"]), "[host]")


def login_of(connection: Connection, credential: Credential) -> Login:
    """The login of a connection. Raises `BrokerError("credential")`."""
    target = connection.target
    password = kind.password(connection, credential)
    if not password:
        raise BrokerError("credential", why="a login takes a password")
    return Login(
        host=str(target["host"]),
        port=cast("int", target["port"]),
        user=str(target["user"]),
        database=str(target["database"]),
        tls=target["tls"] != kind.PLAIN,
        ca=str(target.get("ca") or ""),
        insecure=target.get("insecure_loopback") is True,
        pins=tuple(cast("Sequence[str]", target["addresses"])),
        password=password,
    )


class Root:
    """The file with the certificates that a login trusts, for as long as its session lasts.

    Cancelling shakes hands anew, so it is read more than once.
    """

    def __init__(self, login: Login) -> None:
        self._file = -1
        self.path = ""
        if login.ca:
            self._file = _unnamed(login.ca.encode())
            self.path = f"/proc/self/fd/{self._file}" if sys.platform == "linux" else f"/dev/fd/{self._file}"
        elif login.tls:
            self.path = _system()

    def rewind(self) -> None:
        """Before it is read: where opening it again is no new opening, it would go on from its end."""
        if self._file >= 0:
            os.lseek(self._file, 0, os.SEEK_SET)

    def close(self) -> None:
        """Let it go."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _unnamed(data: bytes) -> int:
    """A file without a name."""
    if sys.platform == "linux":
        number = os.memfd_create("ca", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as made:
            number = os.dup(made.fileno())
    os.write(number, data)
    return number


def _system() -> str:
    found = ssl.get_default_verify_paths().cafile
    for path in (found, *_ROOTS):
        if path and os.path.isfile(path):  # noqa: PTH113 - as in the rest of the file
            return path
    raise BrokerError("tls", why="the system's root certificates are not found: give them with --ca FILE")


def conninfo(login: Login, address: str, root: Root) -> bytes:
    """What libpq is told: each option that it would otherwise look up."""
    secured: dict[str, str] = {"sslmode": "disable"}
    if login.tls:
        secured = {"sslmode": "verify-full", "sslrootcert": root.path, "ssl_min_protocol_version": "TLSv1.2"}
    text = make_conninfo(
        host=login.host,
        hostaddr=address,
        port=login.port,
        user=login.user,
        dbname=login.database,
        password=login.password,
        require_auth=_UNSAFE if login.insecure else _SAFE,
        channel_binding="prefer",
        client_encoding="UTF8",
        application_name="kv",
        options="",
        passfile=_NOWHERE,
        sslcertmode="disable",
        sslcert=_NOWHERE,
        sslkey=_NOWHERE,
        sslcrl=_NOWHERE,
        sslcrldir="",
        sslnegotiation="postgres",
        sslsni="1",
        sslcompression="0",
        gssencmode="disable",
        gssdelegation="0",
        krbsrvname="postgres",
        requirepeer="",
        target_session_attrs="any",
        load_balance_hosts="disable",
        keepalives="1",
        keepalives_idle="30",
        keepalives_interval="10",
        keepalives_count="3",
        **secured,
    )
    return text.encode()


def forget_environment() -> None:
    """Drop libpq's variables from this process.

    Some have no option that would overrule them: PGSERVICE brings in a file of options, PGTZ, PGDATESTYLE and PGGEQO
    are sent to the server. The keeper gives its environment to nobody.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
