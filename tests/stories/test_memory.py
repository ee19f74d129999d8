"""The keeper's and the prompting command's memory, from another process of the same user, without privileges.

Where the suite runs as root, these processes keep its uid and lose every capability: then the kernel judges them as it
judges two processes of any other one user.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from world import UNPRIVILEGED

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
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, pid, 0, 0) == 0:
    print("opened ptrace")
    libc.ptrace(17, pid, 0, 0)
print("done")
"""


@pytest.fixture
def unprivileged(tmp_path: Path) -> tuple[Path, list[str]]:
    """A home, and what a command line begins with so that the process has no privileges."""
    return tmp_path, list(UNPRIVILEGED)


def _kv(folder: Path, prefix: list[str], *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    read_end, write_end = os.pipe()
    os.write(write_end, b"copper lantern orbit velvet thistle magnet")
    os.close(write_end)
    try:
        return subprocess.run(
            [*prefix, sys.executable, "-m", "kv", *args, "--passphrase-fd", str(read_end)],
            env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv"), "PATH": os.environ["PATH"]},
            cwd=folder, input=stdin, capture_output=True, pass_fds=(read_end,), timeout=100, check=False,
        )  # fmt: skip
    finally:
        os.close(read_end)


def _lock(folder: Path, prefix: list[str]) -> None:
    subprocess.run(
        [*prefix, sys.executable, "-m", "kv", "lock"], env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv")},
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip


def _keeper(folder: Path, prefix: list[str]) -> int:
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "kv", "status", "--json"], cwd=folder, capture_output=True, check=True,
        env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv")},
    )  # fmt: skip
    return int(json.loads(done.stdout)["pid"])


def test_no_way_into_the_keeper(unprivileged: tuple[Path, list[str]]) -> None:
    """Another process of the same user can neither read, trace nor look around in the keeper."""
    folder, prefix = unprivileged
    made = _kv(folder, prefix, "init", "--no-totp", "--recovery-file", "rc", "--kdf-memory", "64MiB")
    assert made.returncode == 0, made.stderr
    try:
        assert _kv(folder, prefix, "set", "demo/KEY", "--stdin", stdin=VALUE).returncode == 0
        pid = _keeper(folder, prefix)
        done = subprocess.run(
            [*prefix, sys.executable, "-c", INTRUDER, str(pid)],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        assert done.stdout.split() == ["done"], done.stdout
    finally:
        _lock(folder, prefix)


def test_early_descriptors_give_nothing(unprivileged: tuple[Path, list[str]]) -> None:
    """Memory descriptors opened at the birth of every process of a `kv set` never show the value or passphrase."""
    folder, prefix = unprivileged
    made = _kv(folder, prefix, "init", "--no-totp", "--recovery-file", "rc", "--kdf-memory", "64MiB")
    assert made.returncode == 0, made.stderr
    watcher = subprocess.Popen(
        [*prefix, sys.executable, "-c", WATCHER, str(folder)],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        time.sleep(0.5)
        assert _kv(folder, prefix, "set", "demo/KEY", "--stdin", stdin=VALUE).returncode == 0
        _lock(folder, prefix)
        assert _kv(folder, prefix, "unlock").returncode == 0
        out, _ = watcher.communicate("stop\n", timeout=60)
    finally:
        watcher.kill()
        _lock(folder, prefix)
    told = out.split()
    assert int(told[0]) > 0, "the watcher caught no process early: the story would prove nothing"
    assert told[1] == "0", f"{told[1]} copies of a secret were readable"


# Opens /proc/PID/mem of every new `kv` with the given HOME again and again, as long as the kernel lets it (an `exec`
# gives a process new memory, so the first descriptor is not the one that matters), and looks through what those that it
# holds can still read, until it is told to stop.
WATCHER = """
import os, sys, threading
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
home = b"HOME=" + os.fsencode(sys.argv[1])
needles = [b"sk_memory_0123456789" + b"abcdefghijklmnop", b"copper lantern orbit" + b" velvet thistle magnet"]
before, held, hits, caught = set(os.listdir("/proc")), {}, 0, 0
def take(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"kv" not in file.read():
                return False
        with open(f"/proc/{pid}/environ", "rb") as file:
            if home not in file.read().split(b"\\0"):
                return False
        mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        with open(f"/proc/{pid}/maps") as file:
            spans = [line.split()[:2] for line in file]
    except OSError:
        return False
    kept = held.setdefault(pid, [])
    kept.append((mem, spans))
    if len(kept) > 8:
        os.close(kept.pop(0)[0])
    return True
def look(mem, spans):
    found = 0
    for span, mode in spans:
        first, last = (int(part, 16) for part in span.split("-"))
        if "rw" not in mode or last - first > 64 << 20:
            continue
        try:
            data = os.pread(mem, last - first, first)
        except (OSError, OverflowError, ValueError):
            continue
        found += sum(needle in data for needle in needles)
    return found
while not stop.is_set():
    for name in os.listdir("/proc"):
        if name.isdigit() and name not in before and int(name) != os.getpid():
            caught += take(int(name))
    for pid, kept in list(held.items()):
        hits += sum(look(mem, spans) for mem, spans in kept)
        if not os.path.exists(f"/proc/{pid}"):
            for mem, _ in held.pop(pid):
                os.close(mem)
print(caught, hits)
"""


def test_kv_refuses_under_a_tracer(unprivileged: tuple[Path, list[str]]) -> None:
    """A command that would ask for a passphrase refuses while a debugger is attached."""
    folder, prefix = unprivileged
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
        [
            *(*prefix, sys.executable, "-c", code),
            *("-m", "kv", "init", "--no-totp", "--recovery-file", "rc", "--passphrase-fd", "0"),
        ],
        env={"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv"), "PATH": os.environ["PATH"]},
        cwd=folder, input=b"copper lantern orbit velvet thistle magnet", capture_output=True, timeout=60, check=False,

    )  # fmt: skip
    assert done.returncode != 0
    assert b"debugger" in done.stderr, done.stderr
    assert not (folder / "vault.kv").exists()


# Waits for a keeper with the given HOME to be born, attaches to it as early as the kernel lets it, and stays, to its
# children too. Of a keeper that has closed its doors it cannot see whose it is: it comes too late for that one.
TRACER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
SEIZE, CONT, FORKS = 0x4206, 7, 2 | 4 | 8  # ptrace(2); forks, vforks and clones are followed
home = b"HOME=" + os.fsencode(sys.argv[1])
before, born = set(os.listdir("/proc")), None
print("watching", flush=True)
while born is None:
    for name in os.listdir("/proc"):
        if not name.isdigit() or name in before:
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                argv = file.read().split(b"\\0")
            with open(f"/proc/{name}/environ", "rb") as file:
                theirs = file.read().split(b"\\0")
        except OSError:
            continue
        if b"kv.daemon.main" in argv and home in theirs:
            born = int(name)
            break
print("attached" if libc.ptrace(SEIZE, born, 0, FORKS) == 0 else "refused", flush=True)
while True:
    try:
        pid, status = os.waitpid(-1, 0x40000000)
    except ChildProcessError:
        break
    if os.WIFSTOPPED(status):
        libc.ptrace(CONT, pid, 0, os.WSTOPSIG(status) if os.WSTOPSIG(status) != 5 else 0)
"""


def test_a_keeper_that_is_traced_from_its_birth_gets_no_key(unprivileged: tuple[Path, list[str]]) -> None:
    """Whoever attaches to the keeper before it closed its doors, and stays, sees it end before a key reaches it."""
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if yama.exists() and yama.read_text().strip() != "0":
        pytest.skip("yama forbids tracing here (kernel.yama.ptrace_scope), which is the better answer")
    folder, prefix = unprivileged
    assert _kv(folder, prefix, "init", "--no-totp", "--recovery-file", "rc", "--kdf-memory", "64MiB").returncode == 0
    told = ""
    for _ in range(8):  # a tracer that came too late proves the other half: it got in nowhere, and the keeper lives
        _lock(folder, prefix)
        tracer = subprocess.Popen(
            [*prefix, sys.executable, "-c", TRACER, str(folder)], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            assert tracer.stdout is not None
            assert tracer.stdout.readline() == "watching\n"
            done = _kv(folder, prefix, "unlock")
        finally:
            tracer.kill()
            told, _ = tracer.communicate()
        if told == "attached\n":
            break
        assert done.returncode == 0, done.stderr
    assert told == "attached\n", "no tracer was early enough: the story would prove nothing"
    assert done.returncode == 1, done.stderr
    assert b"the keeper did not start" in done.stderr
    status = [*prefix, sys.executable, "-m", "kv", "status", "--json"]
    environment = {"HOME": str(folder), "KV_VAULT": str(folder / "vault.kv")}
    found = subprocess.run(status, cwd=folder, env=environment, capture_output=True, check=True)
    assert json.loads(found.stdout)["locked"] is True


def test_nothing_of_the_keeper_is_left_after_lock(unprivileged: tuple[Path, list[str]]) -> None:
    """Locked means that there is no keeper: its process is gone, and with it every copy."""
    folder, prefix = unprivileged
    assert _kv(folder, prefix, "init", "--no-totp", "--recovery-file", "rc", "--kdf-memory", "64MiB").returncode == 0
    pid = _keeper(folder, prefix)
    _lock(folder, prefix)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
    assert not (folder / "vault.kv-wal").exists()
