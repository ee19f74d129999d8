"""A small OAuth 2.0 world on an `Upstream`: a token endpoint that remembers, and an API that knows its tokens."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable

    from upstream import Peer, Received, Upstream


@dataclass
class TokenServer:
    """Tokens are `at-<n>-…`; `valid` says which the API takes. While `open` is clear, `/token` waits (`arrived`).

    `answer` may replace what `/token` says: it is given the peer and the number of the request.
    """

    up: Upstream
    seconds: object = 3600
    rotate: bool = False
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    refresh: str = "rt-0-Vq7ZkX2mB9tW4rL8c"
    answer: Callable[[Peer, int], object] | None = None
    open: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Add the routes."""
        self.open.set()
        self.up.route("/token")(self._token)
        self.up.route("/v1/x")(self._api)

    async def _token(self, request: Received, peer: Peer) -> None:
        self.asked.append(parse_qs(request.body.decode()))
        number = len(self.asked)
        self.arrived.set()
        await asyncio.to_thread(self.open.wait, 60)
        if self.answer is not None:
            await self.answer(peer, number)  # type: ignore[misc]  # a coroutine function
            return
        form = self.asked[-1]
        if form["grant_type"] == ["refresh_token"] and form["refresh_token"] != [self.refresh]:
            await peer.json({"error": "invalid_grant"}, status="400 Bad Request")
            return
        token = f"at-{number}-Vq7ZkX2mB9tW4rL8c"
        self.valid.add(token)
        granted: dict[str, object] = {"access_token": token, "token_type": "Bearer", "expires_in": self.seconds}
        if self.rotate:
            self.refresh = granted["refresh_token"] = f"rt-{number}-Vq7ZkX2mB9tW4rL8c"
        await peer.reply(json.dumps(granted).encode(), headers=(("content-type", "application/json"),))

    async def _api(self, request: Received, peer: Peer) -> None:
        token = (request.header("authorization") or "").removeprefix("Bearer ")
        status = "200 OK" if token in self.valid else "401 Unauthorized"
        await peer.json({"your token": token}, status=status)
