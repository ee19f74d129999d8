"""Where keys lie in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from vault.world import PASSPHRASE, World

from kv.vault import arena
from kv.vault.arena import PAGE, Arena

# Run by a child: opens a vault and tells what a debugger of this very process sees of the root key.
_PROBE = r"""
import ctypes, errno, os
from kv.vault.arena import Arena
from kv.vault.keys import RootKey
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: it is the page that has to refuse, not the process
pattern = bytes(range(100, 132))
root = RootKey.take(bytearray(pattern))
address = root._arena.address
def read(at, size):
    with open("/proc/self/mem", "rb", buffering=0) as mem:
        mem.seek(at)
        return mem.read(size)
ordinary = ctypes.create_string_buffer(pattern)
assert read(ctypes.addressof(ordinary), 32) == pattern
try:
    seen = "seen" if read(address, 32) == pattern else "other"
except OSError as error:
    seen = errno.errorcode[error.errno]
with root.expose() as key:
    assert key[0] == 100
links = []
for fd in os.listdir("/proc/self/fd") if os.access("/proc/self/fd", os.R_OK) else []:
    try:
        links.append(os.readlink("/proc/self/fd/" + fd))
    except OSError:
        pass
print(Arena().kind, seen, any("secretmem" in link for link in links))
"""


def test_memory_is_unreadable() -> None:
    """A process of an ordinary user cannot read its own root key through `/proc/self/mem`; no descriptor is left."""
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kind, seen, descriptor = done.stdout.split()
    if kind != "secret":
        pytest.skip(f"no memfd_secret here: keys are in {kind} pages")
    assert seen in {"EIO", "EFAULT"}
    assert descriptor == "False"


def test_cells() -> None:
    """Cells are apart, zero at first, zero and unusable after `close`, and end with the page."""
    pages = Arena()
    first, second = pages.cell(32), pages.cell(32)
    first[:] = b"\xff" * 32
    assert bytes(second) == bytes(32)
    with pytest.raises(MemoryError):
        pages.cell(PAGE - 63)
    pages.close()
    with pytest.raises(ValueError, match="released"):
        bytes(first)
    with pytest.raises(MemoryError):
        pages.cell(1)
    pages.close()


def test_view_outlives_arena() -> None:
    """A view taken of a cell, and kept too long, reads zeros instead of a key, and no fault."""
    pages = Arena()
    cell = pages.cell(32)
    cell[:] = b"\xff" * 32
    kept = cell[8:]
    pages.close()
    del pages, cell
    assert bytes(kept) == bytes(24)


@pytest.mark.skipif(sys.platform != "linux", reason="mappings are inherited elsewhere")
def test_not_inherited() -> None:
    """A forked child has no key: touching the page ends it."""
    pages = Arena()
    cell = pages.cell(32)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        pages.close()  # does not touch what is not there
        cell_of_parent = arena._Page.from_address(pages.address)
        os._exit(0 if cell_of_parent[0] == 0 else 1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) in {signal.SIGSEGV, signal.SIGBUS}
    assert bytes(cell) == bytes(32)


def test_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `memfd_secret` the pages are locked, kept out of core dumps and of children."""
    monkeypatch.setattr(arena, "_map_secret", lambda: None)
    pages = Arena()
    assert pages.kind in {"locked", "plain"}
    if sys.platform == "linux":
        flags = _flags(pages.address)
        assert {"dd", "dc"} <= flags
        assert ("lo" in flags) is (pages.kind == "locked")
    pages.cell(32)[:] = b"\xff" * 32
    pages.close()


def _flags(address: int) -> set[str]:
    lines = Path("/proc/self/smaps").read_text(encoding="ascii", errors="replace").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith((f"{address:08x}-", f"{address:x}-")))
    return set(next(line for line in lines[at:] if line.startswith("VmFlags:")).split()[1:])


def test_close_wipes(world: World) -> None:
    """After `close` no key of a vault is left where it was."""
    vault = world.open()
    cells = [vault._keys.records, vault._keys.head, vault._keys.set, vault._keys.names, vault._keys.slots]
    with vault._keys.root.expose() as root:
        kept = [cell[:] for cell in (*cells, root)]
    assert all(bytes(each) != bytes(32) for each in kept)
    vault.close()
    assert all(bytes(each) == bytes(32) for each in kept)


def test_key_is_nowhere_else(world: World) -> None:
    """With a vault open, used, and its passphrase typed, its keys are in no page that another process can read."""
    child = subprocess.Popen(
        [sys.executable, "-c", _USE, str(world.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(PASSPHRASE)
        told = b""
        while len(told) < 6 * 32:
            told += child.stdout.read(6 * 32) or pytest.fail("the child ended")
        keys = [told[at : at + 32] for at in range(0, len(told), 32)]
        assert len(set(keys)) == 6
        found = _search(child.pid, keys)
    finally:
        child.kill()
        child.communicate()
    if Arena().kind != "secret":
        pytest.skip("no memfd_secret here: the one page that has the keys can be read")
    assert found == 0


# Opens a vault by its passphrase, uses it, and writes its keys out from where they lie.
_USE = """
import os, sys
from kv.vault.session import Passphrase, Vault
passphrase = bytearray(64)
passphrase = passphrase[: os.readv(0, [passphrase])]
vault = Vault.open(sys.argv[1], Passphrase(passphrase))
for number in range(5):
    vault.put("secret", "s", {}, b"value", now=1.0)
    vault.value("secret", "s")
    with vault.subkey("proofs") as key:
        pass
keys = vault._keys
with keys.root.expose() as root:
    for key in (root, keys.records, keys.names, keys.head, keys.set, keys.slots):
        os.write(1, key)
sys.stdin.buffer.read()
"""


def _search(pid: int, patterns: list[bytes]) -> int:
    """How often one of `patterns` is in the readable memory of `pid`."""
    found = 0
    with Path(f"/proc/{pid}/maps").open(encoding="ascii", errors="replace") as maps:
        ranges = [line.split()[:2] for line in maps]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for span, mode in ranges:
            start, end = (int(each, 16) for each in span.split("-"))
            if "r" not in mode:
                continue
            try:
                mem.seek(start)
                data = mem.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue  # secret pages, and the kernel's own
            found += sum(data.count(pattern) for pattern in patterns)
    return found
