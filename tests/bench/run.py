"""The run: group after group, each row printed as soon as it is measured.

Nothing here is a test: no figure ends in a failure. The exit status is 1 only if a group could not be run at all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import traceback
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import NotMeasured, Scale
from bench.table import Row, head, line

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each has `rows(scale)`, which yields its rows; in the order of the table of figures.
GROUPS = (
    "api",
    "query",
    "ssh",
    "body",
    "trip",
    "starts",
    "setup",
    "programs",
    "scan",
    "store",
    "unlock",
    "memory",
    "kills",
    "log",
)


@dataclass(slots=True)
class Group:
    """What became of one group."""

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    failed: bool = False

    def as_json(self) -> dict[str, object]:
        """With every sample."""
        rows = [row.as_json() for row in self.rows]
        return {"seconds": round(self.seconds, 1), "failed": self.failed, "rows": rows}


def main(argv: Sequence[str]) -> int:
    """Measure, print, and write the samples where they are wanted."""
    options = _options(argv)
    _say(head())
    groups = {name: measured(name, Scale(quick=options.quick)) for name in options.only or GROUPS}
    failed = [name for name, group in groups.items() if group.failed]
    _say(f"\n{sum(group.seconds for group in groups.values()):.0f} s" + "".join(f"; {name} failed" for name in failed))
    if options.json:
        told = {"machine": _machine(), "groups": {name: group.as_json() for name, group in groups.items()}}
        Path(options.json).write_text(json.dumps(told, indent=1) + "\n")
    return bool(failed)


def measured(name: str, scale: Scale) -> Group:
    """Run one group, printing its rows."""
    group, start = Group(), time.monotonic()
    try:
        for row in import_module(f"bench.{name}").rows(scale):
            group.rows.append(row)
            _say(line(row))
    except NotMeasured as reason:
        _say(f"{name}: not measured: {reason}")
    except Exception:  # noqa: BLE001 - one group's trouble must not cost the others' figures; it is shown whole
        group.failed = True
        _say(f"{name}: FAILED\n{traceback.format_exc()}")
    group.seconds = time.monotonic() - start
    return group


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Figures beside their rivals', in one run.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller worlds")
    parser.add_argument("--only", action="append", choices=GROUPS, help="this group alone; repeat for more")
    parser.add_argument("--json", metavar="FILE", help="write every sample there")
    return parser.parse_args(argv)


def _machine() -> dict[str, object]:
    return {"python": platform.python_version(), "system": platform.platform(), "processors": os.cpu_count()}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
