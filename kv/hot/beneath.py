"""A file beneath the folder that a command was started in, read without following a link.

Rules of this file
- No `..`, no dot-folders and dot-files (`.git`, `.env`, `.ssh`): a model that was talked into sending one has to be
  refused where the file is read. The keeper cannot look: it never sees the name.
"""

from __future__ import annotations

import os

from kv.errors import KvError

_MOST = 16 << 20  # bytes: what a frame carries
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_beneath(path: str) -> bytes:
    """The file's bytes. Raises `KvError`: bad-argument, disk, too-large."""
    parts = path.split("/")
    if not all(part and not part.startswith(".") and part.isprintable() for part in parts):
        raise KvError(
            "bad-argument", argument="file", why="a file below the working folder, without '..' and dot-files"
        )
    here = os.open(".", _FLAGS | os.O_DIRECTORY)
    try:
        for at, part in enumerate(parts, 1):
            flags = _FLAGS if at == len(parts) else _FLAGS | os.O_DIRECTORY
            below = os.open(part, flags | os.O_NONBLOCK, dir_fd=here)
            os.close(here)
            here = below
        data = b""
        while len(data) <= _MOST and (more := os.read(here, 1 << 20)):
            data += more
    except OSError as error:
        raise KvError("disk", act="read", path=path, why=os.strerror(error.errno or 0)) from None
    finally:
        os.close(here)
    if len(data) > _MOST:
        raise KvError("too-large", argument="file", limit="16 MiB")
    return data
