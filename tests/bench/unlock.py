"""From a locked vault to the first answer, with a thousand secrets to look for beside ten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.measure import MILLISECONDS, alternate, seconds
from bench.stage import CONNECTION, PATH, Stage, a_stage, an_origin
from bench.table import Goal, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

_MANY, _FEW = 1000, 10


def rows(scale: Scale) -> Iterator[Row]:
    """Both commands as a person and an agent run them; the KDF at its floor, which hides least."""
    with an_origin() as origin, a_stage(origin, secrets=_MANY) as large, a_stage(origin, secrets=_FEW) as small:
        mine, other = alternate(lambda: _first(large), lambda: _first(small), scale.of(5, 2))
    yield Row(f"unlock and first call, {_MANY:,} secrets", "ms", mine, f"the same at {_FEW}", other, Goal(2))


def _first(stage: Stage) -> float:
    stage.lock()

    def act() -> None:
        stage.unlock()
        stage.world.must("api", CONNECTION, "GET", PATH)

    return seconds(act) * MILLISECONDS
