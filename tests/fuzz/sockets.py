"""Frames and requests: the codec of the sockets, and the strict decoding of what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fuzz.mutate import as_json, mutated, mutated_tree
from fuzz.target import Target, kv_target

from kv import wire
from kv.daemon.requests import VERBS, decode

if TYPE_CHECKING:
    from random import Random

_CALL: dict[str, Any] = {
    "connection": "echo",
    "method": "POST",
    "path": "/v1/things",
    "query": {"n": 1},
    "headers": {"x": "y"},
    "json": {"a": [1, 2.5, None, True, "é"]},
    "timeout": 10.0,
    "max_bytes": 1000,
    "select": "a[0]",
    "save": "out.json",
    "reason": "a reason",
    "wait": 45.0,
}
_DECLARATION: dict[str, Any] = {
    "name": "echo",
    "provider": "openai",
    "host": "https://api.test",
    "ca": "PEM",
    "addresses": ["127.0.0.1"],
    "auth": {"scheme": "header", "options": {"name": "x-key"}},
    "insecure_loopback": False,
    "admission": "ask",
    "preset": "strict",
    "rules": [["deny", "DELETE /x"]],
    "calls_per_hour": 10,
    "secrets": {"key": "a/B"},
    "kind": "postgres",
    "port": 5432,
    "database": "d",
    "user": "u",
    "tls": "plain",
    "functions": ["f"],
    "path": "/x",
}
_QUERY: dict[str, Any] = {
    "connection": "shop",
    "act": "query",
    "sql": "select 1",
    "params": ["a", 1, 1.5, True, None],
    "mode": "read",
    "max_rows": 10,
    "dry_run": False,
    "schema": "public",
    "table": "t",
    "columns": ["a"],
    "format": "csv",
    "header": True,
    "timeout": 1.5,
    "max_bytes": 100,
    "wait": 1,
}
_SSH: dict[str, Any] = {
    "connection": "web",
    "act": "exec",
    "argv": ["uptime"],
    "profile": "p",
    "arguments": {"a": "b"},
    "cwd": "/srv",
    "env": {"LANG": "C"},
    "path": "/srv/x",
    "overwrite": True,
    "timeout": 1.5,
    "max_bytes": 100,
    "wait": 1,
}
_ARGS: dict[str, dict[str, Any]] = {
    "call": _CALL,
    "explain": _CALL,
    "query": _QUERY,
    "explain-query": _QUERY,
    "ssh": _SSH,
    "explain-ssh": _SSH,
    "inspect": {"name": "a/B"},
    "login": {"name": "a/B"},
    "wait": {"ticket": "7F3K", "wait": 1},
    "run": {
        "argv": 2,
        "environment": 1,
        "lent": [{"name": "a/B", "via": "fd", "to": "7"}],
        "person": False,
        "redact": True,
        "clear": False,
        "timeout": 1.5,
        "reason": "r",
        "wait": 1,
    },
    "carried": {"environment": 3},
    "hand-off": {"names": ["a/B", "C"], "reason": "r", "wait": 1},
    "take": {"token": "0" * 32},
    "peek": {"name": "a/B"},
    "withdraw": {"ticket": "7F3K"},
    "list": {"prefix": "a/"},
    "audit": {"after": 0, "limit": 10, "export": False},
    "show": {"name": "a/B"},
    "history": {"name": "a/B"},
    "rm": {"name": "a/B"},
    "restore": {"name": "a/B", "revision": 3},
    "set": {"name": "a/B", "class": "high", "note": "n", "connection": _DECLARATION, "replace": True},
    "generate": {"name": "a/B", "length": 32, "alphabet": "hex", "class": "low", "note": "n", "replace": False},
    "import": {"items": [{"name": "a/B", "size": 3, "connection": _DECLARATION}], "replace": False},
    "connect": {"name": "echo", "declaration": _DECLARATION, "remove": False},
    "mv": {"old": "a/B", "new": "a/C"},
    "get": {"name": "a/B", "revision": 3},
    "deny": {"id": "7F3K"},
    "approve": {"id": "7F3K", "scope": "session"},
    "unfreeze": {"session": "0" * 16},
    "setup": {"clients": ["a", "b-c"], "undo": True},
    "backup": {"file": "b"},
    "passwd": {"slot": {"id": 1}},
    "recovery": {"slot": {"id": 2}},
    "totp": {"action": "confirm", "code": "123456"},
    "pin": {"action": "enrol", "pin": "1234"},
}
_PROOF = {"kind": "totp", "code": "123456", "mac": "00", "pin": "", "via": "fd"}
REQUESTS: list[dict[str, Any]] = [
    {"verb": verb, "args": _ARGS.get(verb, {}), **client}
    for verb in VERBS
    for client in ({"client": "cli", "proof": _PROOF}, {"client": "mcp"})
]
_FRAMES = [wire.encode(request, b"\0body" * (number % 3)) for number, request in enumerate(REQUESTS)]


def _frames(random: Random) -> None:
    """A stream in pieces of any size, read as the keeper reads it."""
    _read(random, mutated(random, _FRAMES) + random.choice(_FRAMES))


def _headers(random: Random) -> None:
    """A frame whose length is right and whose header is not."""
    header = as_json(random, mutated_tree(random, random.choice(REQUESTS)))
    if random.random() < 0.3:
        header = mutated(random, [header])
    _read(random, len(header).to_bytes(4, "big") + header)


def _read(random: Random, stream: bytes) -> None:
    decoder = wire.Decoder()
    while stream:
        size = random.choice((1, 3, 7, 64, 4096, 1 << 18))
        decoder.feed(stream[:size])
        stream = stream[size:]
        while (frame := decoder.next()) is not None:
            decode(frame.header, frame.body, random.choice(("kv", "agent")))


def _requests(random: Random) -> None:
    """A request whose header was JSON, with any shape beneath."""
    request = mutated_tree(random, random.choice(REQUESTS))
    if isinstance(request, dict):
        decode(request, b"", random.choice(("kv", "agent")))


def wire_targets() -> list[Target]:
    """The codec, and the strict decoding of what it gave."""
    codes = ("bad-frame", "bad-verb", "bad-argument")
    return [
        kv_target("wire.frames", _frames, *codes),
        kv_target("wire.headers", _headers, *codes),
        kv_target("wire.requests", _requests, *codes),
    ]
