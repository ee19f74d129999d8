"""What real shells make of the completion that kv gives them: Tab at a terminal, and what then stands on the line."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from typing import TYPE_CHECKING, Self

import pexpect
import pyte
import pytest
from scene import KEY
from upstream import Upstream
from world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

BARE = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}
READY = {
    "bash": 'eval "$(kv --show-completion)"',
    "zsh": 'autoload -Uz compinit && compinit -D -u && eval "$(kv --show-completion)"',
    "fish": "kv --show-completion | source",
}
SHELLS = ["bash", *(pytest.param(name, marks=pytest.mark.needs(name)) for name in ("zsh", "fish"))]
END = "Z"  # typed after the Tab: when it stands on the line, the shell is done with the Tab
SECONDS = 60.0


class Shell:
    """An interactive shell that has kv's completion, on a screen. Use as a context manager."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._screen = pyte.Screen(100, 40)
        self._stream = pyte.Stream(self._screen)
        self._shell = pexpect.spawn(
            name,
            BARE[name],
            env={**environment, "TERM": "xterm", "PS1": "$ ", "LANG": "C.UTF-8"},
            cwd=str(folder),
            encoding="utf-8",
            dimensions=(40, 100),
        )
        self._shell.sendline(f"{READY[name]}; echo rea''dy")
        self._last(lambda _: "ready" in self.rows())
        self._last(lambda row: row != "ready")  # the prompt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.close(force=True)

    def tab(self, line: str) -> str:
        """The line after Tab."""
        self._shell.send(f"{line}\t{END}")
        row = self._last(lambda row: line in row and row.endswith(END))
        self._shell.sendcontrol("u")
        self._last(lambda row: line not in row)
        return row[row.index(line) :].removesuffix(END)

    def rows(self) -> list[str]:
        """What is on the screen."""
        return [row.rstrip() for row in self._screen.display]

    def _last(self, wanted: Callable[[str], bool]) -> str:
        """The last row that is not empty, once it is as wanted."""
        before = time.monotonic() + SECONDS
        while not wanted(row := next(filter(None, reversed(self.rows())), "")):
            assert time.monotonic() < before, "\n".join(self.rows())
            with contextlib.suppress(pexpect.TIMEOUT):
                self._stream.feed(self._shell.read_nonblocking(1 << 16, 1))
        return row


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A vault with one connection, `echo`, and `kv` among the programs."""
    with World(tmp_path_factory.mktemp("completion")) as made, Upstream(key=KEY) as upstream:
        made.init().connect("echo", KEY, upstream.port, upstream.ca_pem)
        command = made.folder / "bin" / "kv"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kv "$@"\n')
        command.chmod(0o755)
        yield made


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder."""
    path = f"{world.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with Shell(request.param, tmp_path, world.environment | {"PATH": path, "HOME": str(tmp_path)}) as made:
        yield made


def test_tab_completes_the_hot_verbs(shell: Shell, world: World) -> None:
    """Verbs, options, clients, connections and methods while the keeper runs; locked, no names, no word, no keeper."""
    assert shell.tab("kv stat") == "kv status "
    assert shell.tab("kv status --js") == "kv status --json "
    assert shell.tab("kv api --rea") == "kv api --reason "
    assert shell.tab("kv explain --json-") == "kv explain --json-body "
    assert shell.tab("kv wait --fa") == "kv wait --fail "
    assert shell.tab("kv ls --js") == "kv ls --json "
    assert shell.tab("kv setup claude-c") == "kv setup claude-code "
    assert shell.tab("kv api --wait 0 ec") == "kv api --wait 0 echo "
    assert shell.tab("kv api echo -q a=b --fail DEL") == "kv api echo -q a=b --fail DELETE "
    assert shell.tab("kv api echo --nonsense --sel") == "kv api echo --nonsense --select "
    world.must("lock")
    try:
        assert shell.tab("kv api ec") == "kv api ec"
        assert shell.tab("kv api --sel") == "kv api --select "
        assert world.must("status", "--json").json["locked"] is True
        assert not [row for row in shell.rows() if "kv: " in row or "Traceback" in row]
    finally:
        world.must("unlock", proof=True)
