"""The way to one destination within one deadline: requests are written out, encoded once, and sent there only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokers.http.auth import written
from brokers.http.transport import Transport, Wired

if TYPE_CHECKING:
    from brokers.http.reading import Destination
    from brokers.http.transport import Answer
    from brokers.message import Request

_SENDS_LENGTH = frozenset({"POST", "PUT", "PATCH"})  # RFC 9110 section 8.6: an empty body is said to be empty


@dataclass(frozen=True, slots=True)
class Line:
    """`base` stands before every path; `deadline` is the loop's time, `seconds` what the caller was told."""

    transport: Transport
    to: Destination
    base: tuple[str, ...]
    deadline: float
    seconds: float

    async def send(self, request: Request) -> Answer:
        """The answer to `request`, its head read. Raises `BrokerError`."""
        return await self.transport.send(self.to, self._wire(request), self.deadline, self.seconds)

    def _wire(self, request: Request) -> Wired:
        headers = [("host", self.to.origin.authority), ("accept-encoding", "identity"), *request.headers]
        if request.body or request.method in _SENDS_LENGTH:
            headers.append(("content-length", str(len(request.body))))
        path, query = written(request, self.base)
        return Wired(request.method, f"{path}?{query}" if query else path, tuple(headers), request.body)
