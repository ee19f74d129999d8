"""A vault of its own for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vault.world import Template, World, make_template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kv.vault.session import Vault


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The empty vault that all others are copies of."""
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def world(template: Template, tmp_path: Path) -> World:
    """An empty vault on disk."""
    return template.put_down(tmp_path)


@pytest.fixture
def vault(world: World) -> Iterator[Vault]:
    """An empty vault, open."""
    with world.open() as opened:
        yield opened
