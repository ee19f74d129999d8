"""What was done to a file, so that it can be taken back: to the byte where nobody touched it since, else ours alone.

Rules of this file
- A receipt is written before its edit is called done, and used from the last edit to the first: a file that was edited
  twice is brought back twice.
- It holds what our edits replaced and what they wrote, and nothing else of a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from editor_setup import files
from editor_setup.contract import EditError, Splice, inverse, spliced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Receipt:
    """One edit of one file.

    `existed`: there was a file before; `folders` were made for it; `after` is the SHA-256 of its text then, hex.
    """

    existed: bool
    folders: int
    after: str
    splices: tuple[Splice, ...]

    def as_dict(self) -> dict[str, object]:
        """Its JSON form, which `of` reads."""
        splices = [list(splice) for splice in self.splices]
        return {"existed": self.existed, "folders": self.folders, "after": self.after, "splices": splices}


def edited(path: Path, change: Callable[[str], list[Splice]]) -> Receipt | None:
    """Change a file; what was done, or None where nothing had to be. Raises `EditError`."""
    folders = files.missing(path)
    splices, text = files.edit(path, change)
    if not splices:
        return None
    return Receipt(text is not None, folders, _digest(spliced(text or "", splices)), tuple(splices))


def undone(path: Path, receipt: Receipt, drop: Callable[[str], list[Splice]]) -> bool:
    """Take an edit back; whether every byte is as it was.

    Where the file is as the edit left it, by its inverse; where somebody changed it since, by `drop`, which takes out
    what is ours. A file that the edit made, and that would be left empty, goes with the folders that were made for it.
    Raises `EditError`.
    """
    text = files.read(path)
    if text is None:
        return not receipt.existed
    whole = _digest(text) == receipt.after
    splices: Sequence[Splice] = inverse(receipt.splices) if whole else drop(text)
    if not receipt.existed and not spliced(text, splices) and files.remove(path, text):
        files.prune(path, receipt.folders)
        return True
    files.edit(path, lambda now: inverse(receipt.splices) if _digest(now) == receipt.after else drop(now))
    return whole


def of(value: object) -> Receipt:
    """A receipt from its JSON form, strictly. Raises `EditError("unreadable")`."""
    if not isinstance(value, dict) or set(value) != {"existed", "folders", "after", "splices"}:
        raise EditError("unreadable", line=1)
    try:
        splices = tuple(Splice(int(start), str(old), str(new)) for start, old, new in value["splices"])
        return Receipt(bool(value["existed"]), int(value["folders"]), str(value["after"]), splices)
    except (TypeError, ValueError):
        raise EditError("unreadable", line=1) from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
