"""`kv setup` on a machine with many AI clients, one with megabytes of state in its settings: the whole process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bench.measure import alternate, process
from bench.stage import a_stage
from bench.starts import kv
from bench.table import Goal, Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.measure import Scale

_FOLDERS = (
    *(".augment", ".claude", ".cline", ".codeium/windsurf", ".codex", ".config/Claude", ".config/Code/User"),
    *(".config/amp", ".config/crush", ".config/goose", ".config/opencode", ".config/zed", ".copilot", ".cursor"),
    *(".gemini", ".junie", ".kiro", ".qwen"),
)
_STATE = {"projects": {f"/home/ada/{n}": {"history": [{"display": "x" * 400}] * 10} for n in range(1200)}}  # 5 MB


def rows(scale: Scale) -> Iterator[Row]:
    """Looking at all of them, before they are told and after; a second and two are some 40 and 80 bare starts."""
    with a_stage() as stage:
        home, world = stage.world.folder, stage.world
        _move_in(home)
        bare = [sys.executable, "-c", "pass"]
        for words, bound in ((["--all", "--dry-run"], 40), (["--check"], 80)):
            argv = [*kv(), "setup", *words]
            mine, other = alternate(
                lambda argv=argv: process(argv, world.environment, home),  # type: ignore[misc]  # bound
                lambda: process(bare, world.environment, home),
                scale.of(20, 5),
            )
            name = f"kv setup {' '.join(words)}, {len(_FOLDERS)} clients"
            yield Row(name, "ms", mine, "python -c pass", other, Goal(bound))
            world.must("setup", "--all", "--yes", proof=True)  # --check ends in 1 where something is missing


def _move_in(home: Path) -> None:
    for folder in _FOLDERS:
        (home / folder).mkdir(parents=True)
    (home / ".claude.json").write_text(json.dumps(_STATE, indent=2))
    (home / ".codex" / "config.toml").write_text('model = "x"\n' + "".join(f"[projects.p{n}]\n" for n in range(200)))
    (home / ".config" / "goose" / "config.yaml").write_text("extensions:\n  developer:\n    enabled: true\n")
