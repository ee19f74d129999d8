"""What the stories share: a world with a vault, and one that also has a hostile upstream connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scene import KEY, Scene
from upstream import Upstream
from world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An unlocked vault of one's own."""
    with World(tmp_path) as made:
        yield made.init()


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    """The connection `echo`, admitted always."""
    with Upstream(key=KEY) as upstream:
        world.connect("echo", KEY, upstream.port, upstream.ca_pem)
        yield Scene(world, upstream)


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with World(tmp_path_factory.mktemp("shared")) as made, Upstream(key=KEY) as upstream:
        made.init().connect("echo", KEY, upstream.port, upstream.ca_pem)
        yield Scene(made, upstream)


@pytest.fixture
def shared(_shared: Scene) -> Scene:
    """A scene for stories that leave it as it was; what was seen and received is forgotten before each."""
    _shared.world.seen.clear()
    _shared.upstream.requests.clear()
    return _shared
