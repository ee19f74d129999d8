"""From the last look at a program to its execution: what is started is what was looked at."""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest
from runs import an_order, hello

from kv.errors import KvError
from kv.runner import child
from kv.runner.messages import HELLO, ORDER, spell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Two programs that say different things of the same argument, in a folder whose place another can take.
GOOD, EVIL = "echo", "basename"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`link/tool` is `good/tool`, and it takes one exchange to be `evil/tool`."""
    for folder, program in (("good", GOOD), ("evil", EVIL)):
        (tmp_path / folder).mkdir()
        found = shutil.which(program)
        assert found
        shutil.copy(found, tmp_path / folder / "tool")
    (tmp_path / "link").symlink_to("good")
    (tmp_path / "other").symlink_to("evil")
    return tmp_path


def swapping(place: Path) -> Callable[[], object]:
    """The exchange."""
    return partial((place / "other").replace, place / "link")


def outcome(place: Path, monkeypatch: pytest.MonkeyPatch, before: str, swap: Callable[[], object]) -> str:
    """What `./link/tool a/b` says, or why it is not started, if `swap` comes just before the call `before`."""
    order = ORDER.read(spell(an_order(["./link/tool", "a/b"], place, executable=str(place / "link" / "tool"))))
    real, done = getattr(os, before), list[object]()

    def late(*args: object, **more: object) -> object:
        if not done:
            done.append(swap())
        return real(*args, **more)

    reading, writing = os.pipe()
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    monkeypatch.setattr(os, before, late)
    try:
        pid = child.start(child.Setup(order, HELLO.read(spell(hello())), {}, folder, {1: writing}, None))
    except KvError as error:
        return error.code
    finally:
        monkeypatch.undo()
        os.close(writing)
        os.close(folder)
        with os.fdopen(reading) as said:
            found = said.read()
    os.waitpid(pid, 0)
    return found


def test_a_path_that_leads_elsewhere_after_the_look_starts_what_was_looked_at(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange that comes between the look and the execution changes nothing."""
    assert outcome(place, monkeypatch, "execve", swapping(place)) == "a/b\n"


@pytest.mark.parametrize("before", ["open", "fstat"])
def test_what_is_opened_is_what_is_held_beside_the_pin(
    place: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """An exchange before the file is opened is seen; one after it is one too late."""
    assert outcome(place, monkeypatch, before, swapping(place)) == ("run-changed" if before == "open" else "a/b\n")


def test_a_script_is_looked_at_again_by_its_path(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel does not take it by its descriptor; what the path leads to by then has to be the same."""
    for folder in ("good", "evil"):
        (place / folder / "tool").write_text(f"#!/bin/sh\necho {folder}\n")
    assert outcome(place, monkeypatch, "execve", lambda: None) == "good\n"
    assert outcome(place, monkeypatch, "execve", swapping(place)) == "run-changed"
