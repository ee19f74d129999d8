"""The data of every client: of the form, and leading to the places that the clients really have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from editor_setup import edits
from editor_setup.catalogue import load, names, parse
from editor_setup.client import PLATFORMS, SCOPES, Places, of_platform
from editor_setup.contract import spliced
from editor_setup.setup import Wanted, changes

ROOT = Path(__file__).parents[2]
PLACES = Places(Path("/home/ada"), Path("/home/ada/.config"), Path("/home/ada/shop"), "linux")
ARGV = ("/opt/kv/bin/kv", "mcp")

# Files that the clients' own commands wrote for `/opt/kv/bin/kv mcp`, or that their documentation shows: user scope.
RECORDED = {
    "claude-code": (
        "/home/ada/.claude.json",
        '{"mcpServers": {"kv": {"type": "stdio", "command": "/opt/kv/bin/kv", "args": ["mcp"], "env": {}}}}',
    ),
    "opencode": (
        "/home/ada/.config/opencode/opencode.json",
        '{"mcp": {"kv": {"type": "local", "command": ["/opt/kv/bin/kv", "mcp"], "environment": {}, "enabled": true}}}',
    ),
    "copilot-cli": (
        "/home/ada/.copilot/mcp-config.json",
        (
            '{"mcpServers": {"kv": {"tools": ["*"], "type": "local", "command": "/opt/kv/bin/kv", "args": ["mcp"],'
            ' "env": {}}}}'
        ),
    ),
    "codex": (
        "/home/ada/.codex/config.toml",
        '[mcp_servers.kv]\ncommand = "/opt/kv/bin/kv"\nargs = ["mcp"]\n',
    ),
    "continue": (
        "/home/ada/.continue/config.yaml",
        "mcpServers:\n  - name: kv\n    command: /opt/kv/bin/kv\n    args: [mcp]\n    env: {}\n",
    ),
    "cline": (
        "/home/ada/.cline/data/settings/cline_mcp_settings.json",
        (
            '{"mcpServers": {"kv": {"transport": {"type": "stdio", "command": "/opt/kv/bin/kv", "args": ["mcp"],'
            ' "env": {}}}}}'
        ),
    ),
    "amp": (
        "/home/ada/.config/amp/settings.json",
        '{"amp.mcpServers": {"kv": {"command": "/opt/kv/bin/kv", "args": ["mcp"], "env": {}}}}',
    ),
    "zed": (
        "/home/ada/.config/zed/settings.json",
        '{"context_servers": {"kv": {"source": "custom", "command": "/opt/kv/bin/kv", "args": ["mcp"], "env": {}}}}',
    ),
    "vscode": (
        "/home/ada/.config/Code/User/mcp.json",
        '{"servers": {"kv": {"type": "stdio", "command": "/opt/kv/bin/kv", "args": ["mcp"], "env": {}}}}',
    ),
}


WANTED = Wanted(ARGV, {"A": "b"}, "a text\n", "a skill\n", (Path("/home/ada/.local/share/kv"), Path("/srv/kv")))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("scope", SCOPES)
def test_every_client_is_of_the_form(name: str, scope: str) -> None:
    """It can be found, and what it is told stands in its scope, on every platform, without a blank left unfilled."""
    client = load(name)
    assert client.title
    assert client.programs or of_platform(client.folders, "linux")
    assert client.servers or client.instructions
    for platform in PLATFORMS:
        for change in changes(client, scope, PLACES._replace(platform=platform), WANTED):
            assert change.path.is_relative_to(PLACES.project) == (scope == "project")
            assert not re.search(r"\{[a-z]+\}", change.pasted())
            assert scope == "user" or change.what != "permissions" or "/srv/kv" not in change.pasted()
    for step in client.steps:
        assert set(step.scopes) <= set(SCOPES)
        for sign in step.taken:
            assert of_platform(sign.files, "linux")


@pytest.mark.parametrize("name", [name for name in names() if load(name).servers])
def test_what_is_written_starts_the_server(name: str) -> None:
    """Command, arguments and environment are in the entry, whatever the file's format."""
    for scope, server in load(name).servers.items():
        file = PLACES.file(server.files)
        value = server.value(ARGV, {"A": "b"})
        text = spliced("", edits.member(file, server.path or ("all",), value).put(""))
        there = edits.format_of(file).find(text, server.path or ("all",))
        assert there == value, scope
        assert all(repr(each) in repr(there) for each in (*ARGV, "A", "b"))


@pytest.mark.parametrize("name", RECORDED)
def test_an_entry_is_what_the_client_itself_writes(name: str) -> None:
    """The file and its contents, as recorded, but for what is the person's to set."""
    path, text = RECORDED[name]
    server = load(name).servers["user"]
    file = PLACES.file(server.files)
    assert str(file) == path
    form, value = edits.format_of(file), server.value(ARGV, {})
    assert isinstance(value, dict)
    written = {name: each for name, each in value.items() if name not in server.keep or name in text}
    assert form.put(text, server.path, written) == []


@pytest.mark.parametrize(
    "text",
    [
        "title = 3",
        'title = "X"\nsever = {}',
        'title = "X"\n[server.everywhere]\nfile = "a"',
        'title = "X"\nfolders = [1]',
        'title = "X"\n[server.user]\nfile = "a"\npath = ["b"]\nentry = 1',
    ],
)
def test_data_of_another_form_is_refused(text: str) -> None:
    """A slip in a new client's file is met by its first test."""
    with pytest.raises(ValueError, match=r"wanted|more than"):
        parse("x", text)


def test_the_platform_decides() -> None:
    """Where a client keeps its files elsewhere on macOS."""
    files = load("vscode").servers["user"].files
    assert of_platform(files, "darwin") == ("~/Library/Application Support/Code/User/mcp.json",)
    assert PLACES.path(of_platform(files, "win32")[0]) == Path("/home/ada/AppData/Roaming/Code/User/mcp.json")
    assert of_platform({"": ("a",)}, "darwin") == ("a",)
    assert of_platform({"linux": ("a",)}, "darwin") == ()


@pytest.mark.parametrize(
    ("name", "variable", "path"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "/srv/c/.claude.json"),
        ("codex", "CODEX_HOME", "/srv/c/config.toml"),
        ("copilot-cli", "COPILOT_HOME", "/srv/c/mcp-config.json"),
    ],
)
def test_a_variable_moves_a_clients_folder(name: str, variable: str, path: str) -> None:
    """As the client itself has it; set to nothing, or for another client, it moves nothing."""
    client = load(name)
    files = client.servers["user"].files
    assert str(PLACES.of(client, {variable: "/srv/c"}).file(files)) == path
    assert PLACES.of(client, {variable: ""}).file(files) == PLACES.file(files)
    assert PLACES.of(load("cursor"), {variable: "/srv/c"}).file(files) == PLACES.file(files)


@pytest.mark.parametrize("name", names())
def test_what_a_model_is_told_is_short(name: str) -> None:
    """25 lines at most, with what a client wants above them: models read it with every task, and the skill at need."""
    text, skill = ((ROOT / "kv" / each).read_text() for each in ("instructions.md", "skill.md"))
    wanted = Wanted(ARGV, {}, text, skill)
    told = [each for scope in SCOPES for each in changes(load(name), scope, PLACES, wanted) if each.what != "server"]
    for change in told:
        assert len(re.sub(r"\A---\n.*?\n---\n", "", change.pasted(), flags=re.DOTALL).splitlines()) <= 25, change.path
