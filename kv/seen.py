"""The last generation seen of each vault, kept outside it: an older file put in its place is noticed.

Rules of this file
- One small file a vault, named by a digest of its path; written whole and renamed into place.
- A number never goes down here, except by `kv unlock --accept-older` and a person's passphrase.
- It stops a mix-up and a backup program, and makes a thief take one more file; a program of the same user that
  restores both is stopped by no file of that user (SECURITY.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

from kv.paths import state_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGITS = 20  # of a generation: 64 bits


def seen(path: str) -> int | None:
    """The last generation seen of the vault at `path`, or None."""
    try:
        with open(_file(path), encoding="ascii") as file:
            text = file.read(_DIGITS + 1).strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def remember(path: str, told: Mapping[str, object], *, accept_older: bool = False) -> None:
    """Note the generation that a keeper told. A state folder that cannot be written is no error: see the rules."""
    generation = told.get("generation")
    if type(generation) is not int or (not accept_older and generation < (seen(path) or 0)):
        return
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(_file(path)), mode=0o700, exist_ok=True)
        temporary = f"{_file(path)}.{os.getpid()}"
        with open(temporary, "x", encoding="ascii") as file:
            file.write(f"{generation}\n")
        os.replace(temporary, _file(path))


def _file(path: str) -> str:
    return os.path.join(state_folder(), "seen", hashlib.sha256(os.fsencode(path)).hexdigest()[:32])
