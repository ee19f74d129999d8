"""What an auth flow got from the other side: tokens to look for in answers, and secrets that took the place of others.

Rules of this file
- Told by the broker the moment it has something, before that is sent anywhere: whatever becomes of the call, every
  other call's answer is searched for it.
- A token is looked for until it has ended, and not for as long as it is used: an agent can have many made.
- What the other side chose must not be guessable: a token that is a common word would have other connections' answers
  changed, or withheld, for it.
- A replaced secret (a refresh token that rotates) is stored at once: the old one is good for nothing any more. It keeps
  its name, class and note; the old value is a kept revision. What a person has stored meanwhile stays.
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from kv.daemon.clock import boot_time
from kv.errors import KvError
from kv.redact import GUESSABLE, strength, too_short
from kv.redact.parts import parts

if TYPE_CHECKING:
    from brokers.contract import Secret
    from kv.daemon.house import House

MOST, MOST_BYTES = 64, 128 << 10  # tokens of a connection that have not ended: some hundred needles a kilobyte
_UNKNOWN = 600.0  # seconds that a token is looked for whose end nobody knows
_PARTS = 16  # of what the other side gave: a token has none, a document of tokens a few


def label(connection: str) -> str:
    """The name that stands in an answer for a token of the connection. No secret has one like it."""
    return f"{connection}:token"


class Safe:
    """Learns what flows got, as a `brokers.contract.Safe`. One per house; `learned` counts what there was to learn."""

    def __init__(self, house: House) -> None:
        self.learned = 0
        self._house = house
        self._alive: dict[str, dict[bytes, float]] = {}  # tokens of each connection, and when they end
        self._told: set[str] = set()  # connections of which it was said that their secret cannot be stored

    def learn(self, connection: str, secret: Secret, seconds: float) -> None:
        """Look for a token from now on, until it ends. Raises `BrokerError`: `login`, and `refused` for too many."""
        value, now = secret.expose(), boot_time()
        alive = self._alive.setdefault(connection, {})
        if value not in alive:
            _check(value)
            self._forget_ended(connection, alive, now)
            if len(alive) >= MOST or sum(map(len, alive)) + len(value) > MOST_BYTES:
                raise BrokerError("refused", why="it has given many tokens that all still last: some have to end first")
            self._look_for(connection, value)
        alive[value] = now + (seconds or _UNKNOWN)

    def _forget_ended(self, connection: str, alive: dict[bytes, float], now: float) -> None:
        ended = [value for value, until in alive.items() if until <= now]
        if not ended:
            return
        for value in ended:
            del alive[value]
        self._house.needles.remove(label(connection))
        for value in alive:
            self._look_for(connection, value)

    def _look_for(self, connection: str, value: bytes) -> None:
        self._house.needles.add(label(connection), value, bits=GUESSABLE)  # at the least: `_check`
        self.learned += 1

    def replace(self, connection: str, slot: str, before: Secret, after: Secret) -> None:
        """Store `after` where the connection's secret still is `before`. Raises `BrokerError("login")` as `learn`.

        Where the vault does not take it, it is looked for all the same, and a person is told: the broker goes on with
        it, and it ends with the keeper.
        """
        house = self._house
        try:
            stored = house.entry(connection).connection.secrets.get(slot)
        except KvError:
            return  # the connection was removed meanwhile
        if stored is None or house.vault.get("secret", stored) is None:
            return
        if house.vault.value("secret", stored).expose() != before.expose():
            return
        try:
            self.store(connection, stored, after)
        except KvError as error:
            house.needles.add(stored, after.expose(), bits=GUESSABLE)
            self.learned += 1
            if connection not in self._told:
                self._told.add(connection)
                title = f"{stored} was replaced by the other side, and the vault does not take it: {error.code}"
                with suppress(KvError):  # a disk that is full takes no alarm either
                    house.audit.alarm(verb="rotate", connection=connection, title=title)

    def store(self, connection: str, name: str, after: Secret) -> None:
        """Give a connection's secret `name` a new value. Raises `BrokerError("login")`, and what a vault raises."""
        value, house = after.expose(), self._house
        _check(value)
        record = house.vault.get("secret", name)
        if record is None or house.vault.value("secret", name).expose() == value:
            return
        meta = {**record.meta, "strength": strength(value), "short": too_short(value)}
        house.vault.put_many([("secret", name, meta, value)], now=time.time())
        house.add_needles(name)
        self.learned += 1
        house.audit.event(verb="rotate", connection=connection, title=f"{name} was replaced by the other side")


def _check(value: bytes) -> None:
    """Raise `BrokerError("login")` for a value that, or a part of which, could be guessed."""
    found = [value, *islice(parts(value), _PARTS + 1)]
    if len(found) > _PARTS + 1 or any(strength(part) < GUESSABLE for part in found):
        raise BrokerError("login", why="what it gives for a token could be guessed, or is a document")
