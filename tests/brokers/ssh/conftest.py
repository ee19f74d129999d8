"""One OpenSSH server for the tests that only use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ssh_server import SshServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshServer]:
    """A server that nobody stops."""
    with SshServer() as server:
        yield server
