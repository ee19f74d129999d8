"""What holds for every test: nobody's real vault is in reach, and no run depends on the machine's speed or luck.

Rules of this file
- No helper lives here: worlds and nouns are modules of their own, which tests import by name.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

import kv

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# No deadlines: a busy machine is no defect. In continuous integration the same examples every time, so that a
# failure there is the change's and not the dice's; at a developer's desk new ones at every run.
hypothesis.settings.register_profile("kv", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("kv")

# What would lead a test out of its own folder, or change what kv prints there.
_STRAY = ("KV_", "XDG_")


@pytest.fixture(scope="session", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty home: whoever runs the suite has a vault, an environment and agents of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_STRAY) and name != "KV_TESTING_WHEEL"]:
            patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Stop a test that comes back as a forked child (kv works in one): the rest of the suite would run in there.

    Before it is reported: the child has its parent's channel to whoever collects the reports.
    """
    ours = os.getpid()
    try:
        return (yield)
    finally:
        if os.getpid() != ours:
            os.write(2, f"\n{item.nodeid} came back in a process of its own: run kv in a subprocess there\n".encode())
            os._exit(70)  # EX_SOFTWARE


def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` tests in: one more than there are cores, since a story waits now and then.

    Beyond eight a run would wait for its longest story, and each takes memory.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores + 1, 8)


def pytest_report_header() -> str:
    """Which kv this run is about: the wheel under `make test`, elsewhere whatever Python finds."""
    return f"kv {kv.__version__} at {Path(kv.__file__).parent}"


def programs() -> set[str]:
    """The programs of tests/system-packages.txt."""
    lines = (Path(__file__).parent / "system-packages.txt").read_text(encoding="utf-8").splitlines()
    return {line.split()[1] for line in lines if line and not line.startswith("#")}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.needs("tmux")`: skip by name what this machine cannot run. A name not in the list is a mistake."""
    for (program,) in (mark.args for mark in item.iter_markers("needs")):
        if program not in programs():
            pytest.fail(f"{program} is not in tests/system-packages.txt")
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: see tests/system-packages.txt")


def _session_leader_is_an_ancestor() -> bool:
    pid, leader = os.getpid(), os.getsid(0)
    while pid > 1:
        if pid == leader:
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[1])
    return False


def pytest_configure() -> None:
    """Give the suite a session of its own where it was started from one whose leader is gone (nohup, `&`, a daemon).

    kv counts a command whose session's leader is not among its ancestors as a session of its own, so every `kv` of a
    story would be another one. Such a start may also have switched signals off, for every process that it leads to.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for ignored in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_DFL)
    if sys.platform == "linux" and not _session_leader_is_an_ancestor() and os.getpgrp() != os.getpid():
        os.setsid()
