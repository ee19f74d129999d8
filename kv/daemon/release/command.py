"""The plan of a `kv run`: what is executed, where, with which environment, and which secrets it is lent. Pure.

Rules of this file
- Everything that decides what happens is in the plan, so in its digest: a changed program, folder, environment,
  argument or delivery is another plan, which nobody has approved.
- The card says what a yes gives away, as it is: code in a folder that the agent can edit will hold the value, outside
  the agent's sandbox, and what it does with it is not kv's to stop.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple, cast

from brokers.contract import Connection, Effect, Plan
from kv.audit.entry import NAMES_MAX
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kv.daemon.release.program import Program
    from kv.daemon.schema import Lent

_READ = 3000  # characters of a command that a person reads on a card, and of what it is given: more hides in itself
_ROW = 240  # characters of a row of a card
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_DESCRIPTORS = range(3, 256)


_CHANGES = "programs of this user can change it"


class Place(NamedTuple):
    """The working folder: its path, and (device, inode)."""

    path: str
    inode: tuple[int, int]


class Manner(NamedTuple):
    """How it is run. `person`: with the caller's whole environment, and output as it comes. `timeout` in s, or 0."""

    person: bool
    redact: bool
    timeout: float
    clear: bool = False


def plan(  # noqa: PLR0913, PLR0917 - a run has these parts
    argv: Sequence[str],
    program: Program,
    place: Place,
    environment: Mapping[str, str],
    lent: Sequence[Lent],
    manner: Manner,
) -> Plan:
    """The plan of this run. `lent` has passed `check_lent`."""
    secrets = {slot(each): each.name for each in lent}
    connection = Connection(name="run", kind="run", target={}, scheme="", secrets=secrets)
    request = {
        "argv": list(argv),
        "program": [program.path, list(program.pin[:2]), program.digest or list(program.pin)],
        "folder": [place.path, list(place.inode)],
        "environment": dict(environment),
        "lent": [[each.name, each.via, each.to] for each in lent],
        "manner": [manner.person, manner.redact, manner.timeout],
    }
    title = shlex.join(argv)
    return Plan(
        connection=connection,
        effect=Effect.RELEASE,
        because="a program is given the value itself",
        title=title,
        request=request,
        details=tuple(_details(argv, program, place, lent, environment, manner)),
    )


def slot(lent: Lent) -> str:
    """Where a secret goes, as a connection's slots are named: two places are never one slot."""
    return f"{lent.via} {lent.to}"


def order(plan: Plan, program: Program, lent: Sequence[Lent], sizes: Sequence[int]) -> dict[str, object]:
    """What a runner is told of the plan (`kv.runner.order`); the values follow, of these sizes."""
    request = plan.request
    person, redact, timeout = cast("list[object]", request["manner"])
    return {
        "argv": request["argv"],
        "executable": program.path,
        "pin": list(program.pin),
        "environment": request["environment"],
        "folder": cast("list[object]", request["folder"])[1],
        "lent": [
            {"name": each.name, "via": each.via, "to": each.to, "size": size}
            for each, size in zip(lent, sizes, strict=True)
        ],
        "redact": redact,
        "prompt": person,
        "privileges": person,
        "timeout": timeout,
    }


def check_readable(argv: Sequence[str], lent: Sequence[Lent]) -> None:
    """Raise `KvError("too-large")` unless a person can read on a card what an agent wants to run, and with what."""
    if len(shlex.join(argv)) > _READ:
        raise KvError("too-large", argument="argv", limit=f"{_READ:,} characters: put it into a file of the folder")
    if len(", ".join(map(_given, lent))) > _READ:
        raise KvError("too-large", argument="secrets", limit=f"{_READ:,} characters on the card")


def check_lent(lent: Sequence[Lent]) -> None:
    """Raise `KvError("bad-argument" | "too-large")` unless each secret has a place of its own, and a proper one."""
    if len(lent) > NAMES_MAX:
        raise KvError("too-large", argument="secrets", limit=f"{NAMES_MAX:,} of one run")
    places = [(each.via, each.to) for each in lent]
    if len(set(places)) != len(places):
        raise KvError("bad-argument", argument="secrets", why="two are to go to one place")
    for each in lent:
        if why := _misplaced(each):
            raise KvError("bad-argument", argument=each.via, why=why)


def _misplaced(lent: Lent) -> str:
    """Why a secret cannot go where it is to go, or ""."""
    if lent.via == "env":
        if not _VARIABLE.fullmatch(lent.to):
            return "a variable is letters, digits and _"
        return "it would lead the program: lend the secret under another name" if _leads(lent.to) else ""
    if lent.via == "fd":
        good = _NUMBER.fullmatch(lent.to) and int(lent.to) in _DESCRIPTORS
        return "" if good or not lent.to else f"a number from {_DESCRIPTORS.start} to {_DESCRIPTORS.stop - 1}"
    if lent.via == "file":
        if lent.to != lent.to.strip() or not lent.to.isprintable():
            return "a path that a card can show as it is"
        parts = lent.to.split("/")
        return "it is a path below the working folder" if not lent.to or {"", ".", ".."} & {*parts} else ""
    return "" if not lent.to else "there is one standard input"


# A value of the vault's is not chosen by the agent, but which variable it goes to is: these are read as code, options
# or paths by the loader, the shell and the interpreters.
_LEADING = ("LD_", "DYLD_", "BASH_", "GIT_CONFIG", "KV_", "PYTHON", "NPM_CONFIG_", "XDG_", "LC_")
_NAMING = ("_PROXY", "_DIR", "_HOME", "_PATH", "_PREFIX", "_ROOT", "_CACHE", "_FILE")  # what these hold is a place
_LEADERS = {
    *("HISTFILE", "TMPDIR", "TMP", "TEMP", "TERMINFO"),
    *("PATH", "HOME", "SHELL", "ENV", "IFS", "PS4", "PROMPT_COMMAND", "EDITOR", "VISUAL", "PAGER", "BROWSER"),
    *("NODE_OPTIONS", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT", "JAVA_TOOL_OPTIONS", "GIT_SSH", "GIT_SSH_COMMAND"),
    *("GIT_ASKPASS", "GIT_PAGER"),
    "GIT_EXTERNAL_DIFF",
}


def _leads(name: str) -> bool:
    upper = name.upper()
    return upper in _LEADERS or upper.startswith(_LEADING) or upper.endswith(_NAMING)


def _rows(label: str, text: str) -> Iterable[tuple[str, str]]:
    """A long text in full, over several rows."""
    for at in range(0, len(text), _ROW):
        yield label, text[at : at + _ROW]
        label = "…"


def _details(  # noqa: PLR0913, PLR0917 - a run has these parts
    argv: Sequence[str],
    program: Program,
    place: Place,
    lent: Sequence[Lent],
    environment: Mapping[str, str],
    manner: Manner,
) -> Iterable[tuple[str, str]]:
    yield "in", place.path
    yield "program", program.path + (f"   ({_CHANGES})" if program.ours else "")
    yield from _rows("command", shlex.join(argv)) if len(shlex.join(argv)) > _ROW else ()
    if lent:
        yield from _rows("gives", ", ".join(map(_given, lent)))
        if manner.person:
            yield "beware", "the program, and code that it runs in this folder, will hold this"
        else:
            yield "beware", "code in this folder, which the agent can edit, will hold this; outside the agent's sandbox"
    if manner.person and not manner.clear:
        yield "environment", f"of the shell that it is run from: {len(environment)} variables"
    if not manner.redact:
        yield "output", "as the program writes it: nothing is taken out"


def _given(lent: Lent) -> str:
    return {
        "env": f"{lent.name} as ${lent.to}",
        "stdin": f"{lent.name} on standard input",
        "file": f"{lent.name} as the file {lent.to}",
        "fd": f"{lent.name} on descriptor {lent.to}" if lent.to else f"{lent.name} on a descriptor",
    }[lent.via]
