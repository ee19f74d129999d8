"""What a server's refusal means: an error of the closed list while logging in, an answer afterwards. Pure.

Rules of this file
- A failure to log in is told in our words: libpq's text names user, host and database. It is all that there is to tell
  failures by, since libpq keeps the number to itself, so what is not recognised is told as a refusal.
- A refusal of a statement is the answer to it, less the words that are the connection's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from brokers.contract import BrokerError
from brokers.sql import rows

# In libpq's and the server's words, the first that fits. "" stands for no reason.
_LOGIN: tuple[tuple[str, str, str], ...] = (
    (r"expected authentication request", "broken", ""),
    (
        r"authentication method requirement|server requested|channel binding|authentication request",
        "login",
        "the server asks for the password in a way that gives it away",
    ),
    (r"does not match host name|certificate for \"", "tls", "another name"),
    (r"certificate verify failed", "tls", "an unknown authority"),
    (r"does not support ssl", "tls", "the server does not speak TLS"),
    (r"root certificate file", "tls", "the CA cannot be read"),
    (r"password authentication failed|role \".*\" does not exist|scram", "login", "user or password is wrong"),
    (r"no encryption", "login", "it lets this user in over TLS alone"),
    (r"pg_hba\.conf", "login", "it lets this user in from elsewhere or by other means (pg_hba.conf)"),
    (r"not permitted to log in", "login", "the role may not log in"),
    (r"authentication failed", "login", "user or password is wrong"),
    (r"database \".*\" does not exist", "refused", "there is no such database"),
    (r"not currently accepting connections", "refused", "the database takes no connections"),
    (r"permission denied for database", "refused", "the role may not use this database"),
    (r"too many (clients|connections)|connection slots", "refused", "it has too many connections"),
    (r"starting up|shutting down|recovery|not yet accepting", "refused", "it is starting or stopping"),
    (r"ssl error|ssl syscall|ssl connection|could not establish ssl", "tls", "the handshake failed"),
    (r"closed the connection|reset by peer|broken pipe|terminated", "broken", ""),
    (r"unexpected response|invalid response|unrecognized|received invalid|lost synchron", "broken", ""),
    (r"connection refused|no route|unreachable|could not connect|timed out|timeout", "connect", ""),
)
_TABLE = tuple((re.compile(pattern), code, why) for pattern, code, why in _LOGIN)

_HINTS = {
    "25006": "the call reads only: say mode=write",
    "25001": "kv runs every statement in a transaction, and this one refuses that: a person runs it elsewhere",
    "40001": "another session was faster: try again",
    "40P01": "two sessions waited for each other and this one was rolled back: try again",
    "55P03": "another session holds the table or row: try again, or ask who does",
    "42P01": "kv_schema lists the tables",
    "42703": "kv_schema lists the columns",
    "42501": "the connection's role lacks the privilege",
    "42601": "one statement a call, without psql's commands",
    "0A000": "the server does not do this",
}
_OURS = frozenset({"40P01"})  # the server's hint is to see its log
_CANCELLED = "57014"
_OVER = "the call's time was over: ask for less, or give it more with timeout"
_STOPPED = "somebody on the server stopped it"
_GONE = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "08000", "08003", "08006", "08P01"})  # the session ends
# What stands behind one of these is a name of the data, even where the connection has it too.
_DATA = (
    "relation ",
    "table ",
    "column ",
    "function ",
    "schema ",
    "type ",
    "constraint ",
    "index ",
    "view ",
    "sequence ",
)
_PATH = re.compile(r"(?<![\w/])/(?:[\w.+@-]+/)+[\w.+@-]*")
_PATHS = ("58", "XX", "F0", "53", "42501")  # states whose messages name files of the server
_MAX = 8192  # characters of a message or its detail: what is longer quotes a value


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal by the server, as it came."""

    state: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int | None = None

    @property
    def fatal(self) -> bool:
        """Whether the session ended with it."""
        return self.state in _GONE


class Refused(Exception):  # noqa: N818 - no failure: the server's answer
    """The server refuses the statement: an answer, not a failure. It shows nothing of it."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__("refused")


def at_login(text: str) -> BrokerError:
    """Why libpq could not log in, from what it says."""
    said = text.lower()
    for pattern, code, why in _TABLE:
        if pattern.search(said):
            return BrokerError(code, why=why) if why else BrokerError(code)
    return BrokerError("refused", why="it does not let kv in: its log says why")


def members(refusal: Refusal, words: tuple[tuple[str, str], ...], *, late: bool, before: int = 0) -> dict[str, object]:
    """A refusal as an answer tells it. `late`: the call's time was over; `before`: what we wrote ahead of it."""
    state = refusal.state or "XX000"
    ours = (_OVER if late else _STOPPED) if state == _CANCELLED else _HINTS.get(state, "")
    position = refusal.position - before if refusal.position else None
    shown = {
        "sqlstate": state,
        "message": cleaned(refusal.message, words, state),
        "position": position if position and position > 0 else None,
        "detail": cleaned(refusal.detail, words, state),
        "hint": ours if state in _OURS else cleaned(refusal.hint, words, state) or ours,
    }
    return {key: value for key, value in shown.items() if value}


def document(told: dict[str, object]) -> bytes:
    """The answer of `members`."""
    position = told.get("position")
    return rows.error(
        str(told["sqlstate"]),
        str(told.get("message", "")),
        position if isinstance(position, int) else None,
        str(told.get("hint", "")),
        str(told.get("detail", "")),
    )


def cleaned(text: str, words: tuple[tuple[str, str], ...], state: str = "") -> str:
    """Without the connection's own words and, where the server speaks of its files, without their paths."""
    text = text[:_MAX]
    if state.startswith(_PATHS):
        text = _PATH.sub("[path]", text)
    kept = "".join(f'(?<!{word})(?<!{word}")' for word in _DATA)
    for word, instead in words:
        if word:
            text = re.sub(rf"{kept}(?<![\w.]){re.escape(word)}(?![\w.])", instead, text)
    return text
