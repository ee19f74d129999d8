"""Make the vectors of this folder: `PYTHONPATH=tests python -m vectors.vault.make` in the project's root.

Rules of this folder
- Everything that is random elsewhere is fixed here, so that the same SQLite makes the same files.
- What a vector *expects* is written down by hand, never taken from what the code does.
- What an enemy does is an edit of a base (`hostile`); what only a holder of the key could do is sealed for it
  (`malformed`, by `forge`).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vectors.vault.bases import make_bases
from vectors.vault.hostile import hostile_files, hostile_heads, hostile_records, hostile_slots
from vectors.vault.malformed import malformed_heads, malformed_records, malformed_slots
from vectors.vault.vector import Vector, sql

if TYPE_CHECKING:
    from vectors.vault.bases import Base

HERE = Path(__file__).parent


class Stream:
    """Bytes that look random and are always the same."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        """The next `size` bytes."""
        self.count += 1
        return hashlib.shake_128(b"kv vectors %d" % self.count).digest(size)


def good(bases: dict[str, Base]) -> list[Vector]:
    """What has to open, with all that is in it."""
    ok = {"*": "ok"}
    found = [Vector(f"ok-{name}", f"the base '{name}' as it was made", name, [], ok) for name in bases]
    return [
        *found,
        Vector("ok-vacuum", "the same rows on other pages", "plain", [sql("VACUUM")], ok),
        Vector(
            "ok-wal-mode", "left in WAL mode, with nothing in the log", "plain", [sql("PRAGMA journal_mode=WAL")], ok
        ),
    ]


def main() -> None:
    """Write every vector anew."""
    os.urandom = Stream()
    os.umask(0o077)
    with tempfile.TemporaryDirectory() as folder:
        bases = make_bases(Path(folder))
    vectors = [
        *good(bases),
        *hostile_files(bases["plain"]),
        *hostile_slots(bases),
        *hostile_records(bases),
        *hostile_heads(bases),
        *malformed_slots(bases["plain"]),
        *malformed_records(bases["plain"]),
        *malformed_heads(bases["plain"]),
    ]
    for old in HERE.glob("*.json"):
        old.unlink()
    write("bases", {name: base.as_json() for name, base in bases.items()})
    for vector in vectors:
        told = asdict(vector)
        del told["name"]
        write(vector.name, told)


def write(name: str, told: dict[str, object]) -> None:
    """Write one file."""
    text = json.dumps(told, indent=1, ensure_ascii=False)
    (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
