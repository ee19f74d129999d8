"""What a person is warned of when a vault is opened, or found open: to their face, not in a log.

Rules of this file
- Every warning says how to go on. They go to stderr, one line each, and into `--json` as `warnings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.cli import tui
from kv.hot.status import older_note, version_note

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = {
    "idle": "--idle",
    "until": "--until",
    "accept_older": "--accept-older",
    "agent_uids": "--agent-uid",
    "calls_per_minute": "--calls-per-minute",
}


def warn_of(told: Mapping[str, object]) -> list[str]:
    """Say what a keeper found when it opened the vault: somebody was at the files, or it ended badly before."""
    found = []
    if told.get("read_only"):
        found.append(f"{older_note(told)}. If you did not, somebody put it there")
    alarms = told.get("alarms")
    found += [f"ALARM: {alarm}" for alarm in alarms] if isinstance(alarms, list) else []
    if alarms:
        found.append("kv audit list --all --alarms shows every alarm")
    if told.get("recovered") and not told.get("read_only"):
        entries = tui.counted(int(str(told["recovered"])), "audit entry", "audit entries")
        found.append(f"the keeper before this one was killed: {entries} after the last sealed head")
    return _said(found)


def warn_of_running(status: Mapping[str, object], *, chosen: list[str]) -> list[str]:
    """What the keeper that runs already does not do, and how to have it done."""
    found = [line for line in (version_note(status), older_note(status)) if line]
    if chosen:
        named = ", ".join(_OPTIONS[name] for name in chosen)
        found.append(f"a keeper runs already: {named} is taken at its start only. kv lock, then kv unlock again")
    return _said(found)


def _said(found: list[str]) -> list[str]:
    for line in found:
        tui.warn(line)
    return found
