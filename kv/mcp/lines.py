"""Standard input by lines, none of them endless: what the SDK's transport reads in place of `sys.stdin`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_MOST = 40 << 20  # bytes of a message: a body of 16 MiB as base64 or escaped twofold, and what stands around it
_CHUNK = 1 << 20


class Lines:
    """Messages as they come in. One that is too long is an empty line, which the SDK passes over as no message."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        line = await asyncio.to_thread(self._line)
        if not line:
            raise StopAsyncIteration
        return line.decode("utf-8", "replace")

    def _line(self) -> bytes:
        line = self._file.readline(_MOST)
        if len(line) < _MOST or line.endswith(b"\n"):
            return line
        while (rest := self._file.readline(_CHUNK)) and not rest.endswith(b"\n"):
            pass
        return b"\n"
