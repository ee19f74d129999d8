"""The keeper's clocks."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS' monotonic clock is the seam


def boot_time() -> float:
    """Seconds since boot, sleep included: a night with the lid closed counts, a changed wall clock does not."""
    return time.clock_gettime(_CLOCK)
