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
            before = _Found.of(_memory(pid), mark, key)
            what = f"{_SECRETS:,} secrets in the unlocked keeper, {_CALLS} calls"
            note = f"and {before.folded:,} folded to lower case, which is what the scanner looks for; seen by root"
            yield Row(what, "copies", [before.secrets], note=note)
            yield Row("  the root key there", "copies", [before.keys])
        stage.lock()
        yield _after(stage, pid, mark, key)


def _after(stage: Stage, keeper: int, mark: str, key: bytes) -> Row:
    left = _processes(str(stage.world.folder))
    what = "secrets and keys found after kv lock"
    ended = "THE KEEPER RUNS" if keeper in left or _runs(keeper) else "the keeper ended"
    if os.geteuid() != 0 and left:
        raise NotMeasured("reading the memory of what is left takes root")
    copies = sum(_Found.of(_memory(pid), mark, key).all for pid in left)
    return Row(what, "copies", [copies], goal=Goal(0), note=f"{ended}; {len(left)} processes of this vault are left")


@dataclass(frozen=True, slots=True)
class _Found:
    """Copies in a process: of secrets as they are, of secrets as the scanner folds them, of the root key."""

    secrets: int
    folded: int
    keys: int

    @classmethod
    def of(cls, memory: Iterator[bytes], mark: str, key: bytes) -> _Found:
        raw, folded = mark.encode(), mark.lower().encode()
        counts = [(block.count(raw), block.count(folded), block.count(key)) for block in memory]
        return cls(*map(sum, zip((0, 0, 0), *counts, strict=True)))

    @property
    def all(self) -> int:
        """Every copy of anything."""
        return self.secrets + self.folded + self.keys


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


def _runs(pid: int) -> bool:
    """Whether a process runs; one that ended and whose parent has not taken notice holds no memory."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


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
