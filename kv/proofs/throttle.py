"""How many wrong proofs are borne: five, then a freeze of 60 s, doubled by each wrong one after it, to an hour.

Rules of this file
- Pure: the clock is handed in (seconds that sleep does not stop and that no user can set: boot time).
- A try is charged before it is judged. The state is two numbers, stored in the vault before the proof is looked at.
- A freeze is never shortened: a clock that went backwards (a reboot) starts it anew.

Odds: a guess hits one of the three codes that count at a time with 3 in a million. Five tries and then 24 a day are
one chance in 12,000 a day, and each wrong one is in the audit. The passphrase proof is not throttled (256 bits; and
the freeze must leave its owner a way in, since any program of the user can cause one).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIES = 5
FREEZE_SECONDS = 60
FREEZE_MAX = 3600
_WRONG_MAX = TRIES + 6  # 60 s doubled six times is past the hour: counting further would change nothing


@dataclass(frozen=True, slots=True)
class Throttle:
    """Tries charged since the last right proof, and the clock at the latest of them (seconds)."""

    wrong: int = 0
    since: float = 0.0

    @property
    def left(self) -> int:
        """Tries before the freeze."""
        return max(0, TRIES - self.wrong)

    def frozen(self, now: float) -> int:
        """Whole seconds, rounded up, until the next try; 0 for at once."""
        if self.wrong < TRIES:
            return 0
        length = min(FREEZE_SECONDS << (self.wrong - TRIES), FREEZE_MAX)
        return max(0, math.ceil(length - max(0.0, now - self.since)))

    def charge(self, now: float) -> Throttle:
        """The state with one more try, as if it were wrong; a right one starts over with `Throttle()`.

        Raises `proof-frozen`, which charges nothing: asking during a freeze does not make it longer.
        """
        if seconds := self.frozen(now):
            raise KvError("proof-frozen", seconds=seconds)
        return Throttle(min(self.wrong + 1, _WRONG_MAX), now)

    def as_dict(self) -> dict[str, float]:
        """The state as it is stored."""
        return {"wrong": self.wrong, "since": self.since}

    @classmethod
    def from_dict(cls, stored: Mapping[str, object], now: float) -> Self:
        """The state that was stored, perhaps before a reboot. Raises `vault-damaged`."""
        wrong, since = stored.get("wrong"), stored.get("since")
        if (
            len(stored) == 2  # noqa: PLR2004  # these two
            and isinstance(wrong, int)
            and isinstance(since, int | float)
            and 0 <= wrong <= _WRONG_MAX
            and 0 <= since < math.inf
        ):
            return cls(wrong, min(float(since), now))
        raise KvError("vault-damaged", why="the count of wrong proofs is malformed")
