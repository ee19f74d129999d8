"""The data of every client: of the form, and leading to the places that the clients really have."""

from __future__ import annotations

from pathlib import Path

import pytest

from editor_setup import catalogue, jsonc
from editor_setup.catalogue import SCOPES, Places, load, names, of_platform, parse
from editor_setup.contract import spliced

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


@pytest.mark.parametrize("name", names())
def test_every_client_is_of_the_form(name: str) -> None:
    """It can be found, it can be told of a server, and what is written starts that server."""
    client = load(name)
    assert client.title
    assert client.programs or of_platform(client.folders, "linux")
    assert "user" in client.servers
    for scope, server in client.servers.items():
        text = spliced("", jsonc.put("", server.path, server.value(ARGV, {"A": "b"})))
        assert all(each in text for each in (*ARGV, '"A": "b"'))
        assert "{" not in text.replace("{\n", "").replace("{}", "")
        for platform in ("linux", "darwin"):
            inside = [PLACES.path(each) for each in of_platform(server.files, platform)]
            assert inside
            assert all(each.is_relative_to(PLACES.project) == (scope == "project") for each in inside)
    for scope, instructions in client.instructions.items():
        assert scope in SCOPES
        assert not instructions.head or instructions.own


@pytest.mark.parametrize("name", RECORDED)
def test_an_entry_is_what_the_client_itself_writes(name: str) -> None:
    """The file and its contents, as recorded."""
    path, text = RECORDED[name]
    server = load(name).servers["user"]
    assert str(PLACES.path(of_platform(server.files, "linux")[0])) == path
    assert jsonc.read(spliced("", jsonc.put("", server.path, server.value(ARGV, {})))) == jsonc.read(text)


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
    assert of_platform({"": ("a",)}, "darwin") == ("a",)
    assert catalogue.of_platform({"linux": ("a",)}, "darwin") == ()
