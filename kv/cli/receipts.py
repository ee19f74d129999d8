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


class Use(NamedTuple):
    """A client that was told of us by an edit of a file.

    `receipt` is of that edit, None where all was there already; `left` is what of ours it left there, as a digest.
    """

    client: str
    path: str
    edit: str
    left: str
    receipt: Receipt | None


def keep(use: Use) -> None:
    """Remember an edit, or that nothing had to be done."""

    def kept(found: list[Use]) -> list[Use]:
        same = [each for each in found if each[:3] == use[:3]]
        if use.receipt is None and same:
            return [each._replace(left=use.left) if each is same[-1] else each for each in found]
        return [*found, use]

    _change(kept)


def written() -> dict[str, dict[str, str]]:
    """By file, what each edit left there last, whoever it was for."""
    found: dict[str, dict[str, str]] = {}
    for use in _read():
        found.setdefault(use.path, {})[use.edit] = use.left
    return found


def told() -> set[str]:
    """The clients that were told of kv, of those that this version knows."""
    from editor_setup.catalogue import names

    return {use.client for use in _read()} & set(names())


def uses(client: str, path: Path) -> list[Use]:
    """What was done to a file for a client, oldest first."""
    return [use for use in _read() if (use.client, use.path) == (client, str(path))]


def shared(client: str, path: Path) -> bool:
    """Whether another client uses what is in a file: then it stays."""
    return any(use.path == str(path) and use.client != client for use in _read())


def give_up(client: str, path: Path) -> None:
    """Forget a client's uses of a file. Where another uses the same, what was done is that one's to take back."""

    def rest(found: list[Use]) -> list[Use]:
        ours = [use for use in found if (use.client, use.path) == (client, str(path))]
        left = [use for use in found if use not in ours]
        heir = next((use.client for use in left if use.path == str(path)), None)
        if heir is None:
            return left
        return [*(use._replace(client=heir) for use in ours if use.receipt is not None), *left]

    _change(rest)


def _read() -> list[Use]:
    from editor_setup import files
    from editor_setup.contract import EditError

    try:
        return _uses(files.read(_path()) or "")
    except EditError as error:
        raise KvError("settings", path=str(_path()), why=error.message) from None


def _uses(text: str) -> list[Use]:
    from editor_setup import receipt
    from editor_setup.contract import EditError

    try:
        return [
            Use(
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


def _change(change: Callable[[list[Use]], list[Use]]) -> None:
    """Write what `change` makes of what is there, also when another `kv setup` wrote in between."""
    from editor_setup import files
    from editor_setup.contract import EditError, Splice

    def splices(now: str) -> list[Splice]:
        rows = [
            use._asdict() | {"receipt": use.receipt.as_dict() if use.receipt else None} for use in change(_uses(now))
        ]
        text = json.dumps(rows, indent=1) + "\n"
        return [Splice(0, now, text)] if now != text else []

    try:
        files.edit(_path(), splices)
    except EditError as error:
        raise KvError("settings", path=str(_path()), why=error.message) from None


def _path() -> Path:
    return Path(state_folder(), "setup.json")
