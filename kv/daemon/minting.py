"""What an auth flow got from the other side: tokens to look for in answers, and secrets that took the place of others.

Rules of this file
- Everything that was minted is a needle before an answer that could echo it is read.
- A secret that was replaced (a refresh token that rotates) is stored at once: the old one is good for nothing any more.
  The connection's secret keeps its name, class and note; the old value is a kept revision.
- Tokens live in the broker and in the needles, and die with the keeper.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kv.errors import KvError
from kv.redact import GUESSABLE, strength, too_short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brokers.contract import Outcome, Secret
    from kv.daemon.house import House

_KEPT = 4  # tokens of a connection that are looked for: the one in use, and those that calls under way began with


@runtime_checkable
class _Saving(Protocol):
    """A broker that may hold replaced secrets that no outcome has brought."""

    def unsaved(self) -> Iterable[tuple[str, Mapping[str, Secret]]]: ...


def label(connection: str) -> str:
    """The name that stands in an answer for a token of the connection. No secret has one like it."""
    return f"{connection}:token"


class Minting:
    """Learns what flows minted. One per house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._tokens: dict[str, deque[bytes]] = {}

    def learn(self, name: str, outcome: Outcome) -> bool:
        """Look for what `outcome` of connection `name` minted, and store what it replaced: whether there was any."""
        for secret in outcome.minted:
            self._look_for(name, secret.expose())
        self.store(name, outcome.new_secrets)
        return bool(outcome.minted or outcome.new_secrets)

    def drain(self, broker: object) -> None:
        """Store what a broker still holds: a call that failed after its token was refreshed brought no outcome."""
        if isinstance(broker, _Saving):
            for name, replaced in broker.unsaved():
                self.store(name, replaced)

    def _look_for(self, name: str, value: bytes) -> None:
        tokens = self._tokens.setdefault(name, deque(maxlen=_KEPT))
        if value in tokens:
            return
        tokens.append(value)
        needles = self._house.needles
        needles.remove(label(name))
        for token in tokens:
            # As if it could not be guessed: who issues tokens chooses them, and one who chose a common word would have
            # other connections' answers withheld for it.
            needles.add(label(name), token, bits=max(strength(token), GUESSABLE))

    def store(self, name: str, replaced: Mapping[str, Secret]) -> None:
        """Store secrets by the slots of a connection that they are for, where they are other than what is stored."""
        vault = self._house.vault
        try:
            uses = self._house.entry(name).connection.secrets
        except KvError:
            return  # the connection was removed meanwhile
        for slot, secret in replaced.items():
            value, stored = secret.expose(), uses.get(slot)
            record = vault.get("secret", stored) if stored is not None else None
            if stored is None or record is None or vault.value("secret", stored).expose() == value:
                continue
            if vault.read_only:
                self._house.alarms.append(f"a replaced secret of {name} cannot be stored: the vault is read-only")
                self._house.needles.add(stored, value, bits=strength(value))
                continue
            meta = {**record.meta, "strength": strength(value), "short": too_short(value)}
            vault.put_many([("secret", stored, meta, value)], now=time.time())
            self._house.add_needles(stored)
            self._house.audit.event(verb="rotate", connection=name, title=f"{stored} was replaced by the other side")
