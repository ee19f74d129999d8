"""`kv take`: the second half of the shell hand-off, as `kv get` writes it out for the shell to run."""

from __future__ import annotations

import sys

from kv.client import AGENT, Client
from kv.errors import KvError
from kv.hot.arguments import HELP, read
from kv.paths import vault_path

_HELP = """
usage: kv take TOKEN

Write the value behind a token to standard output, once. For the shell, which
runs it as kv get tells it to; a token is good for a minute, and only in the
session that asked for it.

  eval "$(kv get STRIPE_KEY)"      which runs, for each name:
  kv take vJ8mG2rZq0
"""
OPTIONS = HELP


def main(_: str, argv: list[str]) -> int:
    """Perform `kv take`. Raises `KvError`."""
    if (found := read(argv, OPTIONS, _HELP)) is None:
        return 0
    if len(found.words) != 1:
        raise KvError("usage", why="say which token; kv get NAME makes one")
    with Client(vault_path(found.get("vault")), AGENT) as client:
        answer = client.ask("take", {"token": found.words[0]})
    sys.stdout.buffer.write(answer.body)
    sys.stdout.buffer.flush()
    return 0
