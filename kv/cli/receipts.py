"""What `kv setup` did to which file and for whom, kept so that it can be taken back.

Rules of this file
- One file of this user's, beside what else kv remembers of its surroundings; it holds pieces of other programs'
  settings, so it is theirs alone (0600).
- Several clients read one file, `AGENTS.md` for one: what is there for another stays when one is taken out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kv.errors import KvError
from kv.paths import state_folder

if TYPE_CHECKING:
    from editor_setup.receipt import Receipt


class Use(NamedTuple):
    """A client that was told of us in a file; `receipt` of the edit, None where it was there already."""

    client: str
    path: str
    receipt: Receipt | None


def keep(client: str, path: Path, receipt: Receipt | None) -> None:
    """Remember that a client uses what is in a file."""
    uses = _read()
    if receipt is not None or (client, str(path)) not in {(use.client, use.path) for use in uses}:
        _write([*uses, Use(client, str(path), receipt)])


def give_up(client: str, path: Path) -> list[Receipt] | None:
    """Forget that use. The receipts to take back, oldest first; None where another client uses the same."""
    uses = _read()
    rest = [use for use in uses if (use.client, use.path) != (client, str(path))]
    ours = [use.receipt for use in uses if use not in rest and use.receipt is not None]
    heir = next((use.client for use in rest if use.path == str(path)), None)
    if heir is not None:
        rest = [*(Use(heir, str(path), receipt) for receipt in ours), *rest]
    _write(rest)
    return ours if heir is None else None


def _read() -> list[Use]:
    from editor_setup import files, receipt
    from editor_setup.contract import EditError

    try:
        rows = json.loads(files.read(_path()) or "[]")
        return [
            Use(str(row["client"]), str(row["path"]), receipt.of(row["receipt"]) if row["receipt"] else None)
            for row in rows
        ]
    except (ValueError, KeyError, TypeError, EditError):
        raise KvError("settings", path=str(_path()), why="it is not what kv setup wrote") from None


def _write(uses: list[Use]) -> None:
    from editor_setup import files
    from editor_setup.contract import Splice

    rows = [use._asdict() | {"receipt": use.receipt.as_dict() if use.receipt else None} for use in uses]
    text = json.dumps(rows, indent=1) + "\n"
    files.edit(_path(), lambda now: [Splice(0, now, text)] if now != text else [])


def _path() -> Path:
    return Path(state_folder(), "setup.json")
