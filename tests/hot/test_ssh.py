"""How `kv ssh` ends."""

from __future__ import annotations

import signal

import pytest

from kv.hot.ssh import exit_status


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"exit": 0}, 0),
        ({"exit": 255}, 255),
        ({"exit": 256}, 1),  # which a system would make 0 of
        ({"exit": -1}, 1),
        ({"exit": 1 << 31}, 1),
        ({"exit": None}, 1),
        ({"exit": None, "signal": "TERM"}, 128 + signal.SIGTERM),
        ({"exit": None, "signal": "?"}, 1),
        ({"exit": None, "timed_out": True}, 124),
    ],
)
def test_a_command_that_failed_is_never_a_success(told: dict[str, object], status: int) -> None:
    """Its own status where that is one, and else what shells have."""
    assert exit_status(told) == status
