"""Places on one socket: how many connections at once, how many of one session, and who makes room for another.

Rules of this file
- `kv.sock` has places of its own: a flood of calls must not keep the person from `kv lock` and `kv deny`.
- Who waits to speak comes before who is silent: the connection that has been silent longest is hung up on.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.daemon.peer import Peer

_ALL = {"agent": 448, "kv": 64}  # connections at once; `descriptors` has the sum
_PER_SESSION = {"agent": 64, "kv": 32}  # of them one session may hold: sub-agents in parallel, not a flood


class Places:
    """The places of one channel."""

    def __init__(self, channel: str) -> None:
        self._most, self._of_one = _ALL[channel], _PER_SESSION[channel]
        self._taken = 0
        self._sessions: Counter[str] = Counter()  # of them each session's
        self._silent: OrderedDict[Peer, str] = OrderedDict()  # between requests, longest first

    def ensure_any(self) -> None:
        """Raises `KvError("busy")` when there is no place and nobody makes room."""
        if self._taken >= self._most and not self._make_room(None):
            raise KvError("busy", what="connections")

    def ensure(self, session: str) -> None:
        """Raises `KvError("busy")` when there is no place for that session and none of its own makes room."""
        if self._sessions[session] >= self._of_one and not self._make_room(session):
            raise KvError("busy", what="connections of one session")

    @contextmanager
    def taken(self, session: str) -> Iterator[None]:
        """Hold a place of the session's."""
        self._taken += 1
        self._sessions[session] += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._sessions[session] -= 1
            if not self._sessions[session]:
                del self._sessions[session]

    def silent(self, peer: Peer, session: str) -> None:
        """From now on the client is silent."""
        self._silent.pop(peer, None)
        self._silent[peer] = session

    def speaks(self, peer: Peer) -> None:
        """Something of the client's is under way, or it is gone."""
        self._silent.pop(peer, None)

    def _make_room(self, session: str | None) -> bool:
        oldest = next((peer for peer, whose in self._silent.items() if session in {None, whose}), None)
        if oldest is None:
            return False
        del self._silent[oldest]
        oldest.hang_up()
        return True
