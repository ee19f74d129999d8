"""What a server's refusal means: an error of the closed list while logging in, an answer afterwards. Pure.

Rules of this file
- A failure to log in is told in our words, by its number: the server's would name user, host and database.
- A refusal of a statement is the answer to it, less the words that are the connection's own.
"""

from __future__ import annotations

import re

from brokers.contract import BrokerError
from brokers.sql import rows

_LOGIN = {
    1045: "user or password is wrong",
    1698: "the server logs this user in by other means than a password",
    1251: "the user's authentication is older than what is safe",
    1820: "the password has expired",
    1862: "the password has expired",
    3118: "the account is locked",
    4151: "the account is locked",
    2059: "the server asks for an authentication that kv does not have",
}
_REFUSED = {
    1040: "it has too many connections",
    1044: "the user may not use this database",
    1049: "there is no such database",
    1129: "it blocks this machine after too many failures",
    1130: "it takes no connections from this machine",
    1203: "the user has too many connections",
    1226: "the user's allowance is used up",
    3159: "it demands TLS",
}
_OVER = frozenset({1969, 3024})  # the server's own clock: max_statement_time, MAX_EXECUTION_TIME
_GONE = frozenset({0, 1053, 1927, 4031, *range(2000, 3000)})  # shut down, killed, and what the driver itself reports
_HINTS = {
    1064: "the statement is not one for this server",
    1205: "another session holds the row or table: try again",
    1213: "two sessions waited for each other and this one was rolled back: try again",
    1792: "the call reads only: say mode=write",
    1146: "kv_schema lists the tables",
    1054: "kv_schema lists the columns",
    1142: "the connection's role lacks the privilege",
    1143: "the connection's role lacks the privilege",
    1227: "the connection's role lacks the privilege",
}
_WHO = re.compile(r"'[^']*'@'[^']*'")
_QUOTED = "'\"`."
_MAX_MESSAGE = 4096  # characters: a message of this length quotes a statement


def at_login(number: int) -> BrokerError:
    """Why a server does not let us in."""
    if number in _LOGIN:
        return BrokerError("login", why=_LOGIN[number])
    if number in _REFUSED:
        return BrokerError("refused", why=_REFUSED[number])
    if number in _GONE:
        return BrokerError("broken")
    return BrokerError("refused", why="it does not let kv in")


def fatal(number: int, seconds: float) -> BrokerError | None:
    """The failure that an error after the login is, or None where it is an answer."""
    if number in _OVER:
        return BrokerError("timeout", seconds=max(1, round(seconds)))
    return BrokerError("broken") if number in _GONE else None


def members(number: int, sqlstate: str, message: str, words: tuple[str, ...]) -> dict[str, str]:
    """A refusal as an answer tells it."""
    shown = {
        "sqlstate": sqlstate or "HY000",
        "message": f"{cleaned(message, words)} ({number})",
        "hint": _HINTS.get(number, ""),
    }
    return {key: value for key, value in shown.items() if value}


def document(told: dict[str, str]) -> bytes:
    """The answer of `members`."""
    return rows.error(told["sqlstate"], told["message"], hint=told.get("hint", ""))


def cleaned(message: str, words: tuple[str, ...]) -> str:
    """Without user and host, and without `words` where a quote or a dot stands beside them: 'shop.t' becomes '….t'."""
    text = _WHO.sub("the connection's user", message[:_MAX_MESSAGE])
    for word in filter(None, words):
        text = re.sub(rf"(?<=[{_QUOTED}]){re.escape(word)}(?=[{_QUOTED}])", "…", text)
    return text
