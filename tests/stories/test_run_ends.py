"""The end of a run, whoever gives it up and whatever its program does: nobody holds a value afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest
from raw import Raw
from run_by_hand import Client, close_all, gone_soon, granted, script, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world import World

VALUE = b"run-value-7Qm2Zx81-0123456789"
FILE = [{"name": "prod/TOKEN", "via": "file", "to": "token"}]


@pytest.fixture
def own(world: World) -> Iterator[World]:
    """A world of one's own with a secret."""
    world.store("prod/TOKEN", VALUE)
    yield world
    close_all()


@pytest.mark.parametrize("how", ["panic", "hang up", "lock", "kill"])
def test_a_run_that_is_given_up_before_its_first_word_never_starts(own: World, how: str) -> None:
    """The order waits in the runner for the client's first word; what comes meanwhile is heeded."""
    argv = ["sh", "-c", "echo >ran"]
    granted(own, argv)
    client = Client(own, argv, late=True)
    sleep(0.5)
    if how == "hang up":
        client.raw.socket.close()
        while own.must("status", "--json").json["runs"]:
            sleep(0.1)
    elif how == "kill":
        os.kill(own.must("status", "--json").json["pid"], signal.SIGKILL)
        while not own.kv("status", "--json").json["locked"]:
            sleep(0.1)
    else:
        own.must(how)
    client.hello()
    assert "error" in client.hear()
    assert not (own.folder / "ran").exists()


def test_a_panic_that_comes_as_a_program_starts_ends_it(own: World) -> None:
    """Both words lie before the keeper at once: that the program has started, and that all is to end."""
    argv = ["sh", "-c", "echo $$ >pid; exec sleep 600"]
    granted(own, argv)
    client = Client(own, argv, late=True)
    sleep(0.5)
    keeper = own.must("status", "--json").json["pid"]
    with Raw(own, "kv") as person:
        os.kill(keeper, signal.SIGSTOP)
        try:
            client.hello()
            pid = int(written(own.folder / "pid"))
            person.send("panic", {})
        finally:
            os.kill(keeper, signal.SIGCONT)
        assert person.answer() == {"ok": {}}
    client.finish(20)
    assert gone_soon(pid)


def test_a_run_counts_from_its_order_on(own: World) -> None:
    """`kv status` tells of it before its program runs."""
    granted(own, ["true"])
    Client(own, ["true"], late=True)
    sleep(0.5)
    assert own.must("status", "--json").json["runs"] == 1


# what a program leaves that has rid itself of its runner

# It starts one that is of no group or session of its own, and ignores what asks it to end; the runner's pid.
_LEFT = """
import os, signal, time
runner = os.getppid()
def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rpartition(") ")[2].split()[1])
if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    print(os.getpid(), file=open("pid", "w"))
    while not os.path.exists("go"):
        time.sleep(0.05)
    time.sleep(60)
    os._exit(0)
while not os.path.exists("go"):
    time.sleep(0.05)
"""


@pytest.mark.parametrize("locked", [False, True], ids=["unlocked", "after a lock"])
def test_what_outlives_its_runner_is_ended(own: World, *, locked: bool) -> None:
    """A program that kills its own runner takes its children and its files along, without anybody's word."""
    argv = script(own, f"{_LEFT}os.kill(runner, 9)\ntime.sleep(60)\n")
    granted(own, argv, FILE)
    client = Client(own, argv, FILE)
    assert client.raw.answer()["ok"] == {"running": True}
    pid = int(written(own.folder / "pid"))
    assert os.path.lexists(own.folder / "token")
    place = (own.folder / "token").readlink()
    if locked:
        own.must("lock")
    (own.folder / "go").touch()
    client.finish()
    assert gone_soon(pid)
    until = monotonic() + 10  # the processes go first
    while place.parent.exists() or os.path.lexists(own.folder / "token"):
        assert monotonic() < until, "its file is still there"
        sleep(0.05)


def test_a_signal_for_a_group_that_is_gone_does_not_end_the_runner(own: World) -> None:
    """The program has left its group before its client forwards one: what it does is relayed on to its end."""
    argv = script(
        own, f"{_LEFT}os.setpgid(0, os.getpgid(runner))\nprint('', file=open('moved', 'w'))\ntime.sleep(60)\n"
    )
    granted(own, argv)
    client = Client(own, argv)
    assert client.raw.answer()["ok"] == {"running": True}
    pid = int(written(own.folder / "pid"))
    (own.folder / "go").touch()
    written(own.folder / "moved")
    client.control.send(b'{"signal":15}')
    sleep(0.2)
    own.must("panic")
    _, said = client.finish()
    assert "ended" in said[-1]
    assert gone_soon(pid)


def test_a_nursery_ends_with_the_last_of_its_runs(own: World) -> None:
    """It outlives a lock as long as there is somebody to end, and no longer."""
    argv = ["sh", "-c", "echo $PPID >runner; until [ -e go ]; do sleep 0.05; done"]
    granted(own, argv)
    client = Client(own, argv)
    client.raw.answer()
    runner = int(written(own.folder / "runner"))
    nursery = int(Path(f"/proc/{runner}/stat").read_text().rpartition(") ")[2].split()[1])
    own.must("lock")
    sleep(0.3)
    assert Path(f"/proc/{nursery}").exists()
    (own.folder / "go").touch()
    client.finish()
    assert gone_soon(nursery)
