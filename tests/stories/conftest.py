"""What the stories share: a world with a vault, and one that also has a hostile upstream connected."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trustme
from scene import KEY, Scene
from upstream import Upstream
from world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Connected:
    """See the fixture."""

    world: World
    listening: socket.socket
    authority: trustme.CA


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A locked vault, to be copied."""
    made = World(tmp_path_factory.mktemp("vault")).init()
    made.must("lock")
    return made


@pytest.fixture(scope="session")
def connected(vault: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    """A locked vault with the connection `echo`, and what an upstream listens on to be at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listening, World(tmp_path_factory.mktemp("connected")) as made:
        authority = trustme.CA()
        pem = authority.cert_pem.bytes().decode()
        made.copied(vault).connect("echo", KEY, listening.getsockname()[1], pem)
        made.must("lock")
        yield Connected(made, listening, authority)


@pytest.fixture
def world(request: pytest.FixtureRequest, vault: World, tmp_path: Path) -> Iterator[World]:
    """An unlocked vault of one's own; for a `scene` one with its connection."""
    made_of = request.getfixturevalue("connected").world if "scene" in request.fixturenames else vault
    with World(tmp_path) as made:
        yield made.copied(made_of)


@pytest.fixture
def scene(world: World, connected: Connected) -> Iterator[Scene]:
    """The connection `echo`, admitted always."""
    with Upstream(key=KEY, ca=connected.authority, sock=connected.listening.dup()) as upstream:
        yield Scene(world, upstream)


@pytest.fixture(scope="module")
def _shared(vault: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with World(tmp_path_factory.mktemp("shared")) as made, Upstream(key=KEY) as upstream:
        made.copied(vault).connect("echo", KEY, upstream.port, upstream.ca_pem)
        yield Scene(made, upstream)


@pytest.fixture
def shared(_shared: Scene) -> Scene:
    """A scene for stories that leave it as it was; what was seen and received is forgotten before each."""
    _shared.world.seen.clear()
    _shared.upstream.requests.clear()
    return _shared
