"""What the tests of the runner share: one nursery, kept warm as the keeper keeps it, and the client's end of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from runs import STRONG, Nursery, Raw
from screen import Screen
from standin import VALUES, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runs import Lending, Start
    from screen import Window


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A nursery that looks for a strong value, `KEY`, and for a weak one, `dev/WEAK`."""
    with Nursery() as made:
        yield made.know(("KEY", VALUES["KEY"], STRONG), ("dev/WEAK", VALUES["dev/WEAK"], 30))


@pytest.fixture
def start(nursery: Nursery, tmp_path: Path) -> Iterator[Start]:
    """Start a program in `tmp_path`, as a client by hand; what is still open is closed, and so ended, afterwards."""
    started = []

    def begin(argv: list[str], lent: Sequence[Lending] = (), nursery: Nursery = nursery, **changes: object) -> Raw:
        started.append(Raw(nursery, argv, tmp_path, lent, **changes))
        return started[-1]

    yield begin  # type: ignore[misc] # the nursery is named here and is one of `changes` there
    for run in started:
        run.close()


@pytest.fixture
def standin(nursery: Nursery, tmp_path: Path) -> Iterator[StandIn]:
    """A keeper for the real client, which takes it for a person with a proof: output comes as it is made."""
    with StandIn(nursery, tmp_path) as made:
        made.prompt = True
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with something to look at."""
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "lines.txt").write_text("".join(f"line {n}\n" for n in range(1, 200)))
    (folder / "code.py").write_text("def f(x):\n    # a comment\n    return 41\n")
    return folder


@pytest.fixture
def window(place: Path, standin: StandIn) -> Iterator[Window]:
    """Open windows in `place`."""
    opened: list[Screen] = []

    def make(*, through: bool = True, below: Path = place) -> Screen:
        variables = {"KV_VAULT": str(standin.vault), "GIT_EDITOR": "vim -u NONE --cmd 'set shm+=F'"}
        opened.append(Screen(below, {**os.environ, **variables}, through=through))
        return opened[-1]

    yield make
    for screen in opened:
        screen.close()
