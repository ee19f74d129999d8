"""A log in a folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from audit.world import World, call

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world without a log yet."""
    return World(tmp_path / "audit.kv")


@pytest.fixture
def history(world: World) -> World:
    """A closed log of two unlocks and five calls: entries 1-6 and 7-14, the last sealed."""
    for calls in (2, 3):
        log = world.unlock()
        for number in range(calls):
            call(log, number)
        world.lock(log)
    return world
