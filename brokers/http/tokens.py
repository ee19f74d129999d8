"""Minted tokens, kept as long as they last: one request to the token endpoint, however many calls wait for it.

Rules of this file
- A token is kept under the connection's canonical form and a keyed hash of what it was minted with: neither a changed
  connection nor another credential ever meets it. It lives here and nowhere else, and ends with the broker.
- Minting is a task of its own: a caller that goes away takes nobody's token with it, and not its own result either.
- A replaced refresh token is remembered: who comes with the dead one (a vault that cannot be written to) has it lent.
- A failure is told to all who wait, and not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brokers.contract import BrokerError, Credential

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from brokers.contract import Connection, Secret
    from brokers.http.auth.minting import Minted

MARGIN = 60.0  # seconds before its end at which a token is not used any more: a call and two clocks fit in
FRESH = 300.0  # seconds in which a refused token is not replaced: one path that refuses would have any number made
_LEAST = 30.0  # seconds that a token is taken to last, whatever its endpoint says: else each call would make one
_GRACE = 1.0  # seconds for what is under way at the end
MOST = 256  # tokens kept: more connections than a person declares


@dataclass(slots=True)
class _Kept:
    minted: Minted
    until: float
    since: float
    rotated: Mapping[str, Secret] = field(default_factory=dict)  # in the place of what the key is made of


@dataclass(frozen=True, slots=True)
class Taken:
    """A token for one call. `fresh`: it was minted within the last minutes, so that another would be no better."""

    key: bytes
    minted: Minted
    fresh: bool


class Tokens:
    """Mutable state: what is kept, and the tasks under way. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[Minted]] = {}

    async def of(
        self, connection: Connection, credential: Credential, mint: Callable[[Credential], Awaitable[Minted]]
    ) -> Taken:
        """The kept token, or the one that `mint` makes of `credential` now. Raises what `mint` raises."""
        key = self._key(connection, credential)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            return Taken(key, kept.minted, fresh=self._clock() - kept.since < FRESH)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._mint(key, connection, self._newest(key, credential), mint))
            self._running[key] = task
            task.add_done_callback(lambda done: self._over(key, done))
        try:
            minted = await asyncio.shield(task)
        except BrokerError as error:
            raise BrokerError(error.code, **error.fields) from None  # one object cannot be raised by all who wait
        return Taken(key, minted, fresh=True)

    def drop(self, taken: Taken) -> None:
        """Do not use that token again; one that has taken its place meanwhile stays."""
        kept = self._kept.get(taken.key)
        if kept is not None and kept.minted is taken.minted:
            kept.until = 0.0

    async def _mint(
        self,
        key: bytes,
        connection: Connection,
        credential: Credential,
        mint: Callable[[Credential], Awaitable[Minted]],
    ) -> Minted:
        minted = await mint(credential)
        before = self._kept.get(key)
        rotated = {**(before.rotated if before else {}), **minted.rotated}
        life = max(minted.seconds, _LEAST)
        until = self._clock() + life - min(MARGIN, life / 2)
        if minted.rotated:  # under what the next call will be lent, too: it must not mint again for that alone
            following = self._key(connection, Credential({**credential.slots, **minted.rotated}))
            self._keep(following, _Kept(minted, until, self._clock()))
        self._keep(key, _Kept(minted, until, self._clock(), rotated))
        return minted

    def _keep(self, key: bytes, kept: _Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def _newest(self, key: bytes, credential: Credential) -> Credential:
        kept = self._kept.get(key)
        return Credential({**credential.slots, **kept.rotated}) if kept is not None and kept.rotated else credential

    def _over(self, key: bytes, task: asyncio.Task[Minted]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, in case that everybody who waited is gone

    def _key(self, connection: Connection, credential: Credential) -> bytes:
        mixed = hashlib.blake2b(key=self._salt, digest_size=32)
        parts = [json.dumps(connection.canonical(), sort_keys=True).encode()]
        for slot in sorted(credential.slots):
            parts += [slot.encode(), credential.slots[slot].expose()]
        for part in parts:
            mixed.update(len(part).to_bytes(8, "big") + part)
        return mixed.digest()

    async def aclose(self) -> None:
        """Forget every token, and end what is under way."""
        running = [*self._running.values()]
        if running:  # an endpoint that is about to answer may have replaced what the vault has
            await asyncio.wait(running, timeout=_GRACE)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._kept.clear()
