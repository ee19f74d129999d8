"""The keeper as a process: what is said of it, how it ends, what an upgrade does to it, what is written of it."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import kv

if TYPE_CHECKING:
    from scene import Scene
    from world import World


def test_daemon_status_stop_and_logs(world: World) -> None:
    """`kv daemon` shows the process and its files, shows its log without a value, and ends it without a proof."""
    pid = world.must("status", "--json").json["pid"]
    shown = world.must("daemon", "status").out
    assert shown.startswith("running\n")
    assert re.search(rf"holds lock +{pid}\n", shown)
    told = world.must("daemon", "status", "--json").json
    assert (told["pid"], told["holds lock"], told["people"]) == (pid, pid, f"{world.vault}.d/kv.sock")
    assert world.must("daemon", "logs").out.rstrip().endswith("born")
    assert world.must("daemon", "stop").out == "locked: ~/vault.kv\n"
    assert _ended(pid)
    assert world.must("daemon", "stop").out == "locked already: ~/vault.kv\n"
    assert world.must("daemon", "status").out.startswith("locked: no keeper runs\n")
    assert world.must("daemon", "logs", "--lines", "1").out.rstrip().endswith("locking: lock")
    assert len(world.must("daemon", "logs", "--json").json) == 2


def test_a_vault_that_cannot_be_read_whole_locks(world: World) -> None:
    """A value that was spoilt in the file is no needle, so the keeper serves nobody: it says why, and ends.

    Whoever unlocked it is not kept waiting for one that serves, which `kv unlock` does for 30 s.
    """
    world.store("a/WHOLE", b"kite-lantern-93")
    world.must("lock")
    with closing(sqlite3.connect(world.vault)) as file, file:
        file.execute("UPDATE records SET sealed = zeroblob(length(sealed)) WHERE part = 1")
    world.kv("unlock", proof=True, timeout=25)  # is told of it, or was answered just before
    deadline = time.monotonic() + 60
    while not world.must("status", "--json").json["locked"]:
        assert time.monotonic() < deadline
    assert "reading the vault: vault-damaged" in world.must("daemon", "logs").out


def test_an_upgraded_kv_says_how_to_go_on(world: World) -> None:
    """After an upgrade `kv status` and `kv unlock` say that the keeper is of another version; only kv lock gets on."""
    newer = world.folder / "newer"
    for package in ("kv", "brokers"):
        shutil.copytree(Path(kv.__file__).parent.parent / package, newer / package)
    init = newer / "kv" / "__init__.py"
    init.write_text(init.read_text().replace(kv.__version__, "99.0.0"))
    says = f"the keeper runs version {kv.__version__}, installed is 99.0.0: kv lock, then kv unlock"
    assert says in world.must("status", cwd=newer).out
    assert world.must("status", "--json", cwd=newer).json["warnings"] == [says]
    assert f"warning: {says}" in world.must("unlock", cwd=newer, proof=True).err
    refused = world.kv("ls", cwd=newer)
    assert (refused.status, "kv lock, then kv unlock" in refused.err) == (1, True)
    world.must("lock", cwd=newer)
    assert world.must("status", "--json").json["locked"] is True


def test_options_that_come_too_late_are_not_ignored_silently(world: World) -> None:
    """`kv unlock --idle` while a keeper runs changes nothing, and says so."""
    before = world.must("status", "--json").json["idle_left"]
    late = world.must("unlock", "--idle", "10m", "--until", "23:59", "--json", proof=True)
    assert "warning: a keeper runs already: --idle, --until is taken at its start only" in late.err
    assert late.json["idle_left"] > before - 60
    assert world.must("unlock", proof=True).err == ""


def test_agents_are_not_shown_where_to_guess(world: World) -> None:
    """Which values are weak or short, and a person's notes, are in no agent's list; the person's own shows them."""
    world.store("db/PIN", b"hunter2horse", "--note", "the one of the safe")
    world.store("db/X", b"abc")
    said = world.must("ls", "db", "--json").all + world.must("ls", "db").all
    for word in ("guessable", "shorter", "safe", "warnings", "note"):
        assert word not in said
    shown = world.must("show", "db/PIN", "--json").json
    assert (shown["note"], len(shown["warnings"])) == ("the one of the safe", 1)


def test_keys_that_could_not_be_locked_are_told(world: World) -> None:
    """Where the kernel locks no page, `kv status` and `kv doctor` say that the keys may be swapped out."""
    assert world.must("status", "--json").json["keys"] in {"secret", "locked"}
    world.must("lock")
    powerless = ["setpriv", "--securebits=+noroot", "--inh-caps=-all", "--bounding-set=-all", "--"]
    limited = ["prlimit", "--memlock=0:0", "--", *(powerless if os.geteuid() == 0 else [])]
    argv = world.argv
    world.argv = lambda *args: [*limited, *argv(*args)]  # type: ignore[method-assign]  # for this world alone
    world.must("unlock", proof=True)
    assert world.must("status", "--json").json["keys"] == "plain"
    assert "may be swapped out" in world.must("status").out
    found = {row["what"]: row for row in world.kv("doctor", "--json").json}
    assert (found["keys"]["verdict"], "ulimit -l" in found["keys"]["text"]) == ("bad", True)


def _ended(pid: int) -> bool:
    """Whether the process has ended; whoever adopted it may not have asked how yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith(("Z", "X"))
    except OSError:
        return True


class Onlooker:
    """Reads arguments and environment of a world's processes of kv, as often as it can, as any program of the user may.

    Those whose environment is closed to us are taken to be of that world.
    """

    def __init__(self, world: World) -> None:
        self._home = f"HOME={world.folder}".encode()
        self.seen: dict[str, set[bytes]] = {"cmdline": set(), "environ": set()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Onlooker:  # noqa: PYI034 - one class, no heirs
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                if process.name != str(os.getpid()):
                    self._read(process)

    def _read(self, process: Path) -> None:
        try:
            argv = (process / "cmdline").read_bytes()
        except OSError:
            return
        if b"\0kv" not in argv:
            return
        try:
            environ = (process / "environ").read_bytes()
        except OSError:
            self.seen["cmdline"].add(argv)
            return
        if self._home in environ.split(b"\0"):
            self.seen["cmdline"].add(argv)
            self.seen["environ"].add(environ)


@pytest.mark.timeout(240)
def test_no_value_in_logs_arguments_and_environments(scene: Scene) -> None:
    """R-LOG: values set, used, denied, revealed to a file and mistaken are in no argv, environment or log of kv."""
    world, other = scene.world, b"another-Value_of+mine/77=="
    with Onlooker(world) as onlooker:
        world.store("busy/OTHER", other)
        world.must("rotate", "busy/OTHER", "--stdin", stdin=other[::-1], proof=True)
        for path in ("/encodings", "/echo", "/hang-body", "/garbage", "/drop"):
            world.kv("api", "echo", "GET", path, "--timeout", "1", "--json")
        world.kv("api", "echo", "DELETE", "/echo", "--wait", "0")
        world.kv("api", "echo", "POST", "/echo", "--json-body", '{"a": 1}', "--wait", "0", "--json")
        world.kv("set", "busy/MASK", "--stdin", stdin=b"{{kv:busy/OTHER}}", proof=True)
        world.kv("get", "busy/OTHER", "--output", "revealed", proof=True)
        world.kv("get", "busy/OTHER", "--wait", "0")
        world.must("audit", "list", "--json", proof=True)
        world.must("panic")
        world.must("unlock", proof=True)
        time.sleep(0.2)
    log = (world.folder / "vault.kv.d" / "keeper.log").read_text()
    assert "born" in log
    assert any(b"kv.daemon.main" in argv for argv in onlooker.seen["cmdline"])
    assert len(onlooker.seen["cmdline"]) > 5
    assert onlooker.seen["environ"]
    texts = [log, *(seen.decode("latin-1") for kind in onlooker.seen.values() for seen in kind)]
    for value in (scene.key, other, other[::-1], world.passphrase):
        found: Any = world.leaked(value, texts)
        assert found == [], value
