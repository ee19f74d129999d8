"""The content of a git work tree, as one digest: what a yes for good can be bound to.

Rules of this file
- git is asked for names and for nothing else (`ls-files`), with everything off by which a repository's own settings
  start a program. What the files hold is read here.
- All that git tracks and all that it does not ignore counts; and only a `.gitignore` below the tree ignores, which
  counts itself. `.git/info/exclude` and a person's own excludes are in nobody's sight.
- What is ignored does not count (build output, installed packages), and the agent can change it: the card says so.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import time

_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-c", "core.hooksPath=/dev/null")
_LIST = ("ls-files", "-z", "--cached", "--others", "--exclude-per-directory=.gitignore")
_FILES, _BYTES, _SECONDS = 20_000, 256 << 20, 5.0  # more is not looked at, and then there is nothing to bind to
_NAMES = 4 << 20  # bytes of their names
_CHUNK = 1 << 20


def tree(folder: str, path: str) -> str:
    """SHA-256 over the work tree that `folder` lies in, 64 hex digits; "" where there is none, or it is too large.

    `path` is where git is looked for. May take `_SECONDS` twice.
    """
    root = _git(folder, path, "rev-parse", "--show-toplevel").removesuffix(b"\n")
    if not root or not (folder + "/").startswith(os.fsdecode(root).rstrip("/") + "/"):
        return ""
    top = os.fsdecode(root)
    names = _git(top, path, *_LIST)
    if not names or len(names) > _NAMES:
        return ""
    listed = sorted(set(names.split(b"\0")) - {b""})
    try:
        return _digest(top, listed) if len(listed) <= _FILES else ""
    except OSError:
        return ""


def _git(folder: str, path: str, *words: str) -> bytes:
    """What git says, or nothing. Its environment is ours: what a repository or an agent would set is not in it."""
    environment = {"PATH": path, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - git as the person has it, and no shell
            [*_GIT, "-c", f"safe.directory={folder}", "-C", folder, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""


def _digest(top: str, names: list[bytes]) -> str:
    """Names, kinds and contents. Raises `OSError` where one cannot be read, or it is too much."""
    whole, left, until = hashlib.sha256(), _BYTES, time.monotonic() + _SECONDS
    for name in names:
        place = os.path.join(os.fsencode(top), name)
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            whole.update(b"%b\0gone\0" % name)  # tracked, and deleted
            continue
        if stat.S_ISLNK(found.st_mode):
            content, kind = hashlib.sha256(os.readlink(place)), b"link"
        elif stat.S_ISREG(found.st_mode):
            left -= found.st_size
            content, kind = _content(place, found), b"program" if found.st_mode & stat.S_IXUSR else b"file"
        else:
            raise OSError  # a submodule, a device: not looked into
        if left < 0 or time.monotonic() > until:
            raise OSError
        whole.update(b"%b\0%b\0" % (name, kind) + content.digest())
    return whole.hexdigest()


def _content(place: bytes, expected: os.stat_result) -> hashlib._Hash:
    file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(file)
        if (found.st_dev, found.st_ino, found.st_size) != (expected.st_dev, expected.st_ino, expected.st_size):
            raise OSError
        digest = hashlib.sha256()
        for _ in range(0, found.st_size + 1, _CHUNK):
            digest.update(os.read(file, _CHUNK))
        return digest
    finally:
        os.close(file)
