"""`kv api`: make a call through the keeper."""

from __future__ import annotations

import os

from kv.client import AGENT, Client
from kv.hot import call
from kv.hot.arguments import HELP, parse, usage
from kv.hot.person import announce
from kv.hot.result import show
from kv.paths import vault_path

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
    found = parse(argv, OPTIONS)
    if found.on("help"):
        print(usage(_HELP, OPTIONS))
        return 0
    request = call.build(found)
    vault = vault_path(found.get("vault"))
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if "save" in request.args else None
    with Client(vault, AGENT) as client:
        event = announce(vault, quiet=found.get("wait") == "0")
        answer = client.ask("call", request.args, request.body, folder=folder, event=event)
    return show(answer, as_json=found.on("json"), fail=found.on("fail"))
