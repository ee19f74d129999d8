"""What a target of the fuzzer is, and the folder that those with files work in."""

from __future__ import annotations

import atexit
import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


@dataclass(frozen=True)
class Target:
    """One reader. `act` raises `declared`, and of `KvError` the `codes` only; or it returns."""

    name: str
    act: Callable[[Random], object]
    declared: tuple[type[Exception], ...]
    codes: frozenset[str] = frozenset()


def kv_target(name: str, act: Callable[[Random], object], *codes: str) -> Target:
    """A reader that declares codes of the closed list."""
    return Target(name, act, (KvError,), frozenset(codes))


def put(path: Path, data: bytes) -> None:
    """A file of ours alone, and nothing beside it."""
    for suffix in ("", "-wal", "-shm", "-journal")[: 1 if "-" in path.name else None]:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def folder() -> Path:
    """A folder of ours that goes with the process."""
    memory = "/dev/shm"  # noqa: S108 - a folder of our own in it, where a sync costs nothing
    kept = tempfile.TemporaryDirectory(prefix="kv-fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(partial(tempfile.TemporaryDirectory.cleanup, kept))
    return Path(kept.name)
