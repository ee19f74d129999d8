"""What the keeper holds: its size, and the copies of secrets that can be found in it before and after `kv lock`.

Rules of this file
- Every secret begins with a mark of this run, so that one search finds all copies of all of them, in any process.
- Reading another process's memory takes root; without it only the end of the processes is looked at, and that is said.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.corpus import made_up
from bench.measure import NotMeasured, resident
from bench.stage import CALL, Stage, a_stage, an_origin
from bench.table import Goal, Row
from bench.vaults import root_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

_SECRETS = 1000
_CALLS = 100
_SETTLE_SECONDS = 1.0  # after an unlock: the needles are built by then
_MOST = 1 << 28  # bytes of one mapping: a keeper has none as large
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r")


def rows(scale: Scale) -> Iterator[Row]:
    """Size, then copies."""
    del scale  # one look each
    yield _idle()
    yield from _copies()


def _idle() -> Row:
    with an_origin() as origin, a_stage(origin, secrets=10) as stage:
        pid = stage.pid
        time.sleep(_SETTLE_SECONDS)
        found = resident(pid)
    return Row("keeper idle, unlocked, 10 secrets, no call yet", "MiB", [found], goal=Goal(30))


def _copies() -> Iterator[Row]:
    (mark,) = made_up(1, length=12)
    with an_origin() as origin, a_stage(origin, secrets=_SECRETS, mark=mark) as stage:
        key = _root_key(stage)
        pid = stage.pid
        with stage.client() as client:
            for _ in range(_CALLS):
                client.ask("call", CALL)
        if os.geteuid() == 0:
            before = _Found.of(_memory(pid), stage.values, mark, key)
            what = f"secrets found in the unlocked keeper, {_CALLS} calls"
            yield Row(what, f"of {_SECRETS:,}", [before.secrets], note=f"{before.copies:,} copies of them, by root")
            yield Row("  copies of the root key there", "copies", [before.keys])
        stage.lock()
        yield _after(stage, pid, mark, key)


def _after(stage: Stage, keeper: int, mark: str, key: bytes) -> Row:
    left = _processes(str(stage.world.folder))
    what = "secrets and keys found after kv lock"
    ended = "the keeper ended" if keeper not in left and not Path(f"/proc/{keeper}").exists() else "THE KEEPER RUNS"
    if os.geteuid() != 0 and left:
        raise NotMeasured("reading the memory of what is left takes root")
    found = [_Found.of(_memory(pid), stage.values, mark, key) for pid in left]
    copies = sum(each.copies + each.keys for each in found)
    return Row(what, "copies", [copies], goal=Goal(0), note=f"{ended}; {len(left)} processes of this vault are left")


@dataclass(frozen=True, slots=True)
class _Found:
    """How many different secrets, how many copies of them, how many copies of the key."""

    secrets: int
    copies: int
    keys: int

    @classmethod
    def of(cls, memory: Iterator[bytes], values: list[str], mark: str, key: bytes) -> _Found:
        known = {value.encode() for value in values}
        pattern = re.compile(re.escape(mark.encode()) + rb"[A-Za-z0-9]{%d}" % (len(values[0]) - len(mark)))
        seen: set[bytes] = set()
        copies = keys = 0
        for block in memory:
            found = [match for match in pattern.findall(block) if match in known]
            seen.update(found)
            copies += len(found)
            keys += block.count(key)
        return cls(len(seen), copies, keys)


def _memory(pid: int) -> Iterator[bytes]:
    """Every readable mapping of a process. What even root is refused (secret pages) is left out."""
    try:
        mappings = _MAPPING.findall(Path(f"/proc/{pid}/maps").read_text())
        descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return
    try:
        for start, end in ((int(low, 16), int(high, 16)) for low, high in mappings):
            try:
                yield os.pread(descriptor, min(end - start, _MOST), start)
            except (OSError, OverflowError):
                continue
    finally:
        os.close(descriptor)


def _processes(folder: str) -> list[int]:
    """The processes that were started for this vault: its folder stands in their environment or command line."""
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    pids = [int(entry.name) for entry in entries if _mentions(entry, folder.encode())]
    return [pid for pid in pids if pid != os.getpid()]


def _mentions(entry: Path, folder: bytes) -> bool:
    for name in ("environ", "cmdline"):
        try:
            if folder in (entry / name).read_bytes():
                return True
        except OSError:
            continue
    return False


def _root_key(stage: Stage) -> bytes:
    """The vault's root key, as bytes of our own: what to look for. The vault is unlocked again afterwards."""
    stage.lock()
    with root_of(Path(stage.world.vault)) as root, root.expose() as view:
        key = bytes(view)
    stage.unlock()
    return key
