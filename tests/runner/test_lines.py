"""The two lines of a run before its program is started: what is said on them meanwhile is not overlooked."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from kv.errors import KvError
from kv.runner import control
from kv.runner.control import Control
from kv.runner.order import KeeperLine

if TYPE_CHECKING:
    from collections.abc import Iterator

KILL = b"\0\0\0\r" + b'{"kill":true}'


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, KeeperLine]]:
    """The keeper's end, and the runner's after the order has come."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    theirs.settimeout(0)
    line = KeeperLine(theirs)
    theirs.settimeout(0)
    with ours, theirs:
        yield ours, line


@pytest.mark.parametrize("closed", [False, True])
def test_a_kill_is_heard_whatever_else_fails(ends: tuple[socket.socket, KeeperLine], *, closed: bool) -> None:
    """Also by a runner that has just failed to say that its program runs."""
    keeper, line = ends
    assert line.silent()
    keeper.send(KILL)
    if closed:
        keeper.close()
    assert not line.silent()
    line.tell({"started": 1})
    assert not line.ended, "it would not be listened to any more"
    assert line.killed()


def test_a_keeper_that_is_gone_is_not_silent(ends: tuple[socket.socket, KeeperLine]) -> None:
    """Nobody wants the program started any more; one that runs goes on."""
    keeper, line = ends
    keeper.close()
    assert not line.silent()
    assert (line.killed(), line.ended) == (False, True)


def test_a_client_that_is_gone_is_noticed_behind_what_it_said() -> None:
    """What it has said before waits to be read, and is no sign of life."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = Control(theirs)
    ours.send(b'{"signal":15}')
    assert not line.gone()
    ours.close()
    assert line.gone()
    theirs.close()


def test_a_first_word_that_does_not_come_is_waited_for_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds, and the run is over before it began."""
    assert control.SECONDS == 10
    monkeypatch.setattr(control, "SECONDS", 0.05)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = Control(theirs)
    with ours, theirs:
        line.wait()
        with pytest.raises(KvError, match="ended before"):
            line.hello()
