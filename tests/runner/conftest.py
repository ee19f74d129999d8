"""What the tests of the runner share: one nursery, kept warm as the keeper keeps it, and the client's end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from runs import STRONG, Nursery, Raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runs import Lending, Start

KEY = b"S3cr3t-value-very-long-0123456789abcdef"
WEAK = b"hunter2-password"


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A nursery that looks for a strong value, `KEY`, and for a weak one, `dev/WEAK`."""
    with Nursery() as made:
        yield made.know(("KEY", KEY, STRONG), ("dev/WEAK", WEAK, 30))


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
