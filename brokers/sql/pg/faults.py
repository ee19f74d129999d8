"""What a refusal means: an error of the closed list while logging in, an answer afterwards. Pure.

Rules of this file
- libpq tells a failure to log in by a text alone, which names host, role and database. It is searched for words of ours
  and never passed on; a server that speaks another language ends in the least specific of them.
- A refusal of a statement is the answer to it, less the names that are the connection's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql import rows

if TYPE_CHECKING:
    from collections.abc import Mapping

# In order: the first that is found in the text says what it was.
_AT_LOGIN = (
    ("certificate verify failed", "tls", "nobody that is trusted vouches for it; --ca FILE for a private authority"),
    ("does not match host name", "tls", "it is for another name"),
    ("server certificate for", "tls", "it is for another name"),
    ("does not support SSL", "tls", "the server does not speak TLS"),
    ("SSL error", "tls", "the handshake fails"),
    ("ssl", "tls", "the handshake fails"),
    ("authentication method requirement", "login", "it asks for the password in a way that gives it away"),
    ("no password supplied", "login", "the DSN holds no password"),
    ("password authentication failed", "login", "user or password is wrong"),
    ("authentication failed", "login", "user or password is wrong"),
    ("pg_hba.conf", "login", "the server takes no connections of this user from here"),
    ("is not permitted to log in", "login", "the role may not log in"),
    ("database", "refused", "there is no such database, or the role may not use it"),
    ("too many", "refused", "it has too many connections"),
    ("remaining connection slots", "refused", "it has too many connections"),
    ("starting up", "refused", "it is starting up"),
    ("shutting down", "refused", "it is shutting down"),
    ("timeout expired", "connect", ""),
    ("Connection refused", "connect", ""),
    ("closed the connection", "broken", ""),
    ("could not", "connect", ""),
    ("role", "login", "user or password is wrong"),
)
_HINTS = {
    "25006": "the call reads only: say mode=write, and a person is asked",
    "40P01": "two sessions waited for each other and this one was rolled back: try again",
    "42501": "the connection's role lacks the privilege",
    "55P03": "another session holds the lock: try again",
    "57014": "it took longer than the call's timeout",
    "25001": "this statement cannot run in a transaction, and kv performs every statement in one",
    "42P01": "kv_schema lists the tables",
    "42703": "kv_schema lists the columns",
}
_MAX_MESSAGE = 4096  # characters: a message of this length quotes a statement


def at_login(message: str) -> BrokerError:
    """Why a server does not let us in."""
    for words, code, why in _AT_LOGIN:
        if words in message:
            return BrokerError(code, why=why) if why else BrokerError(code)
    return BrokerError("refused", why="it does not let kv in")


def answer(told: Mapping[str, str], own: tuple[str, ...]) -> bytes:
    """The document of a refusal. `told`: see `session.RefusedError`; `own` are names to leave out."""
    state = told.get("sqlstate", "")
    position = told.get("position", "")
    return rows.error(
        state,
        cleaned(told.get("message", ""), own),
        int(position) if position.isdigit() else None,
        cleaned(told.get("hint", ""), own) or _HINTS.get(state, ""),
        cleaned(told.get("detail", ""), own),
    )


def cleaned(message: str, own: tuple[str, ...]) -> str:
    """Without the connection's own names where they stand in quotes, as the server's messages have them."""
    found = message[:_MAX_MESSAGE]
    for name in filter(None, own):
        found = re.sub(rf'"{re.escape(name)}"', '"…"', found)
    return found
