"""One file on disk, edited: read, changed by splices, written so that no moment shows half of it.

Rules of this file
- Bytes are UTF-8 and stay as they are: no line end is translated, a byte-order mark is a character like others.
- A symbolic link stays one: what it leads to is changed. Mode and owner are kept.
- What is written was made from what is there: right before it is put in place the file is read once more, and if a
  running client rewrote it meanwhile, the edit is made anew on that.
- No file that is not a plain file of this user's is touched.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from editor_setup.contract import EditError, spliced

if TYPE_CHECKING:
    from collections.abc import Callable

    from editor_setup.contract import Splice

MAX_BYTES = 32 << 20  # the largest settings seen are state files of 5 MB
_TRIES = 5  # a client rewrites its file now and then, not all the time
_NEW = 0o600  # mode of a file that was not there: settings are their person's own


def read(path: Path) -> str | None:
    """The text of a file, or None where there is none. Raises `EditError`: `place`, `unreadable`, `large`."""
    data = _bytes(path)
    return None if data is None else _text(data)


def edit(path: Path, change: Callable[[str], list[Splice]]) -> tuple[list[Splice], str | None]:
    """Change a file; the splices that were made and the text before, None where there was none.

    Nothing is written where `change` gives no splice. Raises `EditError`: what `read` and `change` raise, and
    `changed` where the file never stood still.
    """
    target = path.resolve()
    for _ in range(_TRIES):
        before = _bytes(target)
        text = "" if before is None else _text(before)
        splices = change(text)
        if splices:
            require_writable(target)
        if not splices or _replace(target, before, spliced(text, splices).encode()):
            return splices, None if before is None else text
    raise EditError("changed")


def require_writable(path: Path) -> None:
    """Raise `EditError("place")` for a file that its person made read-only, and so wants no other in its place."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # none yet, or `read` says what it is
    if not mode & stat.S_IWUSR:
        raise EditError("place")


def remove(path: Path, expected: str) -> bool:
    """Remove a file that holds nothing but `expected`; whether it did."""
    if read(path) != expected:
        return False
    path.resolve().unlink()
    return True


def missing(path: Path) -> int:
    """How many folders an edit would make, so that `path` can be in them."""
    return sum(not folder.exists() for folder in path.resolve().parents)


def prune(path: Path, folders: int) -> None:
    """Remove the innermost `folders` folders around `path`, as far as they are empty."""
    with contextlib.suppress(OSError):  # somebody else's file is in it by now
        for folder in path.resolve().parents[:folders]:
            folder.rmdir()


def _replace(target: Path, before: bytes | None, after: bytes) -> bool:
    """Put `after` in the place of `before`; false where something else stands there by now."""
    try:
        return _put(target, before, after)
    except FileExistsError:
        return False
    except OSError:  # a folder that takes nothing, a full disk
        raise EditError("place") from None


def _put(target: Path, before: bytes | None, after: bytes) -> bool:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            _like(file.fileno(), target, exists=before is not None)
            os.fsync(file.fileno())
        if _bytes(target) != before:
            return False
        if before is None:
            os.link(name, target)  # and not over what appeared meanwhile
            return True
        Path(name).replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
    return True


def _like(descriptor: int, target: Path, *, exists: bool) -> None:
    """Mode and owner of the file that is replaced."""
    if not exists:
        os.fchmod(descriptor, _NEW)
        return
    found = target.stat()
    with contextlib.suppress(PermissionError):  # its group, of which this user is no member any more
        os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))


def _bytes(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError:
        raise EditError("place") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise EditError("place")
        if found.st_size > MAX_BYTES:
            raise EditError("large")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise EditError("unreadable", line=data.count(b"\n", 0, error.start) + 1) from None
