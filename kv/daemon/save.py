"""`save`: a new file beneath the folder whose descriptor the client passed, and nowhere else.

Rules of this file
- Every step is relative to a descriptor and refuses links (`O_NOFOLLOW`), so a folder swapped for a link between
  check and use leads nowhere. No `..`, no dot-folders or dot-files (`.git/hooks`, `.bashrc`), create only.
- What is written has been redacted; a result that is withheld leaves no file.
- The folder is the agent's, and may lie on a file system of its own making: nothing is opened or written in it but
  beside the loop, where it can hang for as long as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kv.daemon.aside import Aside
from kv.daemon.holdings import Holdings
from kv.disk import reason
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kv.daemon.holdings import Share

_T = TypeVar("_T")

MAX_BYTES = 256 << 20  # a saved answer: enough for an export, too little to fill a disk in one call
_SPOOLED, _SPOOLED_OF_ONE = 1 << 30, MAX_BYTES  # on disk at once: four of the largest, one of them of one session
_FOLDERS, _FOLDERS_OF_ONE = 64, 16  # threads that may hang in agents' folders, and those of one session
_OPEN_SECONDS = 10.0  # for the way to the folder: what was judged and approved waits for nobody's file system
_CHUNK = 1 << 20
_MAX_PARTS = 16
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def check_path(path: str) -> tuple[str, ...]:
    """The parts of a relative path that `save` may name. Raises `KvError("save")`."""
    parts = tuple(path.split("/"))
    if not path or len(parts) > _MAX_PARTS or not all(_plain(part) for part in parts):
        raise KvError("save", why="the path must be relative, without dot-files, '..' and control characters")
    return parts


def _plain(part: str) -> bool:
    return bool(part) and not part.startswith(".") and part.isprintable() and len(os.fsencode(part)) <= 255  # noqa: PLR2004 - NAME_MAX


class Saving:
    """Opens the files to be. One per keeper; `spools` is the folder in which they lie until they are kept."""

    def __init__(self, spools: str) -> None:
        self._spools = spools
        self._aside = Aside(_FOLDERS, "files that are being saved")
        self._at_work: Counter[str] = Counter()
        self._holdings = Holdings(_SPOOLED, _SPOOLED_OF_ONE, "answers that are being saved")

    async def open(self, session: str, folder: int, path: str) -> SavedFile:
        """A file to be at `path` beneath `folder`. Raises `KvError`: save, busy."""
        *folders, name = check_path(path)
        apart = Apart(self._aside, self._at_work, session)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                beneath = await apart.do((folder,), partial(_descend, folders), undo=_shut)
        except TimeoutError:
            raise KvError("save", why="its folder does not answer") from None
        try:
            spool = _spool(self._spools)
        except OSError as error:
            _shut(beneath)
            raise KvError("save", why=reason(error)) from None
        return SavedFile(beneath, name, spool, self._holdings.open(session), apart)


class Apart:
    """One session's work in its folders, in threads of which it has a part: one that hangs keeps its place."""

    def __init__(self, aside: Aside, at_work: Counter[str], session: str) -> None:
        self._aside, self._at_work, self._session = aside, at_work, session

    async def do(
        self, descriptors: Sequence[int], work: Callable[..., _T], undo: Callable[[_T], object] | None = None
    ) -> _T:
        """`work` with duplicates of `descriptors`, which it closes: it may hang for longer than its call lives.

        Raises `KvError`: busy, and what `work` raises, which is neither that nor an `OSError`.
        """
        if self._at_work[self._session] >= _FOLDERS_OF_ONE:
            raise KvError("busy", what=f"files that are being saved, of one session ({_FOLDERS_OF_ONE})")
        own: list[int] = []
        self._at_work[self._session] += 1
        try:
            own += (os.dup(descriptor) for descriptor in descriptors)
            return await self._aside.do(partial(work, *own), undo, self._ended)
        except (KvError, OSError) as error:
            if isinstance(error, KvError) and error.code != "busy":
                raise
            self._ended()
            for descriptor in own:  # the work, which would have closed them, has not begun
                _shut(descriptor)
            raise KvError("busy", what="files that are being saved") from None

    def _ended(self) -> None:
        self._at_work[self._session] -= 1
        if not self._at_work[self._session]:
            del self._at_work[self._session]


class SavedFile:
    """A file to be. `write` redacted bytes, then `keep` them; `close` in any case.

    Until it is kept, what was written lies where no other process can open it: a result that is withheld in the end
    must not have stood in the agent's folder meanwhile, where a hard link would have kept it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that `Saving.open` puts together
        self, folder: int, name: str, spool: int, share: Share, apart: Apart, most: int = MAX_BYTES
    ) -> None:
        self.size = 0
        self.most = most
        self._folder, self._name, self._spool, self._share, self._apart = folder, name, spool, share, apart
        self._given_up = threading.Event()

    def write(self, data: bytes) -> None:
        """Append. Raises `KvError`: save, busy."""
        if self.size + len(data) > self.most:
            raise too_large(self.most)
        self._share.reach(self.size + len(data))
        _write(self._spool, data)
        self.size += len(data)

    async def keep(self) -> None:
        """The result is whole and not withheld: make the file. Raises `KvError("save")`; then there is none."""
        await self._apart.do((self._spool, self._folder), partial(_copy, self._name, self.size, self._given_up))

    def close(self) -> None:
        """Forget what was not kept."""
        self._given_up.set()
        self._share.close()
        _shut(self._spool)
        _shut(self._folder)


def too_large(most: int) -> KvError:
    """The error for an answer of more than `most` bytes."""
    return KvError("save", why=f"it is larger than {most >> 20} MiB")


def _spool(folder: str) -> int:
    """A file without a name on the vault's disk, where a large answer costs no memory; in memory where that cannot be.

    It has no name at any time: a program of the same user could open it by one.
    """
    with contextlib.suppress(OSError, AttributeError):  # a file system or a system without such files
        return os.open(folder, os.O_TMPFILE | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    return os.memfd_create("save", os.MFD_CLOEXEC)


def _copy(name: str, size: int, given_up: threading.Event, spool: int, folder: int) -> None:
    """The spool's bytes in a new file, or no file. Closes both descriptors."""
    file, made = -1, False
    try:
        file = os.open(name, _NEW, 0o600, dir_fd=folder)
        made = True
        at = 0
        while at < size and not given_up.is_set() and (data := os.pread(spool, _CHUNK, at)):
            _write(file, data)
            at += len(data)
        if given_up.is_set():
            os.unlink(name, dir_fd=folder)  # nobody is told of it any more
        written, file = file, -1
        os.close(written)  # here a full or broken file system speaks up, and the number is free all the same
    except (KvError, OSError) as error:
        if made:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
        raise error if isinstance(error, KvError) else KvError("save", why=reason(error)) from None
    finally:
        for descriptor in {file, spool, folder} - {-1}:
            _shut(descriptor)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError as error:
        raise KvError("save", why=reason(error)) from None


def _descend(parts: list[str], here: int) -> int:
    """The folder of these parts beneath `here`, which is closed."""
    for part in parts:
        try:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        except OSError as error:
            raise KvError("save", why=reason(error)) from None
        finally:
            _shut(here)
        here = below
    return here


def _shut(descriptor: int) -> None:
    """Close it, once: a close that fails has closed all the same, and the number may be somebody else's by now."""
    with contextlib.suppress(OSError):
        os.close(descriptor)
