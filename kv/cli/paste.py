"""`kv setup --print`: what to put into a client's settings by hand, where kv cannot or does not edit them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kv.cli import tui
from kv.cli.told import places, shown, wanted

if TYPE_CHECKING:
    from editor_setup.client import Client
    from kv.cli.options import Options
    from kv.cli.told import Asked


def print_text(options: Options, clients: list[Client], asked: Asked) -> None:
    """What `clients` are told, file by file; without any, what most clients of MCP take."""
    found = [piece for client in clients for piece in _of(client, asked)] if clients else _generic(asked)
    if options.as_json:
        tui.print_json(found)
        return
    for number, piece in enumerate(found):
        if number:
            tui.say()
        tui.say(tui.styled(piece["where"], "bold"))
        tui.say(piece["text"].rstrip("\n"))


def _of(client: Client, asked: Asked) -> list[dict[str, str]]:
    from editor_setup.setup import changes, steps

    found = [
        {"client": client.name, "where": shown(change.path), "text": change.pasted()}
        for change in changes(client, asked.scope, places(client), wanted(asked))
    ]
    said = [step.say for step in steps(client, asked.scope)]
    return [*found, {"client": client.name, "where": "then", "text": "\n".join(said)}] if said else found


def _generic(asked: Asked) -> list[dict[str, str]]:
    what = wanted(asked)
    entry = {"command": what.argv[0], "args": list(what.argv[1:]), "env": dict(what.env)}
    text = json.dumps({"mcpServers": {"kv": entry}}, indent=2, ensure_ascii=False)
    found = [
        {"client": "", "where": "where the client's MCP servers stand, in the form that it has for them", "text": text}
    ]
    if what.text:
        found.append({"client": "", "where": "where it reads instructions, AGENTS.md for one", "text": what.text})
    return found
