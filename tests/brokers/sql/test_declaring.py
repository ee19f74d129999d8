"""What a person says of a database: DSNs, targets, and what logs in."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import BrokerError, Connection, Credential, Secret
from brokers.sql import dsn, kind

DSN = b"postgresql://app:p%40ss@db.test:5433/shop?sslmode=require"


def refused(value: bytes) -> str:
    """Why `value` is no DSN."""
    with pytest.raises(BrokerError) as caught:
        dsn.parse(value)
    assert caught.value.code == "credential"
    return str(caught.value.fields["why"])


def options(given: dict[str, object], before: dict[str, object] | None = None, of: object = None) -> str:
    """Why a target is refused."""
    declared = of or kind.Postgres()
    assert isinstance(declared, kind.ServerKind | kind.Sqlite)
    with pytest.raises(BrokerError) as caught:
        declared.target(given, before or {}, "dsn")
    assert caught.value.code == "options"
    return str(caught.value.fields["why"])


STATED: dict[str, object] = {"host": "db.test", "port": 5433, "database": "shop", "user": "app"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("postgres://u:p@h/d", ("postgres", "h", 5432, "d", "u", "p", None)),
        ("postgresql+psycopg://u:p@h:1/d", ("postgres", "h", 1, "d", "u", "p", None)),
        ("postgresql://u@h/d?sslmode=disable", ("postgres", "h", 5432, "d", "u", "", False)),
        ("postgresql://u:p@[::1]:5/d?sslmode=verify-full", ("postgres", "::1", 5, "d", "u", "p", True)),
        ("mysql://u:p@h/d", ("mysql", "h", 3306, "d", "u", "p", None)),
        ("mariadb+pymysql://u:p@h/d?charset=utf8mb4", ("mysql", "h", 3306, "d", "u", "p", None)),
        ("mysql://u:a@b@h/d", ("mysql", "h", 3306, "d", "u", "a@b", None)),
        ("postgresql://u%20x:p%40%2F@h/d%20e", ("postgres", "h", 5432, "d e", "u x", "p@/", None)),
        ("sqlite:////srv/notes.db", ("sqlite", "", 0, "/srv/notes.db", "", "", None)),
    ],
)
def test_dsns_of_every_spelling_are_read(text: str, found: tuple[object, ...]) -> None:
    """The forms that drivers and frameworks write are one form."""
    assert dataclasses.astuple(dsn.parse(text.encode())) == found


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://",
        "postgresql://u:p@h",
        "postgresql://h/d",
        "postgresql://u:p@h/d/e",
        "postgresql://u:p@h:x/d",
        "postgresql://u:p@h:99999/d",
        "postgresql://u:p#q@h/d",
        "postgresql://u:p@h/d?sslmode=maybe",
        "postgresql://u:p@h/d?host=/var/run",
        "postgresql://u:p@h/d?sslrootcert=/etc/ca.pem",
        "postgresql://u:p@h/d?options=-c%20role=admin",
        "postgresql://u:p@h/d?target_session_attrs=any&passfile=/x",
        "postgresql://u:p q@h/d",
        "postgresql://u:p@h/d\nx",
        "mongodb://u:p@h/d",
        "sqlite://",
        "sqlite:///x?mode=rwc",
        "postgresql://u:" + "p" * 4096 + "@h/d",
    ],
)
def test_what_is_no_dsn_is_refused_and_not_quoted(text: str) -> None:
    """A parameter that would change what is reached is refused, not ignored; and nothing of it is repeated."""
    why = refused(text.encode())
    assert "p@h" not in why
    assert "admin" not in why


def test_a_dsn_that_is_not_utf8_is_refused() -> None:
    """Bytes that are no text are nobody's password."""
    assert refused(b"postgresql://u:\xff@h/d") == "it is not UTF-8"


def test_a_dsn_shows_no_password() -> None:
    """The parts can be printed by accident, the password cannot."""
    assert "p@ss" not in repr(dsn.parse(DSN))


@given(st.binary(max_size=200))
def test_any_value_is_a_dsn_or_refused(value: bytes) -> None:
    """No value ends in another error."""
    code = ""
    try:
        dsn.parse(value)
    except BrokerError as error:
        code = error.code
    assert code in {"", "credential"}


def test_a_target_is_whole_and_canonical() -> None:
    """What was not said has its default; TLS with a full check is the default."""
    made = kind.Postgres().target({k: v for k, v in STATED.items() if k != "port"}, {}, "dsn")
    assert made == {
        "host": "db.test",
        "port": 5432,
        "database": "shop",
        "user": "app",
        "tls": "verify-full",
        "ca": "",
        "addresses": [],
        "insecure_loopback": False,
        "functions": [],
    }
    assert kind.Postgres().place(made) == "postgres://db.test:5432/shop"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_loopback_that_was_written_is_its_own_pin(host: str) -> None:
    """A database on this machine needs no second word, and no name server is asked where this machine is."""
    made = kind.Mysql().target({**STATED, "host": host}, {}, "dsn")
    assert made["addresses"] == (["127.0.0.1", "::1"] if host == "localhost" else [host])
    assert made["tls"] == "plain"


def test_without_tls_a_database_is_on_loopback() -> None:
    """Neither a host elsewhere nor a pin elsewhere is spoken to in the clear."""
    for stated in ({"tls": "plain"}, {"tls": "plain", "addresses": ["10.0.0.5"]}, {"insecure_loopback": True}):
        assert "loopback" in options({**STATED, **stated})


def test_a_dsn_below_a_full_check_is_raised_to_one() -> None:
    """`sslmode=require` takes any certificate, and `disable` none: off loopback both become a full check."""
    for mode in (b"require", b"disable", b"prefer", b"verify-ca"):
        _, members = kind.declared(DSN.replace(b"require", mode))
        assert kind.Postgres().target(members, {}, "dsn")["tls"] == "verify-full"
    _, members = kind.declared(b"postgresql://u:p@127.0.0.1/d?sslmode=disable")
    assert kind.Postgres().target(members, {}, "dsn")["tls"] == "plain"
    _, members = kind.declared(b"postgresql://u:p@127.0.0.1/d?sslmode=require")
    assert kind.Postgres().target(members, {}, "dsn")["tls"] == "verify-full"


def test_a_metadata_service_is_no_database() -> None:
    """Not even a person's pin reaches one."""
    with pytest.raises(BrokerError) as caught:
        kind.Postgres().target({**STATED, "addresses": ["169.254.169.254"]}, {}, "dsn")
    assert caught.value.code == "address"


@pytest.mark.parametrize(
    "stated",
    [
        {"host": "https://db.test"},
        {"host": "db.test/x"},
        {"host": ""},
        {"port": 0},
        {"port": 70000},
        {"database": ""},
        {"user": ""},
        {"tls": "require"},
        {"functions": ["Lower"]},
        {"functions": ["pg_catalog.lower"]},
        {"functions": ["f"] * 65},
        {"path": "/x"},
        {"encoded_slash": True},
        {"ca": "x" * (65 << 10)},
    ],
)
def test_a_misfit_is_refused_when_it_is_declared(stated: dict[str, object]) -> None:
    """A connection in the vault is performable; what its kind does not have is refused, not ignored."""
    assert options({**STATED, **stated})


def test_what_is_not_said_stays() -> None:
    """A changed port changes the port."""
    of = kind.Postgres()
    before = of.target({**STATED, "functions": ["total"], "ca": "CA"}, {}, "dsn")
    assert of.target({"port": 1}, before, "dsn") == {**before, "port": 1}


def test_how_a_server_is_reached_does_not_go_to_another() -> None:
    """A moved database is not dialled at the old address, nor spoken to without TLS because the old one was."""
    of = kind.Postgres()
    here = of.target({**STATED, "host": "127.0.0.1", "insecure_loopback": True}, {}, "password")
    there = of.target({"host": "db.test"}, here, "password")
    assert (there["addresses"], there["tls"], there["insecure_loopback"]) == ([], "verify-full", False)
    pinned = of.target({**STATED, "addresses": ["10.0.0.5"], "functions": ["total"]}, {}, "password")
    assert of.target({"port": 1}, pinned, "password") == {**pinned, "port": 1, "addresses": []}
    assert of.target({"user": "root"}, pinned, "password") == {**pinned, "user": "root"}
    assert of.target({"host": "b.test", "addresses": ["10.0.0.6"]}, pinned, "password")["addresses"] == ["10.0.0.6"]


@pytest.mark.parametrize("path", ["notes.db", "/srv/../etc/x", "/srv//x", "/srv/./x", "", "/srv/\nx"])
def test_a_file_is_named_by_its_absolute_path(path: str) -> None:
    """Where it is must not depend on where the keeper was started."""
    assert options({"path": path}, of=kind.Sqlite())


def a_connection(value: bytes, scheme: str = "dsn") -> tuple[Connection, Credential]:
    """The connection that `DSN` declares, and a credential with `value`."""
    _, members = kind.declared(DSN)
    target = kind.Postgres().target(members, {}, "dsn")
    return Connection("shop", "postgres", target, scheme), Credential({"secret": Secret("shop/DSN", value)})


@pytest.mark.parametrize("scheme", ["dsn", "password"])
def test_a_dsn_logs_in_where_it_was_declared(scheme: str) -> None:
    """The password is the DSN's, unescaped, and no server is given the DSN for one."""
    assert kind.password(*a_connection(DSN, scheme)) == "p@ss"


def test_a_password_is_sent_as_it_is() -> None:
    """Whatever it looks like, but for a DSN."""
    assert kind.password(*a_connection(b"p@ss://%40", "password")) == "p@ss://%40"


@pytest.mark.parametrize("scheme", ["dsn", "password"])
@pytest.mark.parametrize(
    "other",
    [
        DSN.replace(b"db.test", b"evil.test"),
        DSN.replace(b"5433", b"5434"),
        DSN.replace(b"/shop", b"/other"),
        DSN.replace(b"app:", b"root:"),
        DSN.replace(b"postgresql", b"mysql"),
    ],
)
def test_a_dsn_that_leads_elsewhere_logs_in_nowhere(other: bytes, scheme: str) -> None:
    """A destination is a person's word at the connection; a rotated value does not move it."""
    with pytest.raises(BrokerError) as caught:
        kind.password(*a_connection(other, scheme))
    assert caught.value.code == "credential"
    assert "evil" not in str(caught.value.fields)


def test_the_password_is_a_needle_of_its_own() -> None:
    """It is sent unescaped, and looked for like that."""
    connection, credential = a_connection(DSN)
    assert kind.Postgres().forms(credential, connection.target) == (b"p@ss",)
