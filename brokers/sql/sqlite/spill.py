"""What one call has SQLite write beside memory: sorts and sets that outgrow its cache go to files without a name.

Rules of this file
- A read writes nothing else, so what its thread writes is that. Kernels count it for each thread; asking is one call.
- What is counted so is what reaches a disk. Where the folder for temporary files is memory, which SQLite's own first
  file there shows, the sizes of such files are looked at instead. Whose a file is cannot be seen then: whatever was
  opened since the statement began counts, so that of reads at once an older one may end for a newer one's files.

Not `temp_store = MEMORY`: the whole of a sort would then be memory of the keeper, and SQLite bounds it (by
`hard_heap_limit`) for the process alone, in which the vault is SQLite too.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import time
from contextlib import closing, suppress
from functools import lru_cache

MOST = 256 << 20  # bytes of one read
STEPS = 250  # of SQLite's machine between two looks, some of which write: each a value of 16 MB at worst
OPENING = frozenset({"OpenEphemeral", "SorterOpen", "OpenAutoindex"})  # steps of a program that may write
_BLOCK = 512  # bytes: the unit of the count
_THREAD = getattr(resource, "RUSAGE_THREAD", None)  # Linux
_OPEN = "/proc/self/fd"  # as above
_NAME = "/etilqs_"  # of SQLite's temporary files, though they have none any more
_PAUSE = 0.01  # seconds between two looks at all files: each takes some microseconds for every descriptor
_TRIAL = 1 << 20  # bytes


class Spill:
    """The bytes of one call. It works in one thread at a time, and each time may be another's."""

    def __init__(self) -> None:
        self._bytes = 0
        self._mark = _written()
        self._others: frozenset[tuple[int, int]] | None = None  # files that were there before, where files are counted
        self._looked = 0.0

    def begin(self) -> None:
        """A statement comes that may write."""
        if not _counted():
            self._others = frozenset(_files())

    def resume(self) -> None:
        """The thread that asks works for the call from now on."""
        self._mark = _written()

    @property
    def over(self) -> bool:
        """Whether it was too much. Asked in the thread that works."""
        now = _written()
        self._bytes += now - self._mark
        self._mark = now
        return self._bytes > MOST or (self._others is not None and self._large(self._others))

    def _large(self, others: frozenset[tuple[int, int]]) -> bool:
        now = time.monotonic()
        if now - self._looked < _PAUSE:
            return False
        self._looked = now
        return sum(size for file, size in _files().items() if file not in others) > MOST


def _written() -> int:
    return 0 if _THREAD is None else resource.getrusage(_THREAD).ru_oublock * _BLOCK


@lru_cache(maxsize=1)
def _counted() -> bool:
    """Whether the kernel counts what SQLite writes to its folder for temporary files."""
    before = _written()
    with suppress(sqlite3.Error), closing(sqlite3.connect("")) as trial:  # a database that is such a file
        trial.execute("PRAGMA cache_size = 1")
        trial.execute(f"CREATE TABLE trial AS SELECT zeroblob({_TRIAL})")
    return _written() - before >= _TRIAL // 2


def _files() -> dict[tuple[int, int], int]:
    """SQLite's temporary files that this process has open: device and inode, and how large each is."""
    found = {}
    with suppress(OSError):
        for number in os.listdir(_OPEN):  # noqa: PTH208 - a Path for each of hundreds costs more than the looks
            with suppress(OSError):  # closed meanwhile
                if _NAME in os.readlink(f"{_OPEN}/{number}"):  # noqa: PTH115 - as above
                    file = os.fstat(int(number))
                    found[file.st_dev, file.st_ino] = file.st_size
    return found
