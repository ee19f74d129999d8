"""What calls are made of, spoilt: statements, commands and profiles, ways to a server, answers with credentials."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import TYPE_CHECKING

from fuzz.mutate import mutated, mutated_tree
from fuzz.target import Target
from sql_vectors import ENGINES, vectors

from brokers.contract import BrokerError
from brokers.sql import dsn, shown
from brokers.sql.statement import classify
from brokers.ssh import command, hostkeys, profiles
from kv.daemon import answer_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_DSNS = (
    b"postgresql://app:pw@127.0.0.1:5433/shop?sslmode=disable&connect_timeout=3",
    b"mysql://app:p%40w@[::1]/shop?ssl-mode=VERIFY_IDENTITY",
    b"postgres://app@db.test:5432/shop?sslrootcert=/etc/ca.pem&application_name=x",
)
_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFsm7BGRRcCXJ3UnQSPDW3Jnr4Xf3eDrmXaM1Gdx/1Vo"
_KNOWN = (
    b"web.test,10.0.0.1 " + _KEY + b"\n[web.test]:2222 " + _KEY + b" me\n",
    b"@revoked *.test " + _KEY + b"\n|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= " + _KEY + b"\n",
)
_WORDS = (b"ls\0-l\0/srv/it's", b"printf\0%s\\n\0a b\0$(id)\0`id`\0!x\0~\0*", b'sh\0-c\0echo "$1" | tr a b\0x')
_PROFILES = {
    "service-restart": {"argv": ["systemctl", "restart", "{name}"], "arguments": {"name": "[a-z0-9][a-z0-9-]*"}},
    "tail": {"argv": ["tail", "-n", "{n}", "{file}"], "arguments": {"n": "int", "file": "path"}, "effect": "read"},
    "load": {"argv": ["sh", "load.sh"], "stdin": True, "timeout": 60},
}
_ANSWERS = (
    b'{"id": 1, "token": {"value": "a\\u0062c", "parts": ["x", null, 1.5]}}',
    b'<?xml version="1.0"?><R xmlns="https://a.test/"><K><Id>a</Id><Secret>b&amp;c&#x41;</Secret></K><K/></R>',
)


def call_targets() -> list[Target]:
    """Each engine's statements by what they do and as a card shows them; then each of the other readers."""
    readers: dict[str, Callable[[Random], None]] = {
        **{engine: partial(_statement, engine, _seeds(engine)) for engine in ENGINES},
        "dsn": _dsn,
        "known": _known,
        "command": _command,
        "profiles": _profiles,
        "answer": _answer,
    }
    return [Target(f"calls.{name}", act, (BrokerError, UnicodeDecodeError)) for name, act in readers.items()]


def _seeds(engine: str) -> list[bytes]:
    return [vector.sql.encode("utf-8", "replace") for vector in vectors(engine)]


def _statement(engine: str, seeds: Sequence[bytes], random: Random) -> None:
    sql = mutated(random, seeds).decode()
    shown.rows(shown.plain(sql, engine))
    classify(sql, engine)


def _dsn(random: Random) -> None:
    given = mutated(random, _DSNS)
    dsn.looks_like(given)
    dsn.parse(given)


def _known(random: Random) -> None:
    for key in hostkeys.known(mutated(random, _KNOWN).decode(), "web.test", random.choice((22, 2222))):
        hostkeys.fingerprint(hostkeys.blob_of(key))


def _command(random: Random) -> None:
    """What kv quotes a POSIX reader takes apart again, word for word."""
    words = mutated(random, _WORDS).decode().split("\0")
    if shlex.split(command.line(words)) != words:
        raise AssertionError("the words are others")


def _profiles(random: Random) -> None:
    given = mutated_tree(random, _PROFILES)
    book = profiles.Book(profiles.declared(given), (), (), ("/srv",))
    profiles.classify(["systemctl", "restart", "nginx"], book)


def _answer(random: Random) -> None:
    """One reading or none; what is read can be written as JSON."""
    json.dumps(answer_tree.read(mutated(random, _ANSWERS)))
