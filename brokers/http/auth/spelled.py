"""Options of a scheme that has many, in one line: `FIRST,NAME=VALUE,NAME=VALUE`.

Rules of this file
- A comma ends a value, so one within a value is written `%2C`, and a percent sign `%25`: nothing else is escaped.
- What `read` takes, `write` gives back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.http.auth import misspelt

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_OPTION = 512  # characters of an option: a URL, or all scopes of an application
_ESCAPE = re.compile(r"%(2[Cc5]|)")


def read(rest: str, first: str, *names: str) -> dict[str, str]:
    """The options behind a scheme's name: the one called `first`, then some of `names`."""
    head, *more = rest.split(",")
    if not head:
        misspelt()
    options = {first: _plain(head)}
    for part in more:
        name, mark, value = part.partition("=")
        if not mark or name in options or name not in names:
            misspelt()
        options[name] = _plain(value)
    return options


def write(options: Mapping[str, str], first: str) -> str:
    """See `read`."""
    rest = [f"{name}={_escaped(value)}" for name, value in options.items() if name != first]
    return ",".join([_escaped(options[first]), *rest])


def check(options: Mapping[str, str], needed: tuple[str, ...], allowed: tuple[str, ...] = ()) -> None:
    """Raise `BrokerError("options")` unless all of `needed` are there, and nothing but them and `allowed`."""
    if not {*needed, *allowed}.issuperset(options):
        raise BrokerError("options", why="the auth scheme has no such option")
    if not all(options.get(name) for name in needed) or not all(options.values()):
        raise BrokerError("options", why="the auth scheme needs more than this: an option is missing or empty")
    if not all(value.isascii() and value.isprintable() and len(value) <= MAX_OPTION for value in options.values()):
        raise BrokerError("options", why="an option is at most 512 visible ASCII characters")


def _plain(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        return {"2c": ",", "25": "%"}.get(found[1].lower()) or misspelt()

    return _ESCAPE.sub(one, text)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(",", "%2C")
