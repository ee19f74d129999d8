"""The statements of `tests/vectors/sql/`: what each does, and whether it is a developer's or an attacker's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "vectors" / "sql"
ENGINES = ("postgres", "mysql", "sqlite")
EFFECTS = ("read", "write", "destroy", "mint", "unknown", "refused")
_HEADER = re.compile(rf"-- ([a-z0-9-]+): ({'|'.join(EFFECTS)})(?: (harmless|hostile))?")
_CHARACTER = re.compile(r"⟨U\+([0-9A-F]{4,5})⟩")


@dataclass(frozen=True)
class Vector:
    """One statement. `effect` is what the classifier says, "refused" for what is never sent; `flag` may be empty."""

    engine: str
    name: str
    sql: str
    effect: str
    flag: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}"


@cache
def vectors(engine: str) -> tuple[Vector, ...]:
    """All statements of an engine, in the order of the file."""
    found: list[Vector] = []
    lines: list[str] = []
    header: re.Match[str] | None = None
    for line in [*(FOLDER / f"{engine}.sql").read_text(encoding="utf-8").splitlines(), None]:
        following = _HEADER.fullmatch(line) if line is not None else None
        if following or line is None:
            if header:
                found.append(_vector(engine, header, "\n".join(lines).strip("\n")))
            header, lines = following, []
        else:
            lines.append(line)
    return tuple(found)


def _vector(engine: str, header: re.Match[str], text: str) -> Vector:
    name, effect, flag = header.groups()
    sql = _CHARACTER.sub(lambda match: chr(int(match.group(1), 16)), text)
    return Vector(engine, name, sql, effect, flag or "")


def schema(engine: str) -> str:
    """What makes the tables that the statements are about."""
    return (FOLDER / f"{engine}.schema.sql").read_text(encoding="utf-8")


def every(flag: str = "") -> list[Vector]:
    """The statements of all engines, or those of one flag."""
    return [vector for engine in ENGINES for vector in vectors(engine) if not flag or vector.flag == flag]
