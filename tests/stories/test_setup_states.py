"""How clients that were told of kv stand later: who changed what, what a person has to do, and how they are asked."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from person import Person
from world import PASSPHRASE

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

CONFIG = '# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y" # theirs\n'


@pytest.fixture
def home(world: World) -> Path:
    """The home of a user of Codex and Cursor."""
    for folder in (".codex", ".cursor"):
        (world.folder / folder).mkdir()
    (world.folder / ".codex" / "config.toml").write_text(CONFIG)
    return world.folder


def standings(world: World, *words: str) -> dict[str, str]:
    """How each thing stands, by its file's name."""
    ran = world.kv("setup", *words, "--check", "--json")
    found = {row["file"].rpartition("/")[2]: row["standing"] for row in ran.json}
    assert ran.status == (0 if set(found.values()) == {"ok"} else 1)
    return found


def doctor(world: World, what: str) -> list[tuple[str, str]]:
    """The findings of `kv doctor` on one subject: verdict and text."""
    return [(each["verdict"], each["text"]) for each in world.kv("doctor", "--json").json if each["what"] == what]


def test_a_change_is_told_from_an_older_version(world: World, home: Path) -> None:
    """What kv wrote and would write otherwise now is outdated; what somebody else wrote is altered; both are mended."""
    assert doctor(world, "clients") == []
    assert standings(world) == {
        "config.toml": "missing",
        "AGENTS.md": "missing",
        "SKILL.md": "missing",
        "mcp.json": "missing",
    }
    world.must("setup", "--all", "--yes", proof=True)
    assert set(standings(world).values()) == {"ok"}
    assert doctor(world, "clients") == [("good", "Codex, Cursor: as kv setup left them")]

    state = home / ".local" / "state" / "kv" / "setup.json"
    config, skill = home / ".codex" / "config.toml", home / ".agents" / "skills" / "kv" / "SKILL.md"
    config.write_text(re.sub(r'command = ".*kv"|command = ".*python.*"', 'command = "/tmp/kv"', config.read_text()))
    assert standings(world)["config.toml"] == "altered"
    assert [verdict for verdict, _ in doctor(world, "clients")] == ["bad"]
    assert "Codex: server in ~/.codex/config.toml is not what kv setup wrote" in doctor(world, "clients")[0][1]

    told = json.loads(state.read_text())  # as if the version that wrote it had another text
    skill.write_text("older\n")
    for use in told:
        if use["path"] == str(skill):
            use["left"] = _digest("older\n")
    state.write_text(json.dumps(told))
    assert standings(world) == {"config.toml": "altered", "AGENTS.md": "ok", "SKILL.md": "outdated", "mcp.json": "ok"}

    world.must("setup", "--all", "--yes", proof=True)
    assert set(standings(world).values()) == {"ok"}
    config.write_text("broken")
    skill.unlink()
    assert standings(world) == {"config.toml": "broken", "AGENTS.md": "ok", "SKILL.md": "missing", "mcp.json": "ok"}


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def test_what_the_client_adds_to_the_entry_stays(world: World, home: Path) -> None:
    """Codex writes a person's "always allow" into it: that is no alteration, and survives when kv writes it anew."""
    world.must("setup", "codex", "--yes", proof=True)
    config = home / ".codex" / "config.toml"
    config.write_text(config.read_text() + '\n[mcp_servers.kv.tools.kv_list]\napproval_mode = "approve"\n')
    assert standings(world, "codex")["config.toml"] == "ok"
    config.write_text(
        config.read_text().replace('args = ["mcp"]', 'args = ["other"]').replace('"kv", "mcp"', '"kv", "x"')
    )
    assert standings(world, "codex")["config.toml"] == "altered"
    world.must("setup", "codex", "--yes", proof=True)
    assert standings(world, "codex")["config.toml"] == "ok"
    assert 'approval_mode = "approve"' in config.read_text()


def test_consent_that_only_a_person_gives(world: World, home: Path, tmp_path: Path) -> None:
    """A project's settings count once its folder is trusted: said at setup, seen by --check."""
    project = tmp_path / "shop"
    project.mkdir()
    told = world.must("setup", "codex", "--scope", "project", "--yes", proof=True, cwd=project)
    assert "Codex: start codex in this folder; at 'Trust this folder?' choose '1. Trust and continue'" in told.out
    check = world.kv("setup", "codex", "--scope", "project", "--check", "--json", cwd=project)
    assert [(row["what"], row["standing"]) for row in check.json if row["standing"] != "ok"] == [
        ("consent", "untrusted")
    ]
    assert check.status == 1
    config = home / ".codex" / "config.toml"
    config.write_text(f'{CONFIG}\n[projects."{project}"]\ntrust_level = "trusted"\n')
    assert world.must("setup", "codex", "--scope", "project", "--check", cwd=project).status == 0
    assert "Trust this folder" not in world.must("setup", "codex", "--scope", "project", "--yes", cwd=project).out


def test_a_home_is_no_project(world: World, home: Path) -> None:
    """What would be a project's files are the user's there."""
    ran = world.kv("setup", "codex", "--scope", "project", "--yes", proof=True, cwd=home)
    assert (ran.status, "this folder is your home" in ran.err) == (2, True)


def test_another_that_calls_itself_kv(world: World, home: Path) -> None:
    """An entry of that name with another command, one that is named alike, an alias in the shell: each is named."""
    (home / ".cursor" / "mcp.json").write_text(
        '{"mcpServers": {"KV": {"command": "/tmp/x"}, "kv_tools": {"url": "x"}}}'
    )
    (home / ".codex" / "config.toml").write_text('[mcp_servers.vault]\ncommand = "/opt/kv"\n')
    (home / ".bashrc").write_text("# alias kv=x\nexport A=b\n  alias kv='steal'\nkv () { steal; }\nalias kvx=y\n")
    found = doctor(world, "servers")
    assert [verdict for verdict, _ in found] == ["note", "bad", "note"]
    assert "'vault' in ~/.codex/config.toml could be taken for kv" in found[0][1]
    assert "'KV' in ~/.cursor/mcp.json starts another program under the name of kv" in found[1][1]
    assert [text.partition(" makes")[0] for _, text in doctor(world, "shell")] == [
        "~/.bashrc line 3",
        "~/.bashrc line 4",
    ]
    assert "steal" not in world.kv("doctor").all
    for name in (".cursor/mcp.json", ".codex/config.toml"):
        (home / name).write_text("")
    (none,) = doctor(world, "servers")
    assert none[0] == "good"
    by_name = "judged by name and command: none is started to see whether it offers kv_* tools"
    assert all(by_name in text for _, text in [*found, none])


@pytest.mark.usefixtures("home")
def test_no_name_and_no_settings_move_the_terminal(world: World, tmp_path: Path) -> None:
    """Neither a folder that an agent made and named, nor what stands in a file, gets a control character through."""
    project = tmp_path / "shop\x1b[2J\u202e"
    (project / ".cursor").mkdir(parents=True)
    (project / ".cursor" / "mcp.json").write_text('{"mcpServers": {"kv": {/*\x1b]0;x\x07*/}, "kv_\\u001b[2J": {}}}')
    ran = [
        world.must("setup", "cursor", "--scope", "project", "--dry-run", cwd=project),
        world.must("setup", "--scope", "project", cwd=project),
        world.kv("doctor", cwd=project),
    ]
    assert all("\x1b" not in each.all and "\u202e" not in each.all for each in ran)
    assert "kv_" in ran[2].out


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".claude.json", '{"projects": {"PROJECT": {"mcpServers": {"x": {"command": "/tmp/kv"}}}}}'),
        (".claude.json", '{"mcpServers": {"kv-2": {"url": "https://x.test"}}}'),
        (".continue/config.yaml", "mcpServers:\n  - name: x\n    command: /tmp/kv\n"),
        (".config/goose/config.yaml", "extensions:\n  kv_x: {}\n"),
        (".config/opencode/opencode.jsonc", '{"mcp": {"x": {"command": ["/tmp/kv", "mcp"],},}}'),
        (
            ".cline/data/settings/cline_mcp_settings.json",
            '{"mcpServers": {"x": {"transport": {"command": "/tmp/kv"}}}}',
        ),
        ("PROJECT/.cursor/mcp.json", '{"mcpServers": {"x": {"command": "kv"}}}'),
    ],
)
def test_wherever_a_client_keeps_its_servers(world: World, tmp_path: Path, file: str, text: str) -> None:
    """In its user's settings, in those for this folder alone, in the folder's own: by name, or by what is started."""
    project = tmp_path / "shop"
    project.mkdir()
    for folder in (".claude", ".cursor", ".continue", ".cline"):
        (world.folder / folder).mkdir()
    path = world.folder / file.replace("PROJECT", str(project))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("PROJECT", str(project)))
    told = world.kv("doctor", "--json", cwd=project).json
    found = [each for each in told if each["what"] == "servers"]
    assert [(each["verdict"], "could be taken for kv" in each["text"]) for each in found] == [("note", True)]


def test_another_program_of_that_name_before_it(world: World, tmp_path: Path) -> None:
    """A `kv` earlier on PATH than the one that clients start is what a person types; a link to ours is ours."""
    fake, ours = tmp_path / "fake", tmp_path / "ours"
    for folder in (fake, ours):
        folder.mkdir()
    (fake / "kv").write_text("#!/bin/sh\n")
    (fake / "kv").chmod(0o755)
    entry = json.loads(world.must("setup", "--print", "--json").json[0]["text"])["mcpServers"]["kv"]
    if entry["command"].endswith("/kv"):
        (ours / "kv").symlink_to(entry["command"])
    named = {}
    for folder in (fake, ours):
        environment = {**world.environment, "PATH": f"{folder}:{world.environment['PATH']}"}
        argv = world.argv("doctor", "--json")
        told = subprocess.run(argv, env=environment, cwd=world.folder, capture_output=True, check=False, timeout=60)
        found = [
            each["text"] for each in json.loads(told.stdout) if each["what"] == "PATH" and each["verdict"] == "bad"
        ]
        named[folder.name] = [text for text in found if "clients start" in text]
    assert len(named["fake"]) == 1
    assert f"'kv' is {fake / 'kv'}, and clients start {entry['command']}" in named["fake"][0]
    assert named["ours"] == []


def test_rules_that_were_there_before_stay(world: World) -> None:
    """A rule that a person had is theirs: it is not written twice, and not taken out with ours."""
    settings = world.folder / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{\n  "permissions": {\n    "deny": ["Read(./.env)"] // mine\n  }\n}\n')
    before = settings.read_bytes()
    world.must("setup", "claude-code", "--yes", "--no-instructions", proof=True)
    rules = re.findall(r'"((?:Read|Edit)\(.*?\))"', settings.read_text())
    assert rules[:2] == ["Read(./.env)", "Read(./.env.*)"]
    assert f"Read(~/{world.vault.rpartition('/')[2]}.d/**)" in rules
    settings.write_text(settings.read_text().replace("// mine", "// still mine"))
    world.must("setup", "claude-code", "--undo", "--yes", proof=True)
    assert settings.read_bytes() == before.replace(b"// mine", b"// still mine")
    assert not (world.folder / ".claude.json").exists()


def test_without_rules_and_texts_there_is_the_entry_alone(world: World) -> None:
    """Both can be left out, and --undo needs to be told of neither."""
    (world.folder / ".claude").mkdir()
    world.must("setup", "claude-code", "--yes", "--no-instructions", "--no-permissions", proof=True)
    assert [each.name for each in (world.folder / ".claude").iterdir()] == []
    assert "kv" in json.loads((world.folder / ".claude.json").read_text())["mcpServers"]
    world.must("setup", "claude-code", "--undo", "--yes", proof=True)
    assert not (world.folder / ".claude.json").exists()


def test_what_to_paste(world: World, home: Path) -> None:
    """For a client that kv edits, in its own form; for every other, in the usual one; also where a file is broken."""
    (home / ".codex" / "config.toml").write_text("broken")
    shown = world.must("setup", "codex", "--print").out
    assert shown.startswith("~/.codex/config.toml\n[mcp_servers.kv]\ncommand = ")
    pieces = {piece["where"]: piece["text"] for piece in world.must("setup", "--print", "--json").json}
    entry = json.loads(next(iter(pieces.values())))["mcpServers"]["kv"]
    assert entry["env"] == {"KV_VAULT": world.vault}
    assert entry["args"][-1] == "mcp"
    assert any("kv_api" in text for text in pieces.values())
    refused = world.kv("setup", "codex", "--yes", "--no-instructions")
    assert "kv setup codex --print shows what to put there by hand" in refused.err
    assert (home / ".codex" / "config.toml").read_text() == "broken"


def test_a_person_is_asked_for_each_client(world: World, home: Path) -> None:
    """A table, a question each, what is to be written, and only then the proof; a no leaves everything as it was."""
    before = (home / ".codex" / "config.toml").read_bytes()
    ask = ("Passphrase (hidden): ", PASSPHRASE.decode())
    with Person(home, world.environment) as person:
        status, text = person.run(
            "kv setup",
            ("Codex is installed. set it up?", "y"),
            ("Cursor is installed. set it up?", "n"),
            ("write this?", "n"),
        )
        assert (status, "nothing was changed" in text) == (0, True)
        assert (home / ".codex" / "config.toml").read_bytes() == before
        status, text = person.run(
            "kv setup",
            ("Codex is installed. set it up?", "y"),
            ("Cursor is installed.", "n"),
            ("write this?", "y"),
            ask,
        )
        assert status == 0
        assert re.search(r"Codex +server +missing +~/\.codex/config\.toml", text)
        assert text.index("+[mcp_servers.kv]") < text.index("write this?")
        assert "1 client told" in text
        assert not (home / ".cursor" / "mcp.json").exists()
        status, text = person.run("kv setup", ("Cursor is installed. set it up?", "n"))
        assert "Codex is installed" not in text


def test_a_no_is_an_answer(world: World, home: Path) -> None:
    """Of who began it, too: one plain sentence, status 0. What they are asked about is on their terminal by then."""
    before = (home / ".codex" / "config.toml").read_bytes()
    with Person(home, world.environment) as person:
        status, text = person.run("kv setup codex", ("write this?", "n"))
        assert (status, text.splitlines()[-1]) == (0, "nothing was changed")
        status, text = person.run("kv setup codex --json 2>err >out", ("write this?", "n"))
        assert (status, "+[mcp_servers.kv]" in text.partition("write this?")[0]) == (0, True)
        rows = json.loads((home / "out").read_text())
        assert {row["standing"] for row in rows} == {"missing"}
        assert any("+[mcp_servers.kv]" in row["diff"] for row in rows)
        assert "+[mcp_servers.kv]" in (home / "err").read_text()
        status, text = person.run("kv setup codex >out", ("write this?", "n"))
        assert (status, "+[mcp_servers.kv]" in text.partition("write this?")[0]) == (0, True)
    assert (home / ".codex" / "config.toml").read_bytes() == before
    world.must("setup", "codex", "--yes", proof=True)
    with Person(home, world.environment) as person:
        status, text = person.run("kv setup codex --undo", ("take it out?", ""))
    assert (status, text.splitlines()[-1]) == (0, "nothing was changed")
    assert world.must("setup", "codex", "--check").status == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("read: a.md\n", "'read' is there already, and is no list: make it one"),
        (
            "note: |\n  a\n  b",
            "the place of 'HOME/.aider/kv.md' is in a form that is not edited here",
        ),
    ],
)
def test_what_is_not_edited_is_pasted(world: World, text: str, why: str) -> None:
    """A text where a list has to be, a last value that a line more would change: said, and what to put there shown."""
    config = world.folder / ".aider.conf.yml"
    config.write_text(text)
    ran = world.must("setup", "aider", "--yes", proof=True)
    by_hand = "kv setup aider --print shows what to put there by hand"
    assert f"~/.aider.conf.yml is left alone: {why.replace('HOME', str(world.folder))}; {by_hand}" in ran.err
    assert config.read_text() == text
    pasted = world.must("setup", "aider", "--print").out.rpartition("~/.aider.conf.yml\n")[2]
    assert pasted == f'read: ["{world.folder}/.aider/kv.md"]\n'


def test_a_damaged_memory_is_named(world: World, home: Path) -> None:
    """It stops what needs it, with what to do; that done, what kv wrote is seen, and taken out as far as it is kv's."""
    before = (home / ".codex" / "config.toml").read_bytes()
    world.must("setup", "codex", "--yes", proof=True)
    state = home / ".local" / "state" / "kv" / "setup.json"
    state.write_text("{")
    ran = world.kv("setup", "codex", "--yes", "--json", proof=True)
    assert (ran.status, ran.json["error"]["code"]) == (1, "settings")
    assert str(state) in ran.json["error"]["message"]
    hint = ran.json["error"]["hint"]
    assert hint.startswith("move it away, and kv setup goes on")
    assert hint in doctor(world, "clients")[0][1]
    assert [verdict for verdict, _ in doctor(world, "servers")] == ["good"]
    state.unlink()
    assert set(standings(world, "codex").values()) == {"ok"}
    world.must("setup", "codex", "--undo", "--yes", proof=True)
    assert (home / ".codex" / "config.toml").read_bytes() == before
    assert not (home / ".agents" / "skills" / "kv" / "SKILL.md").read_text()
