"""The keeper's clocks."""

from __future__ import annotations

import time


def boot_time() -> float:
    """Seconds since boot, sleep included: a night with the lid closed counts, a changed wall clock does not."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS' monotonic clock is the seam
    return time.clock_gettime(clock)
