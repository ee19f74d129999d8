"""A keeper that is killed while it answers: nobody is told of a write that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from killing import kill_while_setting, lost

if TYPE_CHECKING:
    from world import World

_SETS = 12  # `make bench` does a thousand


@pytest.mark.timeout(300)  # some forty processes, each of which works for a key
def test_no_acknowledged_set_is_lost_with_its_keeper(world: World) -> None:
    """Killed at random moments under `kv set`, each keeper leaves what it acknowledged, and the vault opens."""
    deaths = kill_while_setting(world, _SETS)
    assert deaths.killed > 1
    assert len(deaths.acknowledged) + deaths.refused.total() == _SETS
    assert deaths.acknowledged
    assert lost(world, deaths) == []
    world.must("audit", "verify", proof=True)
