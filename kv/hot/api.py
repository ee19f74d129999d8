"""`kv api`: make a call through the keeper. `kv explain`: see what would happen, by the same functions."""

from __future__ import annotations

import os

from kv.client import AGENT, Client
from kv.hot import call
from kv.hot.arguments import HELP, parse, usage
from kv.hot.person import announce
from kv.hot.result import print_json, show
from kv.paths import vault_path

_HELP = """
usage: kv api CONNECTION [METHOD] PATH [options]

Make an HTTP call on a connection. kv adds the credential, performs the call,
and prints the answer with every form of every secret removed. Nothing is ever
printed that would let the credential be rebuilt.

  kv api github GET /user --select login
  kv api stripe POST /v1/refunds -f charge=ch_3Pq --reason "charged twice"
"""
_EXPLAIN = """
usage: kv explain CONNECTION [METHOD] PATH [options]

Show how a call would be read and judged: its effect, the rule, what would
help. Nothing is performed.

  kv explain stripe POST /v1/refunds -f charge=ch_3Pq
"""
OPTIONS = {**call.OPTIONS, **HELP}


def main(verb: str, argv: list[str]) -> int:
    """Perform `kv api` or `kv explain`. Raises `KvError`."""
    found = parse(argv, OPTIONS)
    if found.on("help"):
        print(usage(_EXPLAIN if verb == "explain" else _HELP, OPTIONS))
        return 0
    request = call.build(found)
    vault = vault_path(found.get("vault"))
    if verb == "explain":
        return _explain(vault, request, as_json=found.on("json"))
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if "save" in request.args else None
    with Client(vault, AGENT) as client:
        event = announce(vault, quiet=found.get("wait") == "0")
        answer = client.ask("call", request.args, request.body, folder=folder, event=event)
    return show(answer, as_json=found.on("json"), fail=found.on("fail"))


def _explain(vault: str, request: call.Call, *, as_json: bool) -> int:
    with Client(vault, AGENT) as client:
        ok = client.ask("explain", request.args, request.body).ok
    if as_json:
        print_json(ok)
        return 0
    print(f"{ok.get('verdict')}: {ok.get('title')}   ({ok.get('effect')}: {ok.get('because', '')})")
    print(f"  rule    {ok.get('rule')}")
    for label in ("why", "help"):
        if ok.get(label):
            print(f"  {label:<7} {ok[label]}")
    details = ok.get("details")
    for row in details if isinstance(details, list) else []:
        print(f"  {row[0]:<7} {row[1]}")
    print(f"  digest  {ok.get('digest')}")
    return 0
