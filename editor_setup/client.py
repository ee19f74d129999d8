"""What is known of an AI client: how it is found, where its settings stand, and in which form.

Rules of this file
- Data, and where its paths lead. `catalogue` reads it from the clients' files; nothing here looks at a machine but
  `Places.file`, which has to know which of a file's names is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCOPES = ("user", "project")
PLATFORMS = ("linux", "darwin", "win32")  # as `sys.platform` has them


class Places(NamedTuple):
    """What the paths of the data are told by. `config` is `$XDG_CONFIG_HOME` or `~/.config`."""

    home: Path
    config: Path
    project: Path
    platform: str
    moved: tuple[tuple[str, str], ...] = ()

    def of(self, client: Client, environment: Mapping[str, str]) -> Places:
        """The same, for a client whose folder an environment variable moves elsewhere."""
        found = []
        for prefix, place in client.moved.items():
            name = place[1 : place.index("}")]
            if environment.get(name):
                found.append((prefix, place.replace(f"{{{name}}}", environment[name])))
        return self._replace(moved=tuple(found))

    def path(self, text: str) -> Path:
        """Where `text` leads."""
        for prefix, place in self.moved:
            if text.startswith(prefix):
                return self.project / (place + text.removeprefix(prefix))
        if text.startswith("~/"):
            return self.home / text[2:]
        if text.startswith("{config}/"):
            return self.config / text.removeprefix("{config}/")
        if text.startswith("{appdata}/"):
            return self.home / "AppData" / "Roaming" / text.removeprefix("{appdata}/")
        return self.project / text

    def file(self, names: Mapping[str, tuple[str, ...]]) -> Path:
        """The one of a file's names that is there, else the usual one."""
        paths = [self.path(each) for each in of_platform(names, self.platform)]
        return next((path for path in paths if is_there(path)), paths[0])


class Server(NamedTuple):
    """Where the entry of an MCP server stands, and its form. `files` are names of one file, the usual one first."""

    files: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]
    entry: Mapping[str, object]
    keep: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]
    existing: bool
    own: bool

    def value(self, argv: Sequence[str], env: Mapping[str, str]) -> dict[str, object]:
        """The entry that starts `argv` with `env`."""
        filled = {"{command}": argv[0], "{args}": list(argv[1:]), "{argv}": list(argv), "{env}": dict(env)}
        return {name: _filled(each, filled) for name, each in self.entry.items()}


class Listed(NamedTuple):
    """Where a file has to be named for the client to read it."""

    files: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]


class Instructions(NamedTuple):
    """Where a text for the client's model stands: a file of ours, or a block in one."""

    files: Mapping[str, tuple[str, ...]]
    own: bool
    head: str
    listed: Listed | None


class Permissions(NamedTuple):
    """Rules for the client's own tools: items of a list, members of an object, lines of patterns, or a file of ours."""

    files: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]
    rules: tuple[str, ...]
    members: Mapping[str, str]
    patterns: tuple[str, ...]
    text: str


class Sign(NamedTuple):
    """What tells that a person took a step: something at a path, or this very value."""

    files: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]
    value: object


class Step(NamedTuple):
    """What only a person may do. Without signs nobody can tell whether it was done."""

    scopes: tuple[str, ...]
    say: str
    taken: tuple[Sign, ...]


class Client(NamedTuple):
    """An AI client: how it is found, by scope what it can be told, and what a person has to do."""

    name: str
    title: str
    programs: tuple[str, ...]
    folders: Mapping[str, tuple[str, ...]]
    moved: Mapping[str, str]
    servers: Mapping[str, Server]
    instructions: Mapping[str, Instructions]
    skills: Mapping[str, Mapping[str, tuple[str, ...]]]
    permissions: Mapping[str, Permissions]
    steps: tuple[Step, ...]


def is_there(path: Path) -> bool:
    """Whether there is something at `path`, as far as this user can see."""
    try:
        return path.exists()
    except OSError:
        return False


def of_platform(texts: Mapping[str, tuple[str, ...]], platform: str) -> tuple[str, ...]:
    """What there is for a platform."""
    return texts.get(platform, texts.get("", ()))


def _filled(value: object, filled: Mapping[str, object]) -> object:
    if isinstance(value, dict):
        return {name: _filled(each, filled) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, filled) for each in value]
    return filled.get(value, value) if isinstance(value, str) else value
