"""Real servers on ::1 through kv: declared, pinned and dialled as those on 127.0.0.1 are.

Rules of this file
- `localhost` is tried on 127.0.0.1 first, where nobody listens here, and then found.
- A machine on which nobody can listen on ::1 skips, and says so: what cannot be listened on cannot be dialled either.
"""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from mariadb_server import Mariadb
from postgres_server import DATABASE, PASSWORD, USER, Postgres
from ssh_server import SshServer
from upstream import Upstream
from world import World

from brokers.addresses import check_pins
from brokers.contract import BrokerError
from brokers.http.target import connection_target
from brokers.sql import kind
from kv.cli.hostkeys import listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = b"tok_51Hq+7Zk/9vXw=Tt0aB0aB"
ADMITTED = ("--admission", "always")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"nobody can listen on ::1 here: {error}")
    with World(tmp_path_factory.mktemp("ipv6")) as made:
        yield made.init()


def answered(world: World, name: str) -> object:
    """The one value of a query."""
    return world.must("query", name, "select 40 + 2", "--json").json["rows"]


@pytest.mark.parametrize("tls", [False, True])
def test_postgres(world: World, tls: bool) -> None:  # noqa: FBT001 - the table's column
    """A DSN has the address in brackets; with TLS the certificate is the address's."""
    with Postgres(tls=tls, names=("::1",), settings={"listen_addresses": "::1"}) as server:
        ca = server.folder / "ca.pem"
        server.ca.cert_pem.write_to_path(ca)
        dsn = f"postgresql://{USER}:{PASSWORD}@[::1]:{server.port}/{DATABASE}"
        name = f"pg{tls:d}"
        more = ("--tls", "verify-full", "--ca", str(ca)) if tls else ()
        world.store(f"{name}/DSN", dsn.encode(), "--connection", name, *more, *ADMITTED)
        assert answered(world, name) == [[42]]
        if not tls:
            near = dsn.replace("[::1]", "localhost")
            world.store("pg/NEAR", near.encode(), "--connection", "pg-near", *ADMITTED)
            assert answered(world, "pg-near") == [[42]]
        shown = world.must("show", name, "--json").out + world.must("connections", "--json").out
        assert f"postgres://[::1]:{server.port}/{DATABASE}" in shown


@pytest.mark.parametrize("tls", [False, True])
def test_mariadb(world: World, tls: bool) -> None:  # noqa: FBT001 - the table's column
    """Named by `--host [::1]:PORT`, pinned by `--allow-address`."""
    with Mariadb(tls=tls, names=("::1",), address="::1") as server:
        name = f"my{tls:d}"
        where = ("--kind", "mysql", "--host", f"[::1]:{server.port}")
        whom = ("--database", DATABASE, "--user", USER)
        ca = world.folder / f"{name}.pem"
        server.ca.cert_pem.write_to_path(ca)
        more = ("--tls", "verify-full", "--ca", str(ca)) if tls else ("--allow-address", "::1")
        world.store(f"{name}/PASSWORD", PASSWORD.encode(), "--connection", name, *where, *whom, *more, *ADMITTED)
        assert answered(world, name) == [[42]]
        if not tls:
            near = f"mysql://{USER}:{PASSWORD}@localhost:{server.port}/{DATABASE}"
            world.store("my/NEAR", near.encode(), "--connection", "my-near", *ADMITTED)
            assert answered(world, "my-near") == [[42]]


def test_https(world: World) -> None:
    """The address in brackets is the Host that the service reads; the certificate is the address's."""
    with Upstream(key=KEY, names=("::1",), host="::1") as upstream:
        world.connect("six", KEY, upstream.port, upstream.ca_pem, host="[::1]", pins=("::1",))
        assert world.must("api", "six", "GET", "/echo", "--json").json["status"] == 200
        (request,) = upstream.requests
        assert request.header("host") == f"[::1]:{upstream.port}"
        assert request.sni is None, "an address is no name"


def test_plain_http(world: World) -> None:
    """An address of loopback is its own pin."""
    with Upstream(key=KEY, tls=False, host="::1") as upstream:
        for name, host in (("plain", "[::1]"), ("plain-near", "localhost")):
            where = ("--host", f"http://{host}:{upstream.port}", "--insecure-loopback", "--auth", "bearer")
            world.store(f"{name}/KEY", KEY, "--connection", name, *where, *ADMITTED)
            assert world.must("api", name, "GET", "/echo", "--json").json["status"] == 200


@pytest.mark.needs("sshd")
def test_ssh(world: World, tmp_path: Path) -> None:
    """The host key is pinned for [::1]:port, found in known_hosts in either form, and a jump leads on to ::1."""
    with SshServer(address="::1") as server:
        key, place = (server.folder / "user").read_bytes(), f"{server.user}@[::1]:{server.port}"
        pin = ("--host-key", server.host_key, *ADMITTED)
        for name, where in (("near", place), ("nearer", place.replace("[::1]", "localhost")), ("beyond", place)):
            world.store(f"{name}/KEY", key, "--connection", name, "--ssh", where, *pin)
            assert world.must("ssh", name, "--", "whoami").out == f"{server.user}\n"
        world.must("connect", "beyond", "--jump", "near", proof=True)
        assert world.must("ssh", "beyond", "--", "whoami").out == f"{server.user}\n"
        assert f"ssh://{place}" in world.must("show", "near", "--json").out
        known = tmp_path / "known_hosts"
        scan = ["ssh-keyscan", "-p", str(server.port), "-t", "ed25519", "::1"]
        known.write_bytes(subprocess.run(scan, capture_output=True, check=True, timeout=60).stdout)
        assert f"[::1]:{server.port} " in known.read_text()
        assert listed("::1", server.port, [str(known)]) == (server.host_key,)
        subprocess.run(["ssh-keygen", "-H", "-f", str(known)], capture_output=True, check=True, timeout=60)
        assert "::1" not in known.read_text()
        assert listed("::1", server.port, [str(known)]) == (server.host_key,)


@pytest.mark.parametrize("host", ["::ffff:127.0.0.1", "::ffff:7f00:1", "::", "::1%lo", "::1%25lo"])
def test_what_only_looks_like_loopback_is_not_taken_for_it(host: str) -> None:
    """Another spelling of an IPv4 address, and a zone, lead elsewhere for other programs: nobody goes unguarded."""
    database = {"host": host, "database": "shop", "user": "app", "tls": "plain"}
    for declared in (
        lambda: connection_target(f"http://[{host}]:1", insecure_loopback=True),
        lambda: kind.Postgres().target(database, {}, "dsn"),
        lambda: kind.Mysql().target({**database, "host": "localhost", "addresses": [host]}, {}, "dsn"),
        lambda: check_pins((host,)),
    ):
        with pytest.raises(BrokerError) as refused:
            declared()
        assert refused.value.code in {"options", "address"}
