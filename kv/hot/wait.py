"""`kv wait`: take up the result of a call that waited for a person."""

from __future__ import annotations

from kv.client import AGENT, Client
from kv.errors import KvError
from kv.hot.arguments import HELP, Table, read
from kv.hot.result import note, show
from kv.paths import vault_path

_HELP = """
usage: kv wait TICKET [options]

Wait for a call that was answered with a ticket (kv api --wait 0), and print
its result. A ticket belongs to the session that made the call.

  kv wait 7F3K --wait 120
"""
OPTIONS: Table = {
    "--wait": ("wait", "SECONDS", "how long (180); 0 only looks"),
    "--fail": ("fail", "", "exit with status 8 when the answer is HTTP 400 or more"),
    **HELP,
}
_SECONDS = 180.0  # as long as an approval can be given


def main(_: str, argv: list[str]) -> int:
    """Perform `kv wait`. Raises `KvError`."""
    if (found := read(argv, OPTIONS, _HELP)) is None:
        return 0
    if len(found.words) != 1:
        raise KvError("usage", why="say which ticket: kv wait 7F3K")
    seconds = found.number("wait", float)
    with Client(vault_path(found.get("vault")), AGENT) as client:
        answer = client.ask("wait", {"ticket": found.words[0], "wait": _SECONDS if seconds is None else seconds})
    if "approved" in answer.ok and not found.on("json"):
        note(str(answer.ok.get("say")))
        return 0
    return show(answer, as_json=found.on("json"), fail=found.on("fail"))
