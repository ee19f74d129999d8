"""Which process is at the other end, on a kernel that does not hold it for us (before Linux 6.5).

`SO_PEERCRED` names the process that connected by a number, and by the time it is looked up the number may be another
process's. So the number alone proves nothing; what proves something is, in this order:

1. The keeper opens a pidfd of whoever has the number now, and only then says a random word in its greeting.
2. The first request repeats the word, and each of its bytes was sent, says the kernel (`SCM_CREDENTIALS`, unix(7)),
   by a process with that number.
3. After that the pidfd's process still runs.

The word cannot be known before 1, so the sender had the number after 1, and from 1 to 3 the number was one process's.
Whoever does not show this is a stranger: a session of its own, to which no grant carries.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
from typing import TYPE_CHECKING

from kv.daemon import caller as callers
from kv.errors import KvError

if TYPE_CHECKING:
    from kv.model import Caller

_PEERCRED = struct.Struct("3i")


class Presence:
    """A peer that is known by its number alone. `word` goes into the greeting; `caller` is who it would be."""

    def __init__(self, pid: int, caller: Caller, watch: int) -> None:
        self.word = secrets.token_hex(16)
        self.caller = caller
        self._pid = pid
        self._watch = watch

    @classmethod
    def of(cls, peer: socket.socket, channel: str) -> Presence | None:
        """What is to be shown by a peer that `caller.identify` knows nothing of. None where nothing can be."""
        pid, uid, _ = _PEERCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if callers.holds_peers(peer):
            return None
        try:
            watch = os.pidfd_open(pid)
        except OSError:  # it has ended, is outside our namespace, or the kernel is older still (5.3)
            return None
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return cls(pid, callers.describe(uid, callers.ancestry(pid), channel), watch)

    def shown(self, word: object, senders: frozenset[int]) -> bool:
        """Whether the first request, sent by these processes, shows that `caller` made it. To be asked once.

        Raises `KvError("gone")` for a process that has ended.
        """
        try:
            if callers.ended(self._watch):
                raise KvError("gone")
        finally:
            self.close()
        return word == self.word and senders == {self._pid}

    def close(self) -> None:
        """Let go of the process."""
        watch, self._watch = self._watch, -1
        if watch >= 0:
            os.close(watch)
