"""A work tree's content as one digest: whatever git could see of it counts, and nothing of the repository's is run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from kv.daemon.release.tree import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.needs("git")


def git(folder: Path, *words: str) -> None:
    """Run git there, without anybody's settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    named = ["-c", "user.name=a", "-c", "user.email=a@example.test"]
    subprocess.run(["git", *named, *words], cwd=folder, env=environment, check=True, capture_output=True, timeout=60)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository with a commit, and a folder below."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("print(1)\n")
    (tmp_path / ".gitignore").write_text("build/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


def look(folder: Path) -> str:
    """Its digest, by the git of these tests."""
    return tree(str(folder), os.environ["PATH"])


def _unseen(work: Path) -> None:
    git(work, "update-index", "--assume-unchanged", "--skip-worktree", "src/main.py")
    (work / "src" / "main.py").write_text("print(3)\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a tracked file": lambda work: (work / "src" / "main.py").write_text("print(2)\n"),
    "a new file": lambda work: (work / "conftest.py").write_text("import os\n"),
    "a deleted one": lambda work: (work / "src" / "main.py").unlink(),
    "a mode": lambda work: (work / "src" / "main.py").chmod(0o755),
    "a link": lambda work: (work / "src" / "link").symlink_to("/etc/passwd"),
    "what is ignored": lambda work: (work / ".gitignore").write_text("conftest.py\n"),
    "hidden by the repository's own excludes": lambda work: (
        (work / ".git" / "info" / "exclude").write_text("conftest.py\n"),
        (work / "conftest.py").write_text("import os\n"),
    ),
    "assumed to be unchanged": _unseen,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_another_digest(work: Path, change: Callable[[Path], object]) -> None:
    """Also one that git has been told not to see."""
    before = look(work)
    assert before == look(work / "src")
    change(work)
    assert look(work) not in {before, ""}


def test_what_is_ignored_and_what_git_keeps_for_itself_do_not_count(work: Path) -> None:
    """A build, a commit of what was there, another branch."""
    before = look(work)
    (work / "build").mkdir()
    (work / "build" / "out").write_text("x")
    git(work, "commit", "-q", "--allow-empty", "-m", "y")
    git(work, "checkout", "-qb", "other")
    assert look(work) == before


def test_nothing_of_the_repositorys_is_run(work: Path) -> None:
    """Neither a monitor, a filter, a hook, nor an alias or a pager that its settings name."""
    trap = work / "build"
    trap.mkdir()
    program = trap / "trap"
    program.write_text(f"#!/bin/sh\ntouch {trap}/sprung\ncat\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "filter.x.clean", "filter.x.smudge", "alias.ls-files", "core.editor"):
        git(work, "config", name, str(program) if name != "alias.ls-files" else f"!{program}")
    git(work, "config", "core.hooksPath", str(trap))
    (trap / "post-index-change").symlink_to(program)
    (work / ".gitattributes").write_text("* filter=x\n")
    (work / "src" / "main.py").write_text("print(9)\n")
    assert look(work)
    assert not (trap / "sprung").exists()


def test_where_there_is_no_tree_there_is_nothing_to_bind_to(tmp_path: Path, work: Path) -> None:
    """No repository, no git, one that says it is elsewhere, a submodule, too many files."""
    plain = tmp_path / "plain"
    plain.mkdir()
    git(work, "config", "core.worktree", str(plain))
    assert look(work) == ""
    git(work, "config", "--unset", "core.worktree")
    assert tree(str(work), "/nowhere") == ""
    assert tree("/", os.environ["PATH"]) == ""
    (plain / "x").write_text("x")
    git(plain, "init", "-q")
    git(plain, "add", ".")
    git(plain, "commit", "-qm", "x")
    git(work, "add", "plain")
    assert look(work) == ""
