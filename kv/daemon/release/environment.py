"""The environment of a `kv run`, but for the secrets. Pure.

Rules of this file
- From an agent a list of names passes, and nothing else: whoever chooses `LD_PRELOAD`, `NODE_OPTIONS`, `PYTHONPATH`,
  `GIT_SSH_COMMAND`, `npm_config_*` or `BASH_ENV` chooses what is executed, whatever the card says.
- `PATH`, `HOME` and who one is are the person's, as the keeper has them from the shell that unlocked the vault.
- A person with a proof has their whole environment, less what is kv's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST = 20_000  # variables: more than any shell has, and no more than a frame's body holds

# What tells a program how to speak, and where it runs. None of these names a file, a command or a host.
_PASSED = {
    *("CI", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "FORCE_COLOR", "LANG", "LANGUAGE", "NO_COLOR", "TERM"),
    *("LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"),
}
_WORD = re.compile(r"[A-Za-z0-9_.@:,+-]{0,100}")  # no slash: libc takes a locale or a terminal with one for a path
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,50}(?:/[A-Za-z0-9_+-]{1,50}){0,2}")  # Europe/Berlin, and no file elsewhere
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "XDG_RUNTIME_DIR")
_SECURE_PATH = "/usr/local/bin:/usr/bin:/bin"  # where the unlocking shell had none
_OWN = ("KV_", "_KV_")  # kv's own, which lead it and not what it starts


def variables(texts: Iterable[bytes]) -> dict[str, str]:
    """`NAME=VALUE` each, decoded as Python decodes an environment. Raises `KvError("bad-argument")`.

    Of a name that is there twice the first counts, as `getenv` has it.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, mark, value = text.decode("utf-8", "surrogateescape").partition("=")
        if mark and name:
            found.setdefault(name, value)
    if len(found) > MOST:
        raise KvError("too-large", argument="environment", limit=f"{MOST:,} variables")
    return found


def basics(kept: Mapping[str, str], user: str, home: str, shell: str) -> dict[str, str]:
    """The person's basics: what the shell that unlocked the vault had, and what the system knows of them."""
    known = {"PATH": _SECURE_PATH, "USER": user, "LOGNAME": user, "HOME": home, "SHELL": shell}
    return {**known, **{name: kept[name] for name in _KEPT if name in kept}}


def of_person(given: Mapping[str, str]) -> dict[str, str]:
    """A person's own environment."""
    return {name: value for name, value in given.items() if not name.startswith(_OWN)}


def of_agent(given: Mapping[str, str], person: Mapping[str, str], folder: str) -> dict[str, str]:
    """What a program gets that an agent asked for: the person's basics, and what passes of the agent's."""
    passed = {name: value for name, value in given.items() if name in _PASSED and _WORD.fullmatch(value)}
    if _ZONE.fullmatch(given.get("TZ", "")):
        passed["TZ"] = given["TZ"]
    return {**person, **passed, "PWD": folder}
