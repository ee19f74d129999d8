"""Backups: backup, restore-backup.

Rules of this file
- A backup is the sealed vault file itself, copied by SQLite's own means: worth as much to a thief, and no more.
- Restoring replaces a vault, so it is done only while that is locked, keeps the replaced file beside it, and takes
  the passphrase of the file that is brought back.
"""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from kv.cli import tui
from kv.cli.keeper import acting, take_shelter
from kv.cli.options import Options, verb
from kv.cli.proof import Prover
from kv.cli.terminal import Terminal
from kv.client import ADMIN, Client
from kv.errors import KvError

_COPY = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "backup")(backup)
    verb(app, "restore-backup")(restore_backup)


def backup(
    options: Options,
    *,
    file: Annotated[str | None, typer.Argument(metavar="FILE", show_default=False)] = None,
) -> None:
    """Copy the sealed vault to a new file.

    Consistent even while calls run. Needs no proof: it stays sealed.

    \b
      kv backup /media/stick/vault.kv
    """
    target = os.path.abspath(file or time.strftime("vault-%Y%m%d-%H%M%S.kv"))
    with acting(options) as keeper:
        if keeper.locked:
            _copy_new(options.path, target)
        else:
            folder = _folder(target)
            try:
                keeper.ask("backup", {"file": os.path.basename(target)}, folder=folder)
            finally:
                os.close(folder)
    if options.as_json:
        tui.print_json({"file": target})
    else:
        tui.say(f"backed up to {tui.tilde(target)}   (sealed; opens with today's passphrase)")


def _folder(path: str) -> int:
    try:
        return os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KvError("disk", act="write", path=path, why=os.strerror(error.errno or 0)) from None


def _copy_new(source: str, target: str) -> None:
    """Copy a file that nobody has open (a locked vault is one file) to a new one, 0600."""
    if not os.path.exists(source):
        raise KvError("vault-missing", path=source)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(source, "rb") as reader, os.fdopen(descriptor, "wb") as writer:
            while chunk := reader.read(_COPY):
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
    except OSError as error:
        raise KvError("disk", act="write", path=target, why=os.strerror(error.errno or 0)) from None


def restore_backup(
    options: Options,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the vault's place.

    The vault it replaces is kept beside it. Takes the passphrase of the backup.

    \b
      kv restore-backup /media/stick/vault.kv
    """
    path = options.path
    _refuse_running(path)
    prover = Prover(options)
    prover.check_possible("restore-backup")
    take_shelter()
    try:
        prover.root_of(os.path.abspath(file))
    finally:
        prover.forget()
    if not yes and options.passphrase_fd is None:
        with Terminal() as terminal:
            if not terminal.confirm(f"replace {tui.tilde(path)} by this backup?"):
                tui.note("nothing was replaced")
                return
    kept = _replace(path, os.path.abspath(file))
    if options.as_json:
        tui.print_json({"vault": path, "kept": kept})
        return
    tui.say(f"restored {tui.tilde(path)}{f'; the old one is {tui.tilde(kept)}' if kept else ''}")
    tui.say("kv unlock --accept-older opens it: it is older than what was seen last")


def _refuse_running(path: str) -> None:
    try:
        with Client(path, ADMIN) as client:
            pid = int(str(client.keeper.get("pid", 0)))
    except KvError as error:
        if error.code == "locked":
            return
        raise
    raise KvError("keeper-runs", pid=pid)


def _replace(path: str, source: str) -> str:
    """Copy beside the vault first, then move the old one away and the new one in: each step is atomic."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary, kept = f"{path}.restoring", ""
    _copy_new(source, temporary)
    if os.path.exists(path):
        kept = f"{path}.{time.strftime('%Y%m%d-%H%M%S')}.old"
        os.rename(path, kept)
    os.rename(temporary, path)
    return kept
