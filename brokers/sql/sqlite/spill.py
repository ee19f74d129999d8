"""What one call has SQLite write beside memory: sorts and sets that outgrow its cache go to files without a name.

Rules of this file
- A read writes nothing else, so what its thread writes is that. Kernels count it for each thread; asking is one call.
- What is counted is what reaches a disk. Where the folder for temporary files is memory it is not counted, and nothing
  of a disk is filled.

Not `temp_store = MEMORY`: the whole of a sort would then be memory of the keeper, and SQLite bounds it (by
`hard_heap_limit`) for the process alone, in which the vault is SQLite too.
"""

from __future__ import annotations

import resource

MOST = 256 << 20  # bytes of one read
STEPS = 250  # of SQLite's machine between two looks, some of which write: each a value of 16 MB at worst
OPENING = frozenset({"OpenEphemeral", "SorterOpen", "OpenAutoindex"})  # steps of a program that may write
_BLOCK = 512  # bytes: the unit of the count
_THREAD = getattr(resource, "RUSAGE_THREAD", None)  # Linux


class Spill:
    """The bytes of one call. It works in one thread at a time, and each time may be another's."""

    def __init__(self) -> None:
        self._bytes = 0
        self._mark = _written()

    def resume(self) -> None:
        """The thread that asks works for the call from now on."""
        self._mark = _written()

    @property
    def over(self) -> bool:
        """Whether it was too much. Asked in the thread that works."""
        now = _written()
        self._bytes += now - self._mark
        self._mark = now
        return self._bytes > MOST


def _written() -> int:
    return 0 if _THREAD is None else resource.getrusage(_THREAD).ru_oublock * _BLOCK
