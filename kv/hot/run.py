"""`kv run`: have a program started with the secrets it needs; without any, start it without those that lie around."""

from __future__ import annotations

import os

from kv.client import AGENT, Client
from kv.errors import KvError
from kv.hot.arguments import HELP, Table, read
from kv.hot.lending import OPTIONS as LENDING
from kv.hot.lending import lent
from kv.hot.program import Run, environment, packed
from kv.hot.result import note
from kv.paths import vault_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from kv.hot.arguments import Arguments

_HELP = """
usage: kv run [options] -- COMMAND [ARGUMENTS]

Run a program with the secrets it needs. kv starts it and hands it exactly the
ones named; what it prints comes back with every form of every secret removed.
Without any it is started without the credentials that lie around.

  kv run --secret STRIPE_KEY -- npm test
  kv run --secret prod/DB_URL=DATABASE_URL -- ./migrate.sh
  kv run --env-file kv.env -- make deploy
"""
OPTIONS: Table = {
    **LENDING,
    "--no-secrets": ("no_secrets", "", "lend nothing, and take credentials out of the environment"),
    "--clear-env": ("clear_env", "", "start it with hardly any environment of yours"),
    "--no-redact": ("no_redact", "", "leave its output alone; takes your proof"),
    "--timeout": ("timeout", "SECONDS", "end it after this long, with exit status 124"),
    "--reason": ("reason", "TEXT", "why, for the person who is asked"),
    "--wait": ("wait", "SECONDS", "how long to wait for a person (180); 0 prints a ticket at once"),
    **HELP,
}


def main(_: str, argv: list[str]) -> int:
    """Perform `kv run`. Raises `KvError`."""
    mark = argv.index("--") if "--" in argv else len(argv)
    if (found := read(argv[:mark], OPTIONS, _HELP)) is None:
        return 0
    command = argv[mark + 1 :]
    if found.words or not command:
        raise KvError("usage", why="write -- before the command: kv run --secret NAME -- COMMAND")
    rows = lent(found)
    if rows and found.on("no_secrets"):
        raise KvError("usage", why="--no-secrets, or secrets to lend")
    if not rows and found.get("env_file") is not None:
        raise KvError("usage", why="--env-file lends nothing: it has no line VARIABLE=kv://NAME")
    if not rows:
        _bare(found, command)
    return Run(found, command, rows).perform()


def _bare(found: Arguments, command: list[str]) -> NoReturn:
    from kv.hot import bare

    for name in ("timeout", "reason", "wait", "passphrase_fd"):
        if found.get(name) is not None:
            raise KvError("usage", why=f"--{name.replace('_', '-')} goes with secrets; none are named")
    if found.on("no_redact"):
        raise KvError("usage", why="--no-redact goes with secrets; none are named")
    variables = {} if found.on("clear_env") else dict(os.environ)
    removed = bare.without(variables, _held(vault_path(found.get("vault"))))
    if removed:
        note(f"without {', '.join(removed)}")
    bare.execute(command, variables)


def _held(vault: str) -> list[str]:
    """The variables that hold a value of the vault, as long as it is unlocked."""
    lines = environment()
    try:
        with Client(vault, AGENT) as client:
            names = client.ask("carried", {"environment": len(lines)}, packed(lines)).ok.get("names")
    except KvError as error:
        if error.code != "locked":
            raise
        note("the vault is locked: its values were not looked for, only names and shapes of credentials")
        return []
    return [str(name) for name in names] if isinstance(names, list) else []
