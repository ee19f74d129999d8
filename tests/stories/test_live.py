"""A command's output as it comes: with a real OpenSSH server, towards a pipe and a terminal, and against guessers."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from ssh_server import SshServer
from wired import Wire
from world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs("sshd")

WEAK = b"tr0ub4dor"


class Site:
    """A world with a server as `web`, on which anybody may run what a story puts there."""

    def __init__(self, world: World, server: SshServer) -> None:
        self.world, self.server = world, server
        key = (server.folder / "user").read_bytes()
        where = ("--ssh", f"{server.user}@127.0.0.1:{server.port}", "--host-key", server.host_key)
        world.store("web/KEY", key, "--connection", "web", *where, "--admission", "always")
        profile = {"argv": ["sh", f"{server.home}/{{name}}"], "arguments": {"name": "[a-z]+"}, "effect": "read"}
        (world.folder / "profiles.json").write_text(json.dumps({"play": profile}))
        world.must("connect", "web", "--profiles", str(world.folder / "profiles.json"), proof=True)
        world.store("other/PASSWORD", WEAK)

    def script(self, name: str, text: str) -> list[str]:
        """The words that run this on the server."""
        (self.server.home / name).write_text(text)
        return ["--profile", "play", "-a", f"name={name}"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server and one world: a session that is frozen is a session of its own."""
    with SshServer() as server, World(tmp_path_factory.mktemp("live")) as world:
        yield Site(world.init(), server)


def start(site: Site, *args: str) -> subprocess.Popen[bytes]:
    """`kv ssh` in a session of its own, with both streams as pipes."""
    argv = site.world.argv("ssh", "web", *args)
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=site.world.environment,
        cwd=site.world.folder,
        start_new_session=True,
    )


def until(read: Callable[[], bytes], wanted: bytes) -> bytes:
    """What has been read when `wanted` has come."""
    found, deadline = b"", time.monotonic() + 60
    while wanted not in found:
        assert time.monotonic() < deadline, found
        found += read()
    return found


def gated(site: Site, name: str, before: str = "echo begun", after: str = "echo ended") -> tuple[list[str], Path]:
    """A command that says something, and goes on when the file has come into being."""
    gate = site.server.home / f"{name}.go"
    return site.script(name, f"{before}\nwhile ! test -e {gate}; do sleep 0.1; done\n{after}\n"), gate


def test_output_comes_before_the_command_ends(site: Site) -> None:
    """The rest comes behind it, and the exit status is the command's."""
    argv, gate = gated(site, "first", after="echo ended; echo problem >&2; exit 3")
    with start(site, "--live", *argv) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        shown = until(lambda: os.read(ran.stdout.fileno(), 4096), b"begun\n")  # type: ignore[union-attr] # as above
        gate.touch()
        shown += ran.stdout.read()
        assert (shown, ran.stderr.read()) == (b"begun\nended\n", b"problem\n")
    assert ran.returncode == 3


def test_towards_a_terminal_it_is_so_unasked(site: Site) -> None:
    """Characters of several bytes stay whole, and what would steer the terminal is gone."""
    argv, gate = gated(site, "tty", before=r"printf 'caf\303\251 \033[2Jred\n'")
    command = site.world.argv("ssh", "web", *argv)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, site.world.environment)  # noqa: S606 - the story's own command line
    try:
        shown = until(lambda: os.read(terminal, 4096), b"red")
        assert "café red" in shown.decode()
        gate.touch()
        until(lambda: os.read(terminal, 4096), b"ended")
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
    assert status == 0


def test_a_line_now_and_then_is_heard(site: Site) -> None:
    """A command that is never silent for long says what it does all the same, while it does it."""
    gate = site.server.home / "slow.go"
    argv = site.script("slow", f"while ! test -e {gate}; do echo tick; sleep 0.7; done\n")
    with start(site, "--live", *argv) as ran:
        assert ran.stdout is not None
        until(lambda: os.read(ran.stdout.fileno(), 4096), b"tick\ntick\n")  # type: ignore[union-attr] # as above
        gate.touch()
        ran.stdout.read()
    assert ran.returncode == 0


def test_without_it_a_pipe_has_all_at_the_end(site: Site) -> None:
    """When the whole of it has been looked at."""
    argv, gate = gated(site, "pipe")
    with start(site, *argv) as ran:
        assert ran.stdout is not None
        assert not select.select([ran.stdout], [], [], 4)[0]
        gate.touch()
        assert ran.stdout.read() == b"begun\nended\n"


def test_no_key_is_in_it(site: Site) -> None:
    """Raw, encoded, in pieces that controls hold apart: a reference stands there."""
    key = (site.server.folder / "user").read_bytes()
    line = key.splitlines()[2].decode()
    shown = f"cat <<'E'\n{key.decode()}E\n"
    argv = site.script("leak", f"{shown}{shown.replace('cat', 'base64')}printf '{line[:30]}\\033[0m{line[30:]}\\n'\n")
    with start(site, "--live", *argv) as ran:
        told = ran.communicate(timeout=60)[0].decode()
    assert "{{kv:web/KEY}}" in told
    assert site.world.leaked(key, [told]) == []
    assert line not in told


def test_a_guess_stops_it_and_freezes_the_session(site: Site) -> None:
    """One stop tells which of many guesses was right: there is no second one, and a person is alarmed."""
    argv = site.script("guess", f"seq 100000\necho {WEAK.decode()}\nseq 100000\n")
    script = (
        f"{' '.join(site.world.argv('ssh', 'web', '--live', *argv))}; echo $?; "
        f"{' '.join(site.world.argv('ssh', 'web', '--', 'whoami'))}; echo $?"
    )
    done = subprocess.run(
        ["sh", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=site.world.environment,
        cwd=site.world.folder,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    shown = done.stdout.decode()
    assert WEAK.decode() not in shown
    assert "{{kv:" not in shown
    assert "withheld" in done.stderr.decode()
    assert "frozen" in done.stderr.decode()
    assert site.server.user not in shown
    alarms = site.world.must("audit", "list", "--alarms", "--all", proof=True).out
    assert "output that went out as it came confirmed a guess" in alarms


def test_a_yes_later_is_heard_as_well(site: Site) -> None:
    """Who waits for a person hears the command from its beginning; who did not wait has all of it by the ticket."""
    gate = site.server.home / "later.go"
    line = f"echo begun; while ! test -e {gate}; do sleep 0.1; done; echo ended"
    with start(site, "--live", "--", "sh", "-c", line) as ran:
        assert ran.stdout is not None
        while not (waiting := site.world.must("approvals", "--all", "--json", proof=True).json):
            time.sleep(0.1)
        site.world.must("approve", waiting[0]["id"], proof=True)
        until(lambda: os.read(ran.stdout.fileno(), 4096), b"begun\n")  # type: ignore[union-attr] # as above
        gate.touch()
        assert ran.stdout.read() == b"ended\n"
    told = site.world.kv("ssh", "web", "--live", "--wait", "0", "--", "sh", "-c", "echo one; echo two >&2")
    assert told.status == 4
    (ticket,) = (one["id"] for one in site.world.must("approvals", "--all", "--json", proof=True).json)
    site.world.must("approve", ticket, proof=True)
    taken = site.world.kv("wait", ticket)
    assert (taken.status, taken.out, taken.err) == (0, "one\n", "two\n")


def test_hanging_up_ends_the_command(site: Site) -> None:
    """As Ctrl-C in a terminal does."""
    argv = site.script("long", "echo begun; exec sleep 4831")
    with start(site, "--live", *argv) as ran:
        assert ran.stdout is not None
        until(lambda: os.read(ran.stdout.fileno(), 4096), b"begun\n")  # type: ignore[union-attr] # as above
        ran.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 60
    while site.server.processes(named="sleep 4831"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_copy_is_not_heard(site: Site) -> None:
    """A command alone has output."""
    with Wire(site.world, "agent") as wire:
        told = wire.ask("ssh", {"connection": "web", "act": "list", "path": "/srv", "live": True})
    assert told["error"]["code"] == "bad-argument"
