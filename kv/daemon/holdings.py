"""Bytes that calls hold, of each session and of all together.

Rules of this file
- What is held is counted while it is held and not reserved before: most answers are small, whatever their cap.
- One session gets a part, so that it cannot make every other `busy`.
"""

from __future__ import annotations

from kv.errors import KvError


class Holdings:
    """A budget of `most` bytes, `of_one` session at most that many. `what` names them in `busy`."""

    def __init__(self, most: int, of_one: int, what: str) -> None:
        self._most, self._of_one, self._what = most, of_one, what
        self._sessions: dict[str, int] = {}
        self.held = 0

    def open(self, session: str) -> Share:
        """A share of the session's, of nothing yet."""
        return Share(self, session)

    def move(self, session: str, by: int, *, forced: bool) -> None:
        """Count `by` bytes more (or less). Raises `KvError("busy")` beyond a bound, unless they are there anyway."""
        held = self._sessions.get(session, 0)
        if by > 0 and not forced:
            if held + by > self._of_one:
                raise KvError("busy", what=f"{self._what} of one session ({self._of_one >> 20} MiB)")
            if self.held + by > self._most:
                raise KvError("busy", what=f"{self._what} ({self._most >> 20} MiB)")
        self.held += by
        if held + by:
            self._sessions[session] = held + by
        else:
            self._sessions.pop(session, None)


class Share:
    """What one call holds. `close` it in any case."""

    def __init__(self, holdings: Holdings, session: str) -> None:
        self._holdings, self._session = holdings, session
        self.size = 0

    def reach(self, size: int) -> None:
        """Hold `size` bytes, if it is not more already. Raises `KvError("busy")`."""
        if size > self.size:
            self._holdings.move(self._session, size - self.size, forced=False)
            self.size = size

    def set(self, size: int) -> None:
        """Hold exactly `size` bytes: they are there already, and only counting them is left."""
        self._holdings.move(self._session, size - self.size, forced=True)
        self.size = size

    def close(self) -> None:
        """Hold nothing."""
        self.set(0)
