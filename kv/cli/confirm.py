"""Which vaults this user confirmed: a passphrase is typed for a vault that its owner named once, and no other.

Rules of this file
- `KV_VAULT` and `XDG_DATA_HOME` can be set by whatever writes a shell's start-up files: a vault seen for the first
  time is shown and asked for at the terminal, so that nobody fills a stranger's vault.
- With `--passphrase-fd` there is nobody to ask: the path is printed, and the given passphrase says yes.
- One path a line in `$XDG_STATE_HOME/kv/vaults`; appending is atomic, and nothing is ever removed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kv.cli.terminal import Terminal
from kv.cli.tui import tilde
from kv.errors import KvError, clean
from kv.paths import state_folder

if TYPE_CHECKING:
    from kv.cli.options import Options


def confirm_vault(path: str, options: Options) -> None:
    """Return once `path` is known or was said yes to. Raises `KvError("usage")` for a no, `no-terminal`."""
    if path in confirmed():
        return
    shown = clean(tilde(path), limit=1000)
    if options.passphrase_fd is not None:
        print(f"kv: vault: {shown}", file=sys.stderr)
    else:
        with Terminal() as terminal:
            terminal.print(f"this vault was not used here before: {shown}")
            if not terminal.confirm("is it yours?"):
                raise KvError("usage", why="not this vault; check --vault, KV_VAULT and XDG_DATA_HOME")
    remember_vault(path)


def confirmed() -> set[str]:
    """The paths said yes to."""
    try:
        with open(_file(), encoding="utf-8", errors="surrogateescape") as file:
            return set(file.read().split("\n"))
    except OSError:
        return set()


def remember_vault(path: str) -> None:
    """Add `path`. A state folder that cannot be written means being asked again, no more."""
    if "\n" in path or path in confirmed():
        return
    try:
        os.makedirs(state_folder(), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(_file(), flags, 0o600)
    except OSError:
        return
    try:
        os.write(descriptor, os.fsencode(path) + b"\n")
    finally:
        os.close(descriptor)


def _file() -> str:
    return os.path.join(state_folder(), "vaults")
