"""`kv status`: whether a keeper runs, and how it is. Locked is an answer, not a failure."""

from __future__ import annotations

from kv import __version__
from kv.client import AGENT, Client
from kv.errors import KvError
from kv.hot.arguments import HELP, read
from kv.hot.result import counted, print_json
from kv.paths import home, vault_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_HELP = """
usage: kv status [--json]

Say whether the vault is unlocked, how long it stays so, and which protection
this installation has: T1 advisory, T2 interface, T3 contained (SECURITY.md).

  kv status --json
"""
KEYS_NOTE = "the keys lie in pages that could not be locked and may be swapped out: raise the limit (ulimit -l)"
OPTIONS = HELP


def main(_: str, argv: list[str]) -> int:
    """Perform `kv status`. Raises `KvError` for a keeper that is not ours or that speaks another version."""
    if (found := read(argv, OPTIONS, _HELP)) is None:
        return 0
    vault = vault_path(found.get("vault"))
    status = ask(vault)
    if found.on("json"):
        print_json({**status, "warnings": notes(status)})
    else:
        _print(status)
    return 0


def ask(vault: str) -> dict[str, object]:
    """The keeper's status, or that of a locked vault."""
    try:
        with Client(vault, AGENT) as client:
            return client.ask("status").ok
    except KvError as error:
        if error.code != "locked":
            raise
    import os

    return {"locked": True, "pid": None, "tier": None, "vault": vault, "exists": os.path.exists(vault)}


def _print(status: dict[str, object]) -> None:
    shown = tilde(str(status.get("vault", "")))
    if status.get("locked"):
        print(f"locked: {shown}" if status.get("exists") else f"no vault: {shown}   (kv init makes one)")
        return
    print(f"unlocked: {shown}   {times(status)}")
    print(f"  keeper   pid {status.get('pid')}, version {status.get('version')}, tier {status.get('tier')}")
    print(f"  holds    {', '.join(counted(status.get(f'{noun}s'), noun) for noun in ('secret', 'connection'))}")
    if status.get("runs"):
        print(f"  runs     {counted(status['runs'], 'program')} with secrets (kv panic ends them)")
    if status.get("waiting"):
        print(f"  waiting  {counted(status['waiting'], 'call')} of this session (kv approvals)")
    for line in notes(status):
        print(f"  warning  {line}")


def notes(status: dict[str, object]) -> list[str]:
    """What a person should know about the keeper that runs."""
    if status.get("locked"):
        return []
    keys = KEYS_NOTE if status.get("keys") == "plain" else ""
    return [line for line in (version_note(status), older_note(status), keys) if line]


def version_note(status: Mapping[str, object]) -> str:
    """That the keeper is of another version than this command, and how to go on; "" if it is not."""
    running = status.get("version")
    if running == __version__:
        return ""
    return f"the keeper runs version {running}, installed is {__version__}: kv lock, then kv unlock"


def older_note(status: Mapping[str, object]) -> str:
    """That the vault is open read-only, and why; "" if it is not."""
    if not status.get("read_only"):
        return ""
    return (
        f"read-only: this vault file is older than the one seen last (generation {status.get('generation')}, "
        f"seen {status.get('seen')}). If you restored it yourself: kv lock, then kv unlock --accept-older"
    )


def times(status: dict[str, object]) -> str:
    """`(locks after 4 h idle, 12 h at most)`, of what is left."""
    idle, cap = status.get("idle_left"), status.get("cap_left")
    parts = [f"locks in {span(idle)} if idle"] if isinstance(idle, int | float) else []
    parts += [f"in {span(cap)} at most"] if isinstance(cap, int | float) else []
    return f"({', '.join(parts)})" if parts else ""


def span(seconds: float) -> str:
    """A duration in two units at most: `3 h 20 min`, `45 s`; a minute that has begun counts from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes + bool(rest and minutes >= 59), 60)  # noqa: PLR2004 - of sixty
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{rest} s"


def tilde(path: str) -> str:
    """A path with the home folder written `~`."""
    folder = home().rstrip("/")
    return "~" + path[len(folder) :] if folder and path.startswith(folder + "/") else path
