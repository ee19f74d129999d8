"""What a program of `kv run` is lent, from a command line and from a `kv.env`.

Rules of this file
- A `kv.env` is made to be committed: it holds references, and a line that might hold anything else is refused by its
  number, never quoted.
- Nothing is lent twice in one place: which of two would win is not the reader's to guess.
"""

from __future__ import annotations

from kv.errors import KvError
from kv.hot.arguments import full_name
from kv.variable import variable as proposed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.hot.arguments import Arguments, Table

OPTIONS: Table = {
    "--secret": ("secret", "NAME[=VARIABLE]…", "lend this secret in the environment; repeat for more"),
    "--env-file": ("env_file", "FILE", "lend what its lines say: VARIABLE=kv://NAME"),
    "--stdin-secret": ("stdin_secret", "NAME", "lend it as standard input"),
    "--file": ("file", "NAME=PATH…", "lend it as a file, in memory, gone at the end"),
    "--fd": ("fd", "NAME[=NUMBER]…", "lend it as an open descriptor; NAME_FD tells which"),
}

_SCHEME = "kv://"
_IN_NAMES = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/")
_LONGEST = 259  # characters of a secret's name
_MAX_FILE = 1 << 20


def lent(found: Arguments) -> list[dict[str, object]]:
    """The rows of a request. Raises `KvError("usage" | "disk")`."""
    env = found.get("env")
    rows = []
    for text in found.all("secret"):
        name, given, variable = text.partition("=")
        rows.append(_row(full_name(name, env), "env", variable if given else proposed(name)))
    for name, variable in _from_file(found.get("env_file")):
        rows.append(_row(full_name(name, env), "env", variable))
    if (given_to_stdin := found.get("stdin_secret")) is not None:
        rows.append(_row(full_name(given_to_stdin, env), "stdin", ""))
    for text in found.all("file"):
        name, _, path = text.partition("=")
        if not path:
            raise KvError("usage", why="--file takes NAME=PATH, a path below this folder")
        rows.append(_row(full_name(name, env), "file", path))
    for text in found.all("fd"):
        name, given, number = text.partition("=")
        if given and not number.isdecimal():
            raise KvError("usage", why="--fd takes NAME or NAME=NUMBER")
        rows.append(_row(full_name(name, env), "fd", number))
    _refuse_twins(rows)
    return rows


def _row(name: str, via: str, to: str) -> dict[str, object]:
    if via == "env" and not _is_variable(to):
        raise KvError("usage", why="--secret takes NAME or NAME=VARIABLE, a variable of letters, digits and _")
    return {"name": name, "via": via, "to": to}


def _is_variable(text: str) -> bool:
    return text.isascii() and text.isidentifier()


def _from_file(path: str | None) -> Iterator[tuple[str, str]]:
    """The references of a `kv.env`: secret's name and variable."""
    if path is None:
        return
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_FILE)
    except OSError as error:
        import os

        raise KvError("disk", act="read", path=path, why=os.strerror(error.errno or 0)) from None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        variable, _, reference = words.partition("=")
        name = reference.removeprefix(_SCHEME)
        if name == reference or not _is_variable(variable) or not _is_name(name):
            raise KvError("usage", why=f"line {number} of --env-file is not VARIABLE=kv://NAME")
        yield name, variable


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and _IN_NAMES.issuperset(text)


def _refuse_twins(rows: list[dict[str, object]]) -> None:
    places = [(row["via"], row["to"]) for row in rows if row["to"]]
    if len(set(places)) != len(places):
        raise KvError("usage", why="two secrets are lent in one place: the same variable, path or number")
    if len({tuple(row.values()) for row in rows}) != len(rows):
        raise KvError("usage", why="a secret is lent twice in one way")
