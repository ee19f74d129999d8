"""What `make` runs before there is a kv: each failure is one sentence with what helps."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


def _script(name: str, *args: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPTS / name), *args],
        env={"PATH": f"{path}:{os.environ['PATH']}", **environment},
        cwd=SCRIPTS.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_install_only_names_what_is_missing(tmp_path: Path) -> None:
    """NO_INSTALL=1 calls no package manager, and the suite goes on without."""
    called = tmp_path / "apt-get"
    called.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n')
    called.chmod(0o755)
    listed = tmp_path / "list"
    listed.write_text("# what for\nsome-package no-such-program-here # a test\nshell sh # is there\n")
    done = _script("system-packages", str(listed), path=tmp_path, NO_INSTALL="1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "missing for some tests: some-package (NO_INSTALL is set, nothing is installed)\n"
    assert not (tmp_path / "called").exists()


def test_no_install_only_names_the_clients_that_are_missing(tmp_path: Path) -> None:
    """NO_INSTALL=1 calls no npm either, and makes no folder."""
    called = tmp_path / "npm"
    called.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n')
    called.chmod(0o755)
    done = _script("clients", "python3", "tests/clients", str(tmp_path / "folder"), path=tmp_path, NO_INSTALL="1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("missing for some tests: the programs of tests/clients in ")
    assert [each.name for each in tmp_path.iterdir()] == ["npm"]


def test_servers_that_are_missing_are_no_success(tmp_path: Path) -> None:
    """Nothing was tried, so nothing is proved."""
    done = _script("servers", "python3", str(tmp_path), path=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"kv: there is no server in {tmp_path}\n")


@pytest.mark.parametrize(
    ("body", "says", "helps"),
    [
        ('case "$*" in *ensurepip*) exit 1;; esac', "this Python has no ensurepip", "apt-get install python3-venv"),
        (
            'case "$*" in *version_info*) exit 1;; *) echo Python 3.9.2;; esac',
            "Python 3.9.2 is too old: kv needs 3.11 or newer",
            "make PYTHON=",
        ),
    ],
)
def test_a_python_that_will_not_do_is_told_in_one_sentence(tmp_path: Path, body: str, says: str, helps: str) -> None:
    """No ensurepip, or too old: what is wrong and what helps, and no folder is left."""
    python = tmp_path / "python-of-a-test"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    done = _script("venv", str(python), str(tmp_path / "venv"), path=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"kv: {says}")
    assert f"\n    hint: {'' if helps != 'make PYTHON=' else 'name a newer one: '}" in done.stderr
    assert helps in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A name that leads to no program is said to."""
    done = _script("venv", "no-python-here", str(tmp_path / "venv"), path=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "kv: there is no no-python-here")
