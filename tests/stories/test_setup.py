"""`kv setup` in a home of its own: clients are told of kv, nobody else's byte is moved, and all of it goes again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

SETTINGS = (
    '{\n  // mine\n  "theme": "dark", /* for the night */\n  "mcpServers": {\n    "other": {"command": "x"}\n  },\n}\n'
)
RULES = "# Mine\r\n\r\nBe brief.\r\n"


@pytest.fixture
def home(world: World) -> Path:
    """The home of a user of Gemini CLI and Cursor, with settings of their own."""
    for folder in (".gemini", ".cursor"):
        (world.folder / folder).mkdir()
    (world.folder / ".gemini" / "settings.json").write_bytes(SETTINGS.encode())
    (world.folder / ".gemini" / "GEMINI.md").write_bytes(RULES.encode())
    return world.folder


def tree(folder: Path) -> dict[str, bytes]:
    """The clients' files and folders, with what is in them."""
    inside = [
        path
        for name in (".gemini", ".cursor", ".agents", ".claude.json")
        for path in [folder / name, *(folder / name).rglob("*")]
    ]
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in inside if path.exists()}


def test_clients_are_told_and_every_byte_comes_back(world: World, home: Path) -> None:
    """What is installed is found and told; told twice nothing changes; taken back everything is as it was."""
    before = tree(home)
    shown = {(row["client"], row["what"]): row["standing"] for row in world.must("setup", "--json").json}
    assert shown == {
        ("cursor", "server"): "missing",
        **{("gemini", what): "missing" for what in ("server", "permissions", "instructions", "skill")},
    }
    world.must("setup", "--all", "--yes", proof=True)
    settings = (home / ".gemini" / "settings.json").read_text()
    assert settings.startswith(SETTINGS[: SETTINGS.index("  },")].rstrip())
    assert '"kv": {' in settings
    entry = json.loads((home / ".cursor" / "mcp.json").read_text())["mcpServers"]["kv"]
    assert entry["args"][-1] == "mcp"
    assert entry["env"] == {"KV_VAULT": world.vault}
    assert (home / ".gemini" / "GEMINI.md").read_bytes().startswith(RULES.encode())
    told = tree(home)
    world.must("setup", "--all", "--yes")
    assert tree(home) == told
    assert world.must("setup", "--check", "--json").status == 0
    world.must("setup", "--all", "--undo", "--yes", proof=True)
    assert tree(home) == before
    acts = [e["title"] for e in world.must("audit", "list", "--json", proof=True).json if e.get("verb") == "setup"]
    assert acts == ["setup cursor gemini", "setup --undo cursor gemini"]


def test_without_a_proof_nothing_is_written(world: World, home: Path) -> None:
    """Which program a client starts is no agent's to change through kv; looking is free."""
    before = tree(home)
    shown = world.must("setup", "--all", "--dry-run").out
    assert '+    "kv": {' in shown
    refused = world.kv("setup", "--all", "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (7, "proof-needed")
    assert world.kv("setup", "--check").status == 1
    assert tree(home) == before


def test_what_is_shown_is_ours_alone(world: World, home: Path) -> None:
    """Beside our entry other servers stand, with the keys that they were given."""
    key = "sk_live_Zx81mQp0Vt44eLw9"
    (home / ".cursor" / "mcp.json").write_text(f'{{"mcpServers": {{"a": {{"env": {{"K": "{key}"}}}}}}}}')
    (home / ".gemini" / "settings.json").write_text(f'{{\n  "mcpServers": {{\n    "a": "{key}"\n  }}\n}}')
    assert key not in world.must("setup", "--all", "--dry-run").all + world.must("setup", "--json").all


def test_a_file_that_is_not_understood_is_left_alone(world: World, home: Path) -> None:
    """It is said which and where; the others are told all the same."""
    broken = home / ".gemini" / "settings.json"
    broken.write_text('{\n  "a": 1\n  "b": 2\n}')
    ran = world.must("setup", "--all", "--yes", proof=True)
    assert "~/.gemini/settings.json is left alone: line 3 is not what the format allows" in ran.err
    assert broken.read_text() == '{\n  "a": 1\n  "b": 2\n}'
    assert "kv" in json.loads((home / ".cursor" / "mcp.json").read_text())["mcpServers"]


def test_what_a_person_changed_since_stays(world: World, home: Path) -> None:
    """Taken back, what is ours goes, and what they wrote is there."""
    world.must("setup", "cursor", "--yes", proof=True)
    path = home / ".cursor" / "mcp.json"
    path.write_text(path.read_text().replace('"mcpServers": {', '"mcpServers": {\n    "theirs": {"command": "y"},'))
    world.must("setup", "cursor", "--undo", "--yes", proof=True)
    assert json.loads(path.read_text()) == {"mcpServers": {"theirs": {"command": "y"}}}


def test_a_text_that_two_clients_read_stays_for_the_other(world: World, tmp_path: Path) -> None:
    """`AGENTS.md` of a project is several clients': it goes with the last of them."""
    project = tmp_path / "shop"
    project.mkdir()
    told = ("--scope", "project", "--yes")
    for client in ("opencode", "zed"):  # one after the other: for the second the text is there already
        world.must("setup", client, *told, proof=True, cwd=project)
    world.must("setup", "opencode", "--undo", *told, proof=True, cwd=project)
    assert "kv_api" in (project / "AGENTS.md").read_text()
    world.must("setup", "zed", "--undo", *told, proof=True, cwd=project)
    assert not (project / "AGENTS.md").exists()


def test_a_client_that_kv_does_not_know_is_named(world: World) -> None:
    """With the nearest that it knows."""
    ran = world.kv("setup", "claude-cod")
    assert (ran.status, "did you mean 'claude-code'?" in ran.err) == (2, True)
