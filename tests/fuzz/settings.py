"""Settings of other programs: what `kv setup` edits, spoilt."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fuzz.mutate import mutated
from fuzz.target import Target

from editor_setup import block, jsonc, toml_table, yaml_text
from editor_setup.contract import EditError, inverse, spliced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from editor_setup.contract import Splice

_ENTRY = {"name": "kv", "command": "/opt/kv", "args": ["mcp"], "env": {"A": "b"}}
_JSON = (
    b'{\n  // mine\n  "theme": "dark", /* x */\n  "servers": {"other": {"command": "x"}},\n  "deny": ["a", "b",],\n}\n',
    b'\xef\xbb\xbf{\r\n\t"servers": {\r\n\t\t"kv": {"command": "old", "args": []}\r\n\t}\r\n}',
)
_TOML = (
    b'# mine\nmodel = "x"\n[servers.other]\ncommand = \'y\' # c\nx = """\n[servers.kv]\n"""\n[[a.b]]\nc = {d = nan}\n',
    b'[servers.kv]\r\ncommand = "old"\r\n\r\n[servers.kv.env]\r\nA = "1"\r\n# about p\r\n[p]\r\n',
)
_YAML = (
    b"# mine\nservers:\n  other: &x\n    cmd: y # c\n    text: |\n      a\n\n  kv: {cmd: old}\nlist:\n- *x\n- a\n",
    b"---\r\nservers: {}\r\nlist: [a, {name: b}]\r\n...\r\n",
)
_PROSE = (f"# Mine\r\n\r\nBe brief.\n{block.MARKDOWN.begin}\nold\n{block.MARKDOWN.end}\n".encode(),)


def settings_targets() -> list[Target]:
    """An edit there and back, of each format. What is taken is taken whole, and every byte comes back."""
    servers, item = ("servers", "kv"), ("list", "[name=kv]")
    return [
        _target("json", _JSON, partial(jsonc.put, path=servers, value=_ENTRY), partial(jsonc.drop, path=servers)),
        _target("json.item", _JSON, partial(jsonc.put, path=("deny", "[=c]"), value="c"), _nothing),
        _target("toml", _TOML, partial(toml_table.put, path=servers, value=_ENTRY), _nothing),
        _target("yaml", _YAML, partial(yaml_text.put, path=servers, value=_ENTRY), _nothing),
        _target("yaml.item", _YAML, partial(yaml_text.put, path=item, value=_ENTRY), _nothing),
        _target("block", _PROSE, partial(block.put, block="new\n"), block.drop),
        Target("settings.drop", _dropped, (EditError, UnicodeDecodeError)),
    ]


def _target(
    name: str, seeds: Sequence[bytes], put: Callable[[str], list[Splice]], drop: Callable[[str], list[Splice]]
) -> Target:
    def act(random: Random) -> None:
        text = mutated(random, seeds).decode()
        splices = put(text)
        made = spliced(text, splices)
        if put(made):
            raise AssertionError("a second time changes something")
        if spliced(made, inverse(splices)) != text:
            raise AssertionError("not every byte came back")
        drop(made)

    return Target(f"settings.{name}", act, (EditError, UnicodeDecodeError))


def _nothing(_: str) -> list[Splice]:
    """What is found in odd places may be left there: its own target is `settings.drop`."""
    return []


def _dropped(random: Random) -> None:
    form, seeds = random.choice([(jsonc, _JSON), (toml_table, _TOML), (yaml_text, _YAML)])
    text = mutated(random, seeds).decode()
    left = spliced(text, form.drop(text, ("servers", "kv")))
    if form.drop(left, ("servers", "kv")):
        raise AssertionError("it is still there")
