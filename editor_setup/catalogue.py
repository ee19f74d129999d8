"""The AI clients that can be set up: one TOML file each in `clients/`, and nothing else needed to add one.

    title = "Claude Code"
    programs = ["claude"]                # on PATH where the client is installed; left out for one without a command
    folders = ["~/.claude"]              # or one of these is there
    moved = { "~/.claude/" = "{CLAUDE_CONFIG_DIR}/" }  # how paths begin where that variable is set
    [server.user]                        # and `server.project`: where the entry of an MCP server stands
    file = "~/.claude.json"              # `~` is home, `{config}` ~/.config; all else is in the project
    or = []                              # other names of the same file: the one that is there counts
    path = ["mcpServers", "kv"]          # in that file, which is JSON with comments unless it ends in .toml or .yaml
    entry = { command = "{command}", args = "{args}", env = "{env}" }
                                         # its value; `{argv}` is command and arguments in one list
    keep = ["timeout"]                   # of the entry: what is the person's to set
    others = [["servers"]]               # where else in the file servers stand
    existing = true                      # the client makes the file, and we begin none
    own = true                           # the whole file is ours, and is `entry`
    [instructions.user]                  # and `instructions.project`: a text that the client gives its model
    file = "~/.claude/rules/kv.md"
    own = true                           # left out: a block in a file that people write
    head = ""                            # of a file of our own: what the client wants to stand above
    listed = { file = "~/.x.yml", path = ["read", "[={file}]"] }  # where it is named, if it has to be
    [skill.user]                         # and `skill.project`: a longer text that the model reads when it needs it
    file = "~/.claude/skills/kv/SKILL.md"
    [permissions.user]                   # and `permissions.project`: what the client's own tools shall not touch
    file = "~/.claude/settings.json"
    path = ["permissions", "deny"]       # a list, into which `rules` go, or an object, into which `members` go
    rules = ["Read(./.env)", "Read({private}/**)"]  # `{private}`: each folder of ours, below `~/` or behind `//`
    members = { "*.env" = "deny" }
    text = ""                            # or a file of our own: `{patterns}` are those folders in a regular expression
    [[step]]                             # what only a person may do
    scope = "project"                    # left out: in both
    say = "start claude here"
    taken = [{ file = "~/.claude.json", path = ["projects", "{project}", "trusted"], value = true }]
                                         # what tells that it was done, any of them; left out where nothing can be read

`file` and `folders` may be a table by platform (`linux`, `darwin`). A scope that a client does not have is left out.
In the steps of a path (`contract`) `{project}` is this folder or one above it.

Rules of this file
- Pure but for reading the library's own data. Whether a client is here is looked at by who asks.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SCOPES = ("user", "project")
_SUFFIX = ".toml"
_Read = TypeVar("_Read")


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
        return self.project / text

    def file(self, names: Mapping[str, tuple[str, ...]]) -> Path:
        """The one of a file's names that is there, else the usual one."""
        paths = [self.path(each) for each in of_platform(names, self.platform)]
        return next((path for path in paths if path.exists()), paths[0])


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
    """Rules for the client's own tools: items of a list, members of an object, or a file of ours."""

    files: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]
    rules: tuple[str, ...]
    members: Mapping[str, str]
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
    parts = {"server", "instructions", "skill", "permissions", "step"}
    data = _only(tomllib.loads(text), {"title", "programs", "folders", "moved", *parts})
    steps = data.get("step", [])
    return Client(
        name,
        _text(data["title"]),
        _texts(data.get("programs", [])),
        _by_platform(data.get("folders", [])),
        _texts_by_name(data.get("moved", {})),
        _by_scope(data.get("server", {}), _server),
        _by_scope(data.get("instructions", {}), _instructions),
        _by_scope(data.get("skill", {}), lambda each: _by_platform(_only(each, {"file"})["file"])),
        _by_scope(data.get("permissions", {}), _permissions),
        tuple(map(_step, steps if isinstance(steps, list) else [steps])),
    )


def _server(data: Mapping[str, object]) -> Server:
    _only(data, {"file", "or", "path", "entry", "keep", "others", "existing", "own"})
    others = data.get("others", [])
    return Server(
        _by_platform(data["file"], _texts(data.get("or", []))),
        _texts(data.get("path", [])),
        _table(data["entry"]),
        _texts(data.get("keep", [])),
        tuple(map(_texts, others if isinstance(others, list) else [others])),
        data.get("existing", False) is True,
        data.get("own", False) is True,
    )


def _instructions(data: Mapping[str, object]) -> Instructions:
    _only(data, {"file", "own", "head", "listed"})
    listed = _only(data["listed"], {"file", "path"}) if "listed" in data else None
    return Instructions(
        _by_platform(data["file"]),
        data.get("own", False) is True,
        _text(data.get("head", "")),
        None if listed is None else Listed(_by_platform(listed["file"]), _texts(listed["path"])),
    )


def _permissions(data: Mapping[str, object]) -> Permissions:
    _only(data, {"file", "or", "path", "rules", "members", "text"})
    return Permissions(
        _by_platform(data["file"], _texts(data.get("or", []))),
        _texts(data.get("path", [])),
        _texts(data.get("rules", [])),
        _texts_by_name(data.get("members", {})),
        _text(data.get("text", "")),
    )


def _step(data: object) -> Step:
    known = _only(data, {"scope", "say", "taken"})
    signs = [_only(each, {"file", "path", "value"}) for each in _tables(known.get("taken", []))]
    return Step(
        _texts(known.get("scope", list(SCOPES))),
        _text(known["say"]),
        tuple(Sign(_by_platform(each["file"]), _texts(each["path"]), each.get("value")) for each in signs),
    )


def _by_scope(data: object, read: Callable[[Mapping[str, object]], _Read]) -> dict[str, _Read]:
    return {scope: read(_table(each)) for scope, each in _only(data, set(SCOPES)).items()}


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
    if isinstance(value, list):
        return [_filled(each, filled) for each in value]
    return filled.get(value, value) if isinstance(value, str) else value


def _only(data: object, known: set[str]) -> dict[str, object]:
    if not _table(data).keys() <= known:
        raise ValueError(f"there is more than {', '.join(sorted(known))}")
    return _table(data)


def _table(data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise ValueError("a table is wanted")  # noqa: TRY004 - as in `_text`
    return data


def _tables(data: object) -> list[dict[str, object]]:
    return [_table(each) for each in (data if isinstance(data, list) else [data])]


def _texts(data: object) -> tuple[str, ...]:
    return tuple(map(_text, data if isinstance(data, list) else [data]))


def _texts_by_name(data: object) -> dict[str, str]:
    return {name: _text(each) for name, each in _table(data).items()}


def _text(data: object) -> str:
    if not isinstance(data, str):
        raise ValueError("a text is wanted")  # noqa: TRY004 - one error for data that is not of the form
    return data
