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
    listed = { file = "~/.x.yml", path = ["read", "[={file}]"] }  # where it is named, if it has to be: by that text
    [skill.user]                         # and `skill.project`: a longer text that the model reads when it needs it
    file = "~/.claude/skills/kv/SKILL.md"
    [permissions.user]                   # and `permissions.project`: what the client's own tools shall not touch
    file = "~/.claude/settings.json"
    path = ["permissions", "deny"]       # a list, into which `rules` go, or an object, into which `members` go
    rules = ["Read(./.env)", "Read({private}/**)"]  # `{private}`: each folder of ours, below `~/` or behind `//`
    members = { "*.env" = "deny" }
    patterns = [".env"]                  # or lines of a file that is a list of patterns, where `#` begins a comment
    text = ""                            # or a file of our own: `{patterns}` are those folders in a regular expression
    [[step]]                             # what only a person may do
    scope = "project"                    # left out: in both
    say = "start claude here"
    taken = [{ file = "~/.claude.json", path = ["projects", "{project}", "trusted"], value = true }]
                                         # what tells that it was done, any of them; left out where nothing can be read

`file` and `folders` may be a table by platform (`linux`, `darwin`, `win32`; there `{appdata}` is the roaming one). A
scope that a client does not have is left out.
In the steps of a path (`contract`) `{project}` is this folder or one above it.

Rules of this file
- Pure but for reading the library's own data. Whether a client is here is looked at by who asks.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

from editor_setup.client import PLATFORMS, SCOPES, Client, Instructions, Listed, Permissions, Server, Sign, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SUFFIX = ".toml"
_Read = TypeVar("_Read")


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
    _only(data, {"file", "or", "path", "rules", "members", "patterns", "text"})
    return Permissions(
        _by_platform(data["file"], _texts(data.get("or", []))),
        _texts(data.get("path", [])),
        _texts(data.get("rules", [])),
        _texts_by_name(data.get("members", {})),
        _texts(data.get("patterns", [])),
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
        return {platform: (*_texts(each), *more) for platform, each in _only(data, set(PLATFORMS)).items()}
    return {"": (*_texts(data), *more)}


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
