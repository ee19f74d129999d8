"""`kv explain`: see what would happen and why, by the same functions that a call goes through."""

from __future__ import annotations

from kv.client import AGENT, Client
from kv.hot import call, ssh, statement
from kv.hot.arguments import HELP, Table, read
from kv.hot.result import print_json
from kv.paths import vault_path

_HELP = """
usage: kv explain [api] CONNECTION [METHOD] PATH [options]
       kv explain query CONNECTION SQL [options]
       kv explain ssh CONNECTION -- COMMAND [ARGUMENT…]

Show how a call would be read and judged: its effect, the rule, what would
help. Nothing is performed.

  kv explain stripe POST /v1/refunds -f charge=ch_3Pq
  kv explain query shop 'delete from orders' --mode write
"""
OPTIONS: Table = {**ssh.COMMAND_OPTIONS, **statement.OPTIONS, **call.OPTIONS, **HELP}


_VERBS = {"api": "explain", "query": "explain-query", "ssh": "explain-ssh"}


def main(_: str, argv: list[str]) -> int:
    """Perform `kv explain`. Raises `KvError`."""
    if (found := read(argv, OPTIONS, _HELP)) is None:
        return 0
    tool = found.words.pop(0) if found.words and found.words[0] in _VERBS else "api"
    request = {"api": call.build, "query": statement.build, "ssh": ssh.build}[tool](found)
    with Client(vault_path(found.get("vault")), AGENT) as client:
        ok = client.ask(_VERBS[tool], request.args, request.body).ok
    if found.on("json"):
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
