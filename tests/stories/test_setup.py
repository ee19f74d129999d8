"""`kv setup` in a home of its own: clients are told of kv, nobody else's byte is moved, and all of it goes again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from editor_setup.catalogue import names

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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("claude-cod", "claude-code"),
        ("Claude Desktop", "claude-desktop"),
        ("vs-code", "vscode"),
        ("copilot", "copilot-cli"),
        ("openai-codex", "codex"),
        ("qwen-code", "qwen"),
    ],
)
def test_a_client_that_kv_does_not_know_is_named(world: World, name: str, meant: str) -> None:
    """The likely one, by its name, title or command; nothing of the sentence is cut off."""
    ran = world.kv("setup", name)
    line = f"kv: kv knows no such client (did you mean '{meant}'?); kv setup --help names them"
    assert (ran.status, ran.err.splitlines()[0]) == (2, line)


def test_help_names_every_client_and_every_standing(world: World) -> None:
    """Whoever asks what to type, or what a word of the table means, finds it there."""
    text = world.must("setup", "--help").out
    named = text[text.index("CLIENT is one of") :].partition(".")[0].removeprefix("CLIENT is one of")
    assert [each.strip() for each in named.split(",")] == list(names())
    for standing in ("ok", "missing", "outdated", "altered", "broken", "untrusted"):
        assert re.search(rf"^ +{standing}  +\w", text, re.MULTILINE)
    assert "untrusted is not" in text


def test_a_dry_run_takes_nothing_out(world: World, home: Path) -> None:
    """It names what --undo would take, and that is all, whatever else is said."""
    world.must("setup", "--all", "--yes", proof=True)
    told = tree(home)
    shown = world.must("setup", "--all", "--undo", "--dry-run", "--yes", proof=True).out
    assert "Cursor: server in ~/.cursor/mcp.json" in shown
    assert "taken back" not in shown
    rows = world.must("setup", "cursor", "--undo", "--dry-run", "--json").json
    assert [(row["what"], row["standing"]) for row in rows] == [("server", "ok")]
    assert tree(home) == told
    assert world.must("setup", "--check", "--json").status == 0


@pytest.mark.usefixtures("home")
def test_what_is_written_is_in_the_rows_too(world: World) -> None:
    """`--json` carries each line, before anything is done and after; what is done at once is also said beside it."""
    dry = world.must("setup", "--all", "--dry-run", "--json").json
    assert all(row["diff"] for row in dry)
    lines = [line for row in dry for line in row["diff"]]
    assert '+    "kv": {' in lines
    ran = world.must("setup", "--all", "--yes", "--json", proof=True)
    assert [row["diff"] for row in ran.json] == [row["diff"] for row in dry]
    assert {row["standing"] for row in ran.json} == {"ok"}
    assert all(line in ran.err.splitlines() for line in lines)
    assert all("diff" not in row for row in world.must("setup", "--json").json)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--all --undo --check", "--undo or --check: one of them"),
        ("--all --undo --print", "--undo or --print: one of them"),
        ("--all --check --print", "--check or --print: one of them"),
        ("--all --check --dry-run", "--check changes nothing"),
        ("--all --print --yes", "--print changes nothing"),
        ("cursor --all", "a client's name or --all: one of them"),
        ("--all --undo --no-permissions", "--undo takes everything back"),
        ("--yes", "name the clients, or --all"),
    ],
)
def test_what_contradicts_itself_is_refused(world: World, home: Path, words: str, says: str) -> None:
    """As a wrong command line, with nothing done."""
    before = tree(home)
    ran = world.kv("setup", *words.split(), proof=True)
    assert (ran.status, says in ran.err) == (2, True)
    assert tree(home) == before


def test_patterns_of_a_project(world: World, tmp_path: Path) -> None:
    """`.cursorignore` gets lines of ours below its own; they go to the byte, and alone where it was changed since."""
    project = tmp_path / "shop"
    project.mkdir()
    ignored = project / ".cursorignore"
    ignored.write_bytes(b"dist/\r\n!.env.example")
    told = ("setup", "cursor", "--scope", "project", "--yes")
    for added in (b"", b"# mine\r\n"):
        world.must(*told, proof=True, cwd=project)
        ours = b"# kv:begin\r\n.env\r\n.env.*\r\n# kv:end\r\n"
        assert ignored.read_bytes() == b"dist/\r\n!.env.example\r\n\r\n" + ours
        ignored.write_bytes(ignored.read_bytes() + added)
        world.must(*told, "--undo", proof=True, cwd=project)
    assert ignored.read_bytes() == b"dist/\r\n!.env.example\r\n" + added
    assert [each.name for each in project.iterdir()] == [".cursorignore"]
