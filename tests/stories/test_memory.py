"""The keeper's and the prompting command's memory, from another process of the same user. Run as a non-root user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
VALUE = b"sk_memory_0123456789abcdefghijklmnop"

# Run as the same unprivileged user: every way in that the kernel offers without privileges.
INTRUDER = """
import ctypes, os, sys
pid = int(sys.argv[1])
for name in ("mem", "maps", "environ", "auxv", "io", "syscall", "stack"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            file.read(1)
        print("opened", name)
    except OSError:
        pass
for name in ("exe", "cwd", "root", "fd/0"):
    try:
        os.readlink(f"/proc/{pid}/{name}")
        print("opened", name)
    except OSError:
        pass
try:
    os.listdir(f"/proc/{pid}/fd")
    print("opened fd")
except OSError:
    pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, pid, 0, 0) == 0:
    print("opened ptrace")
    libc.ptrace(17, pid, 0, 0)
print("done")
"""


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder of an ordinary user's, and what starts a process as that user."""
    options = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    if options:
        os.chown(folder, NOBODY, NOBODY)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o077 == 0 and parent != Path("/root"):
                parent.chmod(0o755)
    yield folder, options
    shutil.rmtree(folder, ignore_errors=True)


def _kv(
    folder: Path, options: dict[str, Any], *args: str, stdin: bytes = b"", wrapper: list[str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    read_end, write_end = os.pipe()
    os.write(write_end, b"copper lantern orbit velvet thistle magnet")
    os.close(write_end)
    try:
        return subprocess.run(
            [*(wrapper or []), sys.executable, "-m", "kv", *args, "--passphrase-fd", str(read_end)],
            env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv"), "PATH": os.environ["PATH"]},
            cwd=folder, input=stdin, capture_output=True, pass_fds=(read_end,), timeout=100, check=False, **options,
        )  # fmt: skip
    finally:
        os.close(read_end)


def _lock(folder: Path, options: dict[str, Any]) -> None:
    subprocess.run(
        [sys.executable, "-m", "kv", "lock"], env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv")},
        cwd=folder, capture_output=True, check=False, **options,
    )  # fmt: skip


def _keeper(folder: Path, options: dict[str, Any]) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "kv", "status", "--json"], cwd=folder, capture_output=True, check=True,
        env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv")}, **options,
    )  # fmt: skip
    return int(json.loads(done.stdout)["pid"])


def test_no_way_into_the_keeper(unprivileged: tuple[Path, dict[str, Any]]) -> None:
    """Another process of the same user can neither read, trace nor look around in the keeper."""
    folder, options = unprivileged
    made = _kv(folder, options, "init", "--no-totp", "--recovery-file", "rc", "--kdf-memory", "64MiB")
    assert made.returncode == 0, made.stderr
    try:
        assert _kv(folder, options, "set", "demo/KEY", "--stdin", stdin=VALUE).returncode == 0
        pid = _keeper(folder, options)
        done = subprocess.run(
            [sys.executable, "-c", INTRUDER, str(pid)],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            **options,
        )
        assert done.stdout.split() == ["done"], done.stdout
    finally:
        _lock(folder, options)


def test_early_descriptors_give_nothing(unprivileged: tuple[Path, dict[str, Any]]) -> None:
    """Memory descriptors opened at the birth of every process of a `kv set` never show the value or passphrase."""
    folder, options = unprivileged
    made = _kv(folder, options, "init", "--no-totp", "--recovery-file", "rc", "--kdf-memory", "64MiB")
    assert made.returncode == 0, made.stderr
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    try:
        time.sleep(0.5)
        assert _kv(folder, options, "set", "demo/KEY", "--stdin", stdin=VALUE).returncode == 0
        _lock(folder, options)
        assert _kv(folder, options, "unlock").returncode == 0
        out, _ = watcher.communicate("stop\n", timeout=60)
    finally:
        watcher.kill()
        _lock(folder, options)
    told = out.split()
    assert int(told[0]) > 0, "the watcher caught no process early: the story would prove nothing"
    assert told[1] == "0", f"{told[1]} copies of a secret were readable"


# Opens /proc/PID/mem of every new process of this user as soon as it appears, and at the end (and in between) looks
# through what those descriptors can still read.
WATCHER = """
import os, sys, threading, re
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
needles = [b"sk_memory_0123456789" + b"abcdefghijklmnop", b"copper lantern orbit" + b" velvet thistle magnet"]
known, held, hits, caught = set(os.listdir("/proc")), {}, 0, 0
me = os.getpid()
def look(pid, mem):
    found = 0
    try:
        with open(f"/proc/{pid}/maps") as file:
            spans = [line.split()[:2] for line in file]
    except OSError:
        spans = held[pid][1]
    held[pid] = (mem, spans)
    for span, mode in spans:
        if "r" not in mode:
            continue
        first, last = (int(part, 16) for part in span.split("-"))
        if last - first > 64 << 20:
            continue
        try:
            data = os.pread(mem, last - first, first)
        except (OSError, OverflowError, ValueError):
            continue
        found += sum(needle in data for needle in needles)
    return found
while not stop.is_set():
    for name in os.listdir("/proc"):
        if name.isdigit() and name not in known and int(name) != me:
            known.add(name)
            try:
                mem = os.open(f"/proc/{name}/mem", os.O_RDONLY)
                with open(f"/proc/{name}/maps") as file:
                    spans = [line.split()[:2] for line in file]
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    mine = b"kv" in file.read()
            except OSError:
                continue
            held[int(name)] = (mem, spans)
            caught += mine
    for pid, (mem, spans) in list(held.items()):
        hits += look(pid, mem)
        if not os.path.exists(f"/proc/{pid}"):
            os.close(mem)
            del held[pid]
print(caught, hits)
"""


def test_kv_refuses_under_a_tracer(unprivileged: tuple[Path, dict[str, Any]]) -> None:
    """A command that would ask for a passphrase refuses while a debugger is attached."""
    folder, options = unprivileged
    code = (
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    libc.ptrace(0, 0, 0, 0)\n"  # PTRACE_TRACEME
        "    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
        "while True:\n"
        "    _, status = os.waitpid(pid, 0)\n"
        "    if os.WIFEXITED(status): sys.exit(os.WEXITSTATUS(status))\n"
        "    if os.WIFSIGNALED(status): sys.exit(99)\n"
        "    libc.ptrace(7, pid, 0, 0 if os.WSTOPSIG(status) == 5 else os.WSTOPSIG(status))\n"  # PTRACE_CONT
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-m", "kv", "init", "--no-totp", "--recovery-file", "rc", "--passphrase-fd", "0"],
        env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv"), "PATH": os.environ["PATH"]},
        cwd=folder, input=b"copper lantern orbit velvet thistle magnet", capture_output=True, timeout=60, check=False,
        **options,
    )  # fmt: skip
    assert done.returncode != 0
    assert b"debugger" in done.stderr, done.stderr
    assert not (folder / "vault.kv").exists()


def test_nothing_of_the_keeper_is_left_after_lock(unprivileged: tuple[Path, dict[str, Any]]) -> None:
    """Locked means that there is no keeper: its process is gone, and with it every copy."""
    folder, options = unprivileged
    assert _kv(folder, options, "init", "--no-totp", "--recovery-file", "rc", "--kdf-memory", "64MiB").returncode == 0
    pid = _keeper(folder, options)
    _lock(folder, options)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
    assert not (folder / "vault.kv-wal").exists()
