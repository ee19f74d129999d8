"""The product's source as its tests read it: modules, what they import, and which row of a table covers them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
PACKAGES = ("brokers", "editor_setup", "kv")

Kind = Literal["top", "late", "types"]


@dataclass(frozen=True)
class Module:
    """One file of the product."""

    name: str
    path: Path
    tree: ast.Module
    lines: int

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))


@cache
def modules() -> dict[str, Module]:
    """Every module of the product by its dotted name."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, ast.parse(text), text.count("\n"))
    return found


def row_of(name: str, rows: set[str]) -> str | None:
    """The nearest row that covers module `name`; the two packages' own rows cover their `__init__` alone."""
    here = name
    while here and (here == name or here not in PACKAGES):
        if here in rows:
            return here
        here = here.rpartition(".")[0]
    return None


def imports(module: Module) -> set[tuple[str, Kind]]:
    """What `module` imports: full names (a name taken from a package is a module where there is one) and where."""
    at_top = {id(node) for node in module.tree.body}
    for_types = {id(node) for block in module.tree.body if _for_types(block) for node in ast.walk(block)}
    found: set[tuple[str, Kind]] = set()
    for node in ast.walk(module.tree):
        kind: Kind = "top" if id(node) in at_top else "types" if id(node) in for_types else "late"
        if isinstance(node, ast.Import):
            found |= {(alias.name, kind) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            inner = {f"{origin}.{alias.name}" for alias in node.names}
            names = {name if name in modules() else origin for name in inner}
            found |= {(name, kind) for name in names}
    return found


def _for_types(block: ast.stmt) -> bool:
    return isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"


def beneath(name: str, places: set[str]) -> bool:
    """Whether module `name` is one of `places` or beneath one."""
    return any(name == place or name.startswith(f"{place}.") for place in places)
