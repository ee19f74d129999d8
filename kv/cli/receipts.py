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
    from collections.abc import Callable

    from editor_setup.receipt import Receipt


class Mark(NamedTuple):
    """A client that was told of us by an edit of a file.

    `receipt` is of that edit, None where all was there already; `left` is what of ours it left there, as a digest.
    """

    client: str
    path: str
    edit: str
    left: str
    receipt: Receipt | None


def keep(mark: Mark) -> None:
    """Remember an edit, or that nothing had to be done."""

    def kept(found: list[Mark]) -> list[Mark]:
        same = [each for each in found if each[:3] == mark[:3]]
        if mark.receipt is None and same:
            return [each._replace(left=mark.left) if each is same[-1] else each for each in found]
        return [*found, mark]

    _change(kept)


def written() -> dict[str, dict[str, str]]:
    """By file, what each edit left there last, whoever it was for."""
    found: dict[str, dict[str, str]] = {}
    for mark in _read():
        found.setdefault(mark.path, {})[mark.edit] = mark.left
    return found


def told() -> set[str]:
    """The clients that were told of kv, of those that this version knows."""
    from editor_setup.catalogue import names

    return {mark.client for mark in _read()} & set(names())


def marks(client: str, path: Path) -> list[Mark]:
    """What was done to a file for a client, oldest first."""
    return [mark for mark in _read() if (mark.client, mark.path) == (client, str(path))]


def shared(client: str, path: Path) -> bool:
    """Whether another client uses what is in a file: then it stays."""
    return any(mark.path == str(path) and mark.client != client for mark in _read())


def give_up(client: str, path: Path) -> None:
    """Forget a client's marks in a file. Where another has the same, what was done is that one's to take back."""

    def rest(found: list[Mark]) -> list[Mark]:
        ours = [mark for mark in found if (mark.client, mark.path) == (client, str(path))]
        left = [mark for mark in found if mark not in ours]
        heir = next((mark.client for mark in left if mark.path == str(path)), None)
        if heir is None:
            return left
        return [*(mark._replace(client=heir) for mark in ours if mark.receipt is not None), *left]

    _change(rest)


def _read() -> list[Mark]:
    from editor_setup import files
    from editor_setup.contract import EditError

    try:
        return _marks(files.read(_path()) or "")
    except EditError as error:
        raise KvError("settings", path=str(_path()), why=error.message) from None


def _marks(text: str) -> list[Mark]:
    from editor_setup import receipt
    from editor_setup.contract import EditError

    try:
        return [
            Mark(
                client=str(row["client"]),
                path=str(row["path"]),
                edit=str(row["edit"]),
                left=str(row["left"]),
                receipt=receipt.of(row["receipt"]) if row["receipt"] else None,
            )
            for row in json.loads(text or "[]")
        ]
    except (ValueError, KeyError, TypeError, EditError):
        raise KvError("settings", path=str(_path()), why="it is not what kv setup wrote") from None


def _change(change: Callable[[list[Mark]], list[Mark]]) -> None:
    """Write what `change` makes of what is there, also when another `kv setup` wrote in between."""
    from editor_setup import files
    from editor_setup.contract import EditError, Splice

    def splices(now: str) -> list[Splice]:
        rows = [
            mark._asdict() | {"receipt": mark.receipt.as_dict() if mark.receipt else None}
            for mark in change(_marks(now))
        ]
        text = json.dumps(rows, indent=1) + "\n"
        return [Splice(0, now, text)] if now != text else []

    try:
        files.edit(_path(), splices)
    except EditError as error:
        raise KvError("settings", path=str(_path()), why=error.message) from None


def _path() -> Path:
    return Path(state_folder(), "setup.json")
