"""`kv doctor`: what this installation really protects, one verdict a line.

Rules of this file
- A check looks and never changes anything; it needs no unlocked vault, and says so where one would tell more.
- `bad` means that a promise does not hold here, `note` that it is weaker than it could be. The exit status is 1 for
  any `bad`, else 0.
- Nothing is claimed that was not looked at.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kv import __version__
from kv.cli import lookalikes, looking, tui
from kv.cli.finding import Finding
from kv.cli.options import Options, verb
from kv.clients import agent_above
from kv.errors import FAILED, KvError
from kv.hot.status import KEYS_NOTE, older_note
from kv.hot.status import ask as ask_status
from kv.paths import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import typer


_STYLE = {"good": "green", "note": "yellow", "bad": "red"}


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "doctor")(doctor)


def doctor(options: Options) -> None:
    """Check this installation, and say what it protects.

    \b
      kv doctor
    """
    found = [finding for check in CHECKS for finding in check(options)]
    if options.as_json:
        tui.print_json([finding._asdict() for finding in found])
    else:
        width = max(len(finding.what) for finding in found)
        for finding in found:
            mark = tui.styled(f"{finding.verdict:<5}", _STYLE[finding.verdict])
            first, *rest = tui.beside(finding.text, width + 8)
            tui.say(f"{mark} {finding.what:<{width}}  {first}")
            for row in rest:
                tui.say(" " * (width + 8) + row)
            for row in finding.script.splitlines():
                tui.say(f"    {row}")
    if any(finding.verdict == "bad" for finding in found):
        raise SystemExit(FAILED)


def _tier(options: Options) -> Iterator[Finding]:
    status = _status(options)
    tier = status.get("tier")
    if status.get("locked"):
        yield Finding("note", "tier", "locked, so nothing can be said; T1 at least once unlocked")
    elif tier == "T1":
        yield Finding("note", "tier", "T1 advisory: a program of your user could take your place (SECURITY.md)")
    else:
        yield Finding("good", "tier", f"{tier}")


def _status(options: Options) -> dict[str, object]:
    try:
        return ask_status(options.path)
    except KvError as error:
        return {"locked": True, "error": error}


def _keeper(options: Options) -> Iterator[Finding]:
    status = _status(options)
    error = status.get("error")
    if isinstance(error, KvError):
        yield Finding("bad", "keeper", f"{error.message} ({error.hint})")
    elif status["locked"]:
        yield Finding("good", "keeper", "none runs: locked")
    elif status.get("version") != __version__:
        yield Finding(
            "note", "keeper", f"runs version {status.get('version')}, installed is {__version__}: kv lock, kv unlock"
        )
    else:
        yield Finding("good", "keeper", f"pid {status.get('pid')}, version {__version__}")


def _vault(options: Options) -> Iterator[Finding]:
    path = options.path
    try:
        found = os.lstat(path)
    except OSError:
        yield Finding("note", "vault", f"there is none at {tui.tilde(path)}: kv init makes one")
        return
    yield _private("vault", path, found, 0o600, right_kind=stat.S_ISREG(found.st_mode))
    folder = Runtime(path).folder
    if os.path.lexists(folder):
        found = os.lstat(folder)
        yield _private("runtime", folder, found, 0o700, right_kind=stat.S_ISDIR(found.st_mode))
    above = os.stat(os.path.dirname(path))
    if above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX:
        yield Finding("bad", "folder", f"{tui.tilde(os.path.dirname(path))} may be written by others: chmod go-w")


def _private(what: str, path: str, found: os.stat_result, mode: int, *, right_kind: bool) -> Finding:
    if not right_kind:
        return Finding("bad", what, f"{tui.tilde(path)} is a link or something else that it should not be")
    if found.st_uid != os.geteuid():
        return Finding("bad", what, f"{tui.tilde(path)} belongs to another user")
    if found.st_mode & 0o077:
        return Finding("bad", what, f"{tui.tilde(path)} is open to others: chmod {mode:o}")
    return Finding("good", what, f"{tui.tilde(path)}, mode {stat.S_IMODE(found.st_mode):o}")


def _on_path(_: Options) -> Iterator[Finding]:
    """A look-alike `kv` earlier on PATH asks for a passphrase just as prettily."""
    mine = os.path.realpath(sys.argv[0])
    first = shutil.which("kv")
    if first is None:
        yield Finding("note", "PATH", "no kv on it; started by its path")
    elif os.path.realpath(first) != mine:
        yield Finding("bad", "PATH", f"'kv' is {first}, and this is {sys.argv[0]}: one of them is not what you think")
    else:
        yield Finding("good", "PATH", f"'kv' is {first}")
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if _writable_by_others(folder or "."):
            yield Finding(
                "bad", "PATH", f"{folder or 'the current folder'} may be written by others: anyone can put a kv there"
            )


def _writable_by_others(folder: str) -> bool:
    if folder == ".":
        return True
    try:
        return bool(os.stat(folder).st_mode & 0o002)
    except OSError:
        return False


def _installation(_: Options) -> Iterator[Finding]:
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.stat(package).st_mode & 0o022:
        yield Finding("bad", "installed", f"{package} may be written by others")
    elif os.access(package, os.W_OK):
        yield Finding("note", "installed", f"{package} is your own to write, and so an agent's of the same user")
    else:
        yield Finding("good", "installed", f"{package}, not writable by you")


def _ptrace(_: Options) -> Iterator[Finding]:
    try:
        scope = int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text(encoding="ascii"))
    except (OSError, ValueError):
        yield Finding("note", "ptrace", "no yama: your other programs can be traced; kv's own processes refuse it")
        return
    if scope == 0:
        yield Finding("note", "ptrace", "yama is 0: your shell and terminal can be traced by any program of yours")
    else:
        yield Finding("good", "ptrace", f"yama is {scope}")


def _swap(_: Options) -> Iterator[Finding]:
    try:
        rows = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return
    plain = [row.split()[0] for row in rows if not _encrypted(row.split()[0])]
    if plain:
        yield Finding(
            "note",
            "swap",
            f"{', '.join(plain)} is not encrypted; copies of values may go there, locked keys never do",
        )
    else:
        yield Finding("good", "swap", "none, in memory or encrypted")


def _encrypted(device: str) -> bool:
    if "zram" in device:
        return True
    try:
        name = os.path.basename(os.path.realpath(device))
        return Path(f"/sys/class/block/{name}/dm/uuid").read_text(encoding="ascii").startswith("CRYPT-")
    except OSError:
        return False


def _debuggers(_: Options) -> Iterator[Finding]:
    found = [name for name in ("LD_PRELOAD", "LD_AUDIT", "PYTHONPATH", "PYTHONSTARTUP") if os.environ.get(name)]
    if found:
        yield Finding("note", "environment", f"{', '.join(found)} is set: it loads code into programs, this one too")
    if label := agent_above(os.getppid()):
        yield Finding("note", "terminal", f"{label} runs this: kv asks for nothing secret here")


def _opened(options: Options) -> Iterator[Finding]:
    """What only a keeper knows: whether the file is the newest that was seen, and where the keys lie."""
    status = _status(options)
    if status.get("locked"):
        return
    if older := older_note(status):
        yield Finding("bad", "newest", older)
    else:
        yield Finding("good", "newest", f"generation {status.get('generation')}, none newer was seen")
    if status.get("keys") == "plain":
        yield Finding("bad", "keys", KEYS_NOTE)
    else:
        where = {"secret": "pages that only the keeper reaches", "locked": "locked pages"}
        yield Finding("good", "keys", f"in {where.get(str(status.get('keys')), 'memory')}")


def _slots(options: Options) -> Iterator[Finding]:
    status = _status(options)
    if status.get("locked"):
        return
    kinds = status.get("proofs")
    if isinstance(kinds, list):
        daily = [kind for kind in kinds if kind != "passphrase"]
        text = (
            f"daily proof: {', '.join(map(str, daily))}"
            if daily
            else "no daily proof: each approval takes the passphrase"
        )
        yield Finding("good" if daily else "note", "proofs", text)


def _audit(options: Options) -> Iterator[Finding]:
    """The chain itself, where a keeper can check it against the head in the vault."""
    from kv.client import ADMIN, Client

    try:
        with Client(options.path, ADMIN) as client:
            report = client.ask("audit-verify").ok
    except KvError as error:
        if error.code != "locked":
            yield Finding("bad", "audit", error.message)
        return
    told = f"{tui.counted(int(str(report.get('entries'))), 'entry', 'entries')}, chain intact"
    if alarms := int(str(report.get("alarms"))):
        counted = tui.counted(alarms, "alarm")
        yield Finding("bad", "audit", f"{told}, but {counted} recorded: kv audit list --all --alarms")
    else:
        yield Finding("good", "audit", f"{told}, no alarm recorded")


CHECKS: list[Callable[[Options], Iterator[Finding]]] = [
    _tier,
    _keeper,
    _vault,
    _opened,
    _slots,
    _audit,
    looking.findings,
    _on_path,
    lookalikes.on_path,
    lookalikes.aliases,
    lookalikes.told_clients,
    lookalikes.other_servers,
    _installation,
    _debuggers,
    _ptrace,
    _swap,
]
