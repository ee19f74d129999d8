"""Files, for whoever writes some: a new name that lasts, and why there is none, in our words.

Rules of this file
- The system's text of an error may quote a path, which may be an agent's: what is said of it here quotes nothing.
"""

from __future__ import annotations

import errno
import os

_REASONS = {
    errno.EEXIST: "the file exists already",
    errno.ENOENT: "its folder does not exist",
    errno.ELOOP: "a part of the path is a link",
    errno.ENOTDIR: "a part of the path is a link or no folder",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "the folder may not be written",
    errno.EROFS: "the folder may not be written",
}


def reason(error: OSError) -> str:
    """Why a file was not written."""
    return _REASONS.get(error.errno or 0, "the system refused it")


def sync_folder(folder: str) -> None:
    """Put the names in it on disk. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
