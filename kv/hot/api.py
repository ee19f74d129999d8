"""`kv api`: make a call through the keeper."""

from __future__ import annotations

from kv.hot import call
from kv.hot.arguments import HELP, read
from kv.hot.request import ask
from kv.hot.result import show

_HELP = """
usage: kv api CONNECTION [METHOD] PATH [options]

Make an HTTP call on a connection. kv adds the credential, performs the call,
and prints the answer with every form of every secret removed. Nothing is ever
printed that would let the credential be rebuilt.

  kv api github GET /user --select login
  kv api stripe POST /v1/refunds -f charge=ch_3Pq --reason "charged twice"
"""
OPTIONS = {**call.OPTIONS, **HELP}


def main(_: str, argv: list[str]) -> int:
    """Perform `kv api`. Raises `KvError`."""
    if (found := read(argv, OPTIONS, _HELP)) is None:
        return 0
    return show(ask("call", found, call.build(found)), as_json=found.on("json"), fail=found.on("fail"))
