"""Signs of life from a call that takes long, for a client that asked for them: some give up a call that is silent.

Rules of this file
- What it says is the same for every call and names nothing of it.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.server.session import ServerSession

_EVERY_SECONDS = 5.0
_SAYS = "no answer yet: it takes its time, or the user is being asked (kv approve)"


@asynccontextmanager
async def told(session: ServerSession, most: float) -> AsyncIterator[None]:
    """Tell how many of `most` seconds have passed while what is inside takes its time. Nothing without a token."""
    telling = asyncio.create_task(_tell(session, most))
    try:
        yield
    finally:
        telling.cancel()


async def _tell(session: ServerSession, most: float) -> None:
    for count in itertools.count(1):
        await asyncio.sleep(_EVERY_SECONDS)
        await session.report_progress(min(count * _EVERY_SECONDS, most), most, _SAYS)
