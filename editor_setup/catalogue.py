"""The AI clients that can be set up: one TOML file each in `clients/`, and nothing else needed to add one.

    title = "Claude Code"
    programs = ["claude"]                # on PATH where the client is installed; left out for one without a command
    folders = ["~/.claude"]              # or one of these is there
    [server.user]                        # and `server.project`: where the entry of an MCP server stands
    file = "~/.claude.json"              # `~` is home, `{config}` ~/.config; all else is in the project
    or = []                              # other names of the same file: the one that is there counts
    path = ["mcpServers", "kv"]          # the member of that file, JSON with comments
    entry = { command = "{command}", args = "{args}", env = "{env}" }
                                         # its value; `{argv}` is command and arguments in one list
    [instructions.user]                  # and `instructions.project`: a text that the client gives its model
    file = "~/.claude/rules/kv.md"
    own = true                           # the whole file is ours; left out: a block in a file that people write
    head = ""                            # of a file of our own: what the client wants to stand above

`file` and `folders` may be a table by platform (`linux`, `darwin`). A scope that a client does not have is left out.

Rules of this file
- Pure but for reading the library's own data. Whether a client is here is looked at by who asks.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCOPES = ("user", "project")
_SUFFIX = ".toml"


class Places(NamedTuple):
    """What the paths of the data are told by. `config` is `$XDG_CONFIG_HOME` or `~/.config`."""

    home: Path
    config: Path
    project: Path
    platform: str

    def path(self, text: str) -> Path:
        """Where `text` leads."""
        if text.startswith("~/"):
            return self.home / text[2:]
        if text.startswith("{config}/"):
            return self.config / text.removeprefix("{config}/")
        return self.project / text


class Server(NamedTuple):
    """Where the entry of an MCP server stands, and its form. `files` are names of one file, the usual one first."""

    files: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]
    entry: Mapping[str, object]

    def value(self, argv: Sequence[str], env: Mapping[str, str]) -> object:
        """The entry that starts `argv` with `env`."""
        filled = {"{command}": argv[0], "{args}": list(argv[1:]), "{argv}": list(argv), "{env}": dict(env)}
        return _filled(self.entry, filled)


class Instructions(NamedTuple):
    """Where a text for the client's model stands: a file of ours, or a block in one."""

    files: Mapping[str, tuple[str, ...]]
    own: bool
    head: str


class Client(NamedTuple):
    """An AI client: how it is found, and by scope what it can be told."""

    name: str
    title: str
    programs: tuple[str, ...]
    folders: Mapping[str, tuple[str, ...]]
    servers: Mapping[str, Server]
    instructions: Mapping[str, Instructions]


@cache
def names() -> tuple[str, ...]:
    """Every client's name, sorted."""
    found = (entry.name for entry in (files("editor_setup") / "clients").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


@cache
def load(name: str) -> Client:
    """The client of that name, which has to be one of `names()`."""
    return parse(name, (files("editor_setup") / "clients" / f"{name}{_SUFFIX}").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Client:
    """A client from its data. Raises `ValueError` for what is not of the form above."""
    data = _only(tomllib.loads(text), {"title", "programs", "folders", "server", "instructions"})
    servers = _by_scope(data.get("server", {}))
    instructions = _by_scope(data.get("instructions", {}))
    return Client(
        name,
        _text(data["title"]),
        _texts(data.get("programs", [])),
        _by_platform(data.get("folders", [])),
        {scope: _server(each) for scope, each in servers.items()},
        {scope: _instructions(each) for scope, each in instructions.items()},
    )


def _server(data: Mapping[str, object]) -> Server:
    _only(data, {"file", "or", "path", "entry"})
    entry = data["entry"]
    if not isinstance(entry, dict):
        raise ValueError("a table is wanted")  # noqa: TRY004 - as in `_text`
    return Server(_by_platform(data["file"], _texts(data.get("or", []))), _texts(data["path"]), entry)


def _instructions(data: Mapping[str, object]) -> Instructions:
    _only(data, {"file", "own", "head"})
    return Instructions(_by_platform(data["file"]), data.get("own", False) is True, _text(data.get("head", "")))


def _by_scope(data: object) -> dict[str, Mapping[str, object]]:
    return {scope: each for scope, each in _only(data, set(SCOPES)).items() if isinstance(each, dict)}


def _by_platform(data: object, more: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Texts by platform; "" is every other."""
    if isinstance(data, dict):
        return {platform: (*_texts(each), *more) for platform, each in _only(data, {"linux", "darwin"}).items()}
    return {"": (*_texts(data), *more)}


def of_platform(texts: Mapping[str, tuple[str, ...]], platform: str) -> tuple[str, ...]:
    """What there is for a platform."""
    return texts.get(platform, texts.get("", ()))


def _filled(value: object, filled: Mapping[str, object]) -> object:
    if isinstance(value, dict):
        return {name: _filled(each, filled) for name, each in value.items()}
    return filled.get(value, value) if isinstance(value, str) else value


def _only(data: object, known: set[str]) -> dict[str, object]:
    if not isinstance(data, dict) or not data.keys() <= known:
        raise ValueError(f"there is more than {', '.join(sorted(known))}")
    return data


def _texts(data: object) -> tuple[str, ...]:
    return tuple(map(_text, data if isinstance(data, list) else [data]))


def _text(data: object) -> str:
    if not isinstance(data, str):
        raise ValueError("a text is wanted")  # noqa: TRY004 - one error for data that is not of the form
    return data
