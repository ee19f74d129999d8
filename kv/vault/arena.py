"""Memory for keys: pages that are never swapped, dumped, inherited or, where the kernel can, read by anyone else.

Rules of this file
- Best first: `memfd_secret` (Linux 5.14; the pages leave the kernel's own map, so that even root reading
  `/proc/PID/mem` gets an error), else locked anonymous pages out of core dumps and forks.
- The descriptor of the secret pages is closed at once: root could take a descriptor, but not a mapping.
- A page is unmapped when nothing refers to it any more, so a view that outlives its arena reads zeros, not a fault.
- Wiped by `close`, and by the garbage collector for who forgot.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = mmap.PAGESIZE

_MEMFD_SECRET = 447  # the same number on every architecture that has it (Linux's unistd.h)
_O_CLOEXEC = 0o2000000
_PROT = mmap.PROT_READ | mmap.PROT_WRITE
_MADV_DONTFORK = 10
_MADV_DONTDUMP = 16
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
for _name in ("munmap", "mlock"):
    getattr(_libc, _name).argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_munmap, _addressof = _libc.munmap, ctypes.addressof
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class _Page(ctypes.Array):  # type: ignore[type-arg]  # generic for mypy only
    """One mapped page; every view of it keeps it alive, the last one's end unmaps it."""

    _type_ = ctypes.c_ubyte
    _length_ = PAGE
    owner = 0  # pid: a forked child has the object but not the page

    def wipe(self, memset: Callable[..., object] = ctypes.memset, getpid: Callable[[], int] = os.getpid) -> bool:
        """Overwrite with zeros; whether the page is there. The defaults outlive the modules at exit."""
        if self.owner != getpid():
            return False
        memset(_addressof(self), 0, PAGE)
        return True

    def __del__(self) -> None:
        if self.wipe():
            _munmap(_addressof(self), PAGE)


class Arena:
    """One page for keys. `kind` says how well it is kept: "secret", "locked" or, where neither works, "plain"."""

    def __init__(self) -> None:
        """Raises `MemoryError` where not even a plain page can be had."""
        self.kind, address = _map()
        self._page = _Page.from_address(address)
        self._page.owner = os.getpid()
        self._cells: list[memoryview] = []
        self._used = 0

    @property
    def address(self) -> int:
        """Where the page is. For tests: nothing else needs to know."""
        return _addressof(self._page)

    def cell(self, size: int) -> memoryview:
        """`size` writable bytes, zero, until `close`. Raises `MemoryError` when the page is full."""
        if self._used + size > PAGE:
            raise MemoryError
        view = memoryview(self._page).cast("B")[self._used : self._used + size]
        self._used += size
        self._cells.append(view)
        return view

    def close(self) -> None:
        """Wipe everything and end every cell: using one later raises `ValueError`. Idempotent."""
        self._page.wipe()
        for view in self._cells:
            with suppress(BufferError):
                view.release()
        self._cells.clear()
        self._used = PAGE


def _map() -> tuple[str, int]:
    address = _map_secret()
    if address is not None:
        _libc.madvise(address, PAGE, _MADV_DONTFORK)
        return "secret", address
    address = _libc.mmap(None, PAGE, _PROT, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if address == _FAILED or address is None:
        raise MemoryError
    if sys.platform == "linux":
        _libc.madvise(address, PAGE, _MADV_DONTDUMP)
        _libc.madvise(address, PAGE, _MADV_DONTFORK)
    return ("locked" if _libc.mlock(address, PAGE) == 0 else "plain"), address


def _map_secret() -> int | None:
    """A page of `memfd_secret`, or None where the kernel or a limit (RLIMIT_MEMLOCK) refuses."""
    if sys.platform != "linux":
        return None
    descriptor = _libc.syscall(_MEMFD_SECRET, _O_CLOEXEC)
    if descriptor < 0:
        return None
    try:
        os.ftruncate(descriptor, PAGE)
        address = _libc.mmap(None, PAGE, _PROT, mmap.MAP_SHARED, descriptor, 0)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if address == _FAILED else int(address)
