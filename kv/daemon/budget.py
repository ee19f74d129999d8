"""How many calls, how fast, and when to stop knocking.

Rules of this file
- Pure: `now` (boot-time seconds) is passed in, nothing here waits.
- Three moments, three methods: `take` at the entrance of a call or of a question about one, `charge` when it is about
  to be performed (a denied call costs the connection nothing), `note` with the status that came back.
- Whatever an agent can make many of (sessions) is forgotten in time and bounded in number.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from kv.errors import KvError

PER_MINUTE = 600  # calls of one session: ten a second is a script at work, more for a minute is a loop gone wild
BURST = 300  # at once: several rounds of 64 calls side by side
OVERALL = 8  # sessions are cheap to make (a fork); all together get what eight of them would
SESSIONS = 4096  # remembered; one is forgotten when its bucket is full again, half a minute after its last call
STREAKS = 4096  # (session, connection) whose refusals are counted; the oldest goes first

REFUSALS = 10  # 401 or 403 in a row: a credential does not get better by trying, and accounts lock
COOL = 300.0  # s without calls after that; then one try, and one more refusal closes it again
_REFUSED = frozenset({401, 403})

_SLOT, _SLOTS = 60.0, 61  # an hour in minutes, and the one that is not over

PROMPTS = 20  # askings of one session in PROMPT_WINDOW; 3 an hour are normal, fatigue starts far below 20
PROMPTS_OVERALL = 200  # this also bounds what is remembered of them
PROMPT_WINDOW = 600.0  # s


class _Bucket:
    """Tokens that come back evenly: `per_minute`, up to `size`. Full at first."""

    def __init__(self, per_minute: float, size: float, now: float) -> None:
        self._rate, self.size, self.tokens, self._at = per_minute / 60.0, size, size, now

    def refill(self, now: float) -> float:
        """Bring up to date; the tokens there are."""
        self.tokens = min(self.size, self.tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        return self.tokens

    def seconds(self) -> int:
        """Whole seconds until there is a token, at least 1."""
        return max(1, math.ceil((1.0 - self.tokens) / self._rate))


@dataclass(slots=True)
class _Streak:
    refusals: int = 0
    closed_until: float = -math.inf


class Budget:
    """The keeper's counters."""

    def __init__(self, per_minute: int = PER_MINUTE, burst: int = BURST) -> None:
        self._per_minute, self._burst = per_minute, burst
        self._sessions: dict[str, _Bucket] = {}
        self._all = _Bucket(OVERALL * per_minute, OVERALL * burst, -math.inf)
        self._hours: dict[str, deque[list[int]]] = {}  # connection: [minute, calls], as many as a person declared
        self._streaks: dict[tuple[str, str], _Streak] = {}

    def take(self, session: str, now: float) -> None:
        """One call enters. Raises `KvError`: rate, busy."""
        mine = self._bucket(session, now)
        for bucket, per_minute, whose in (
            (mine, self._per_minute, "this session"),
            (self._all, OVERALL * self._per_minute, "all sessions"),
        ):
            if bucket.refill(now) < 1.0:
                raise KvError("rate", limit=f"{per_minute} a minute for {whose}", seconds=bucket.seconds())
        mine.tokens -= 1.0
        self._all.tokens -= 1.0

    def charge(self, session: str, connection: str, calls_per_hour: int | None, now: float) -> None:
        """One call is about to go out. Raises `KvError`: rate (refused too often), budget (the hour is used up)."""
        streak = self._streaks.get((session, connection))
        if streak is not None and streak.refusals >= REFUSALS:
            if now < streak.closed_until:
                limit = f"{connection} refused the credential {REFUSALS} times in a row"
                raise KvError("rate", limit=limit, seconds=math.ceil(streak.closed_until - now))
            streak.closed_until = now + COOL  # this is the one try; what comes back decides
        if calls_per_hour is None:
            self._hours.pop(connection, None)
        else:
            self._take_hour(connection, calls_per_hour, now)

    def note(self, session: str, connection: str, status: int, now: float) -> None:
        """What came back: ten refusals in a row close the connection to this session for five minutes (probing)."""
        streak = self._streaks.pop((session, connection), _Streak())
        if status not in _REFUSED:
            return
        self._streaks[session, connection] = streak  # the newest stands last
        streak.refusals += 1
        if streak.refusals >= REFUSALS:
            streak.closed_until = now + COOL
        if len(self._streaks) > STREAKS:
            del self._streaks[next(iter(self._streaks))]

    def _take_hour(self, connection: str, calls_per_hour: int, now: float) -> None:
        """In no 3,600 seconds do more than `calls_per_hour` go out.

        A token bucket of that size would let twice as many through, which is not what a person means by a budget.
        Counting by minutes errs by at most one of them, and always towards fewer.
        """
        minute = int(now // _SLOT)
        slots = self._hours.setdefault(connection, deque())
        while slots and slots[0][0] <= minute - _SLOTS:
            slots.popleft()
        if sum(calls for _, calls in slots) >= calls_per_hour:
            seconds = math.ceil((slots[0][0] + _SLOTS) * _SLOT - now)
            limit = f"{calls_per_hour} calls an hour, more in {seconds} s"
            raise KvError("budget", name=connection, limit=limit)
        if not slots or slots[-1][0] != minute:
            slots.append([minute, 0])
        slots[-1][1] += 1

    def _bucket(self, session: str, now: float) -> _Bucket:
        if session not in self._sessions:
            if len(self._sessions) >= SESSIONS:
                self._sessions = {k: b for k, b in self._sessions.items() if b.refill(now) < b.size}
            if len(self._sessions) >= SESSIONS:
                raise KvError("busy", what="sessions")
            self._sessions[session] = _Bucket(self._per_minute, self._burst, now)
        return self._sessions[session]


class Prompts:
    """How often a person may be asked. Times are boot-time seconds, given by the caller."""

    def __init__(self) -> None:
        self._asked: deque[tuple[float, str]] = deque()

    def take(self, session: str, now: float) -> None:
        """One more asking. Raises `KvError("rate")`."""
        while self._asked and self._asked[0][0] <= now - PROMPT_WINDOW:
            self._asked.popleft()
        everyone = [at for at, _ in self._asked]
        mine = [at for at, who in self._asked if who == session]
        for times, limit in ((mine, PROMPTS), (everyone, PROMPTS_OVERALL)):
            if len(times) >= limit:
                seconds = math.ceil(times[0] + PROMPT_WINDOW - now)
                raise KvError("rate", limit=f"{limit} askings in ten minutes", seconds=seconds)
        self._asked.append((now, session))
