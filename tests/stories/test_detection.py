"""R-DETECT: however a program hides what it is, what it asks for takes a person's yes or proof all the same."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from world import World

PENDING, DENIED, PROOF = 4, 3, 7
VALUE = b"hidden-from-all-0123456789"

# What is tried, and the status that it has to end with.
TRIED = {
    "run --secret KEY --wait 0 -- touch made": PENDING,
    "get KEY --wait 0": PENDING,
    "get KEY --raw": PROOF,
    "rm KEY": PROOF,
    "approvals --all": PROOF,
}


def _script(world: World, folder: Path) -> Path:
    """A shell script that tries all of it and writes down how each ended."""
    environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in world.environment.items())
    lines = [
        f"{environment} {shlex.join(world.argv(*line.split()))} </dev/null >out{number} 2>&1; echo $? >status{number}"
        for number, line in enumerate(TRIED)
    ]
    path = folder / "try.sh"
    path.write_text("\n".join(["#!/bin/sh", f"cd {shlex.quote(str(folder))}", *lines, "touch done", ""]))
    path.chmod(0o755)
    return path


def _plain(script: Path) -> None:
    subprocess.run([script], check=True, timeout=100)


def _orphan(script: Path) -> None:
    """Forked twice, in a session of its own, without terminal or environment: as cron starts a job."""
    fork = "if os.fork(): os._exit(0)\n"
    code = f"import os,sys\n{fork}os.setsid()\n{fork}os.execve(sys.argv[1], sys.argv[1:], {{}})"
    subprocess.run([sys.executable, "-c", code, script], check=True, timeout=60)


def _bare(script: Path) -> None:
    subprocess.run(["env", "-i", script], check=True, timeout=100)


def _under(name: str) -> Callable[[Path], None]:
    """Below a program of that name, known or not."""

    def begin(script: Path) -> None:
        program = script.with_name(name)
        shutil.copy(os.path.realpath("/bin/sh"), program)
        subprocess.run([program, "-c", f"{script}; true"], check=True, timeout=100)

    return begin


def _typed(script: Path) -> None:
    """Typed into a terminal by `tmux send-keys`."""
    tmux = ["tmux", "-S", str(script.with_name("tmux")), "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "24", "sh"], check=True, timeout=60)
    try:
        subprocess.run([*tmux, "send-keys", str(script), "Enter"], check=True, timeout=60)
        _wait(script.with_name("done"))
    finally:
        subprocess.run([*tmux, "kill-server"], check=True, timeout=60)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, Path]]:
    """An OpenSSH server on loopback that lets this user's key in; its port and the key."""
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=60
        )
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    sshd = str(shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"))
    server = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL)
    try:
        yield port, folder / "user"
    finally:
        server.terminate()
        server.wait(60)


def _by_ssh(script: Path) -> None:
    """Over a connection to this very machine: sshd is above it, and no agent."""
    with _server(script.parent) as (port, key):
        options = [
            "-F",
            "none",
            "-i",
            str(key),
            "-p",
            str(port),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "BatchMode=yes",
        ]
        options += ["-o", f"UserKnownHostsFile={script.with_name('known')}", "-o", "ConnectionAttempts=30"]
        subprocess.run(["ssh", *options, "127.0.0.1", str(script)], check=True, timeout=100, capture_output=True)


WAYS = {
    "as it is": _plain,
    "an orphan, as of cron": _orphan,
    "env -i": _bare,
    "below claude": _under("claude"),
    "below claude renamed": _under("vim"),
    "tmux send-keys": pytest.param(_typed, marks=pytest.mark.needs("tmux")),
    "ssh to localhost": pytest.param(
        _by_ssh,
        marks=[
            pytest.mark.needs("sshd"),
            pytest.mark.skipif(os.geteuid() != 0, reason="a server that is not root's lets nobody in"),
        ],
    ),
}


def _wait(path: Path) -> None:
    until = monotonic() + 100
    while not path.exists():
        assert monotonic() < until, "it did not come to its end"
        sleep(0.05)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_way_to_start_kv_is_a_persons(world: World, way: Callable[[Path], None]) -> None:
    """Each ends at a card or at "needs proof"; no value comes out, nothing is started, nothing is changed."""
    world.store("KEY", VALUE)
    folder = world.folder / "hidden"
    folder.mkdir()
    way(_script(world, folder))
    _wait(folder / "done")
    ended = {line: int((folder / f"status{number}").read_text()) for number, line in enumerate(TRIED)}
    told = [(folder / f"out{number}").read_text() for number in range(len(TRIED))]
    # Below a program that is known a reveal is refused before a proof is asked for.
    assert ended == TRIED | ({"get KEY --raw": DENIED} if ended["get KEY --raw"] == DENIED else {})
    assert not (folder / "made").exists()
    assert not world.leaked(VALUE, told)
