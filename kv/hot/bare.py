"""`kv run` without secrets: the program, started by the caller itself, without the credentials that lie around.

Rules of this file
- Nothing of a value is ever printed: a variable is told by its name.
- The tables are guesses, and so short: names that say what they hold, and shapes that nothing else has. What the vault
  holds is asked of the keeper and no guess.
"""

from __future__ import annotations

import errno
import os
import re

from kv.errors import KvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

# The last words of a name; and anything with CREDENTIAL, unless it says that it holds a place.
_NAME = re.compile(
    r"(.*_)?(API_?KEY|KEY|TOKEN|SECRET|SECRETS|PASSWORD|PASSWD|PASSPHRASE|PAT)|.*(TOKEN|SECRET|PASSWORD|PASSWD|APIKEY)"
    r"|.*CREDENTIAL.*(?<!_FILE)(?<!_PATH)(?<!_DIR)",
    re.IGNORECASE,
)
_PUBLIC = re.compile(
    r".*(PUBLIC_KEY|PUBLISHABLE_KEY|GPG_KEY)|(NEXT_PUBLIC|VITE|REACT_APP|EXPO_PUBLIC)_.*", re.IGNORECASE
)
# Prefixes that issuers give their keys so that scanners find them; a private key; a URL with a password in it.
_SHAPE = re.compile(
    r"(sk-|sk_live_|sk_test_|rk_live_|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|xapp-|npm_|pypi-|hf_|hvs\.|dop_v1_|shp[ac]"
    r"[at]_|whsec_|ya29\.|SG\.|AIza|AKIA|ASIA|AGE-SECRET-KEY-1|eyJ[\w-]+\.eyJ)[\w./+=-]{12,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*"
    r"|[a-z][a-z0-9+.-]*://[^/?#\s:@]*:[^/?#\s@]+@.*",
    re.DOTALL,
)
_AS_SHELL = "/bin/sh"


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable has a credential's name or shape."""
    if not value or _PUBLIC.fullmatch(name):
        return False
    return _NAME.fullmatch(name) is not None or _SHAPE.fullmatch(value) is not None


def without(environment: dict[str, str], held: Iterable[str]) -> list[str]:
    """Take out of `environment` what looks secret and what is `held`; the names, sorted."""
    names = {name for name, value in environment.items() if looks_secret(name, value)}
    found = sorted(names | (set(held) & environment.keys()))
    for name in found:
        del environment[name]
    return found


def execute(argv: list[str], environment: dict[str, str]) -> NoReturn:
    """Become the program, found as a shell finds it. Raises `KvError("run-missing" | "run-refused")`."""
    import signal

    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program would inherit that
        signal.signal(number, signal.SIG_DFL)
    last: OSError | None = None
    if not argv[0]:
        raise KvError("run-missing", name="''", help="")
    for path in _places(argv[0], environment.get("PATH", os.defpath)):
        try:
            _become(path, argv, environment)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                last = error
    if last is None:
        raise KvError("run-missing", name=argv[0], help="")
    why = "it is a folder" if os.path.isdir(argv[0]) else os.strerror(last.errno or 0).lower()
    raise KvError("run-refused", name=argv[0], why=why)


def _become(path: str, argv: list[str], environment: dict[str, str]) -> None:
    try:
        os.execve(path, argv, environment)  # noqa: S606 - what the caller wrote, and no shell
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without a first line: as shells do.
        os.execve(_AS_SHELL, ["sh", path, *argv[1:]], environment)  # noqa: S606 - as above


def _places(name: str, path: str) -> list[str]:
    return [name] if "/" in name else [os.path.join(folder or ".", name) for folder in path.split(os.pathsep)]
