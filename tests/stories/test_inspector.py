"""The MCP Inspector, an outside client written by neither us nor our SDK, uses `kv mcp` as an agent would.

Rules of this file
- It is told what to start by a configuration file, as every client is, and gets no more of the world than its folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ai_clients import PINNED, installed

if TYPE_CHECKING:
    from scene import Scene
    from world import World

ERAS = ("legacy", "modern")
FAILED_TOOL = 5  # the Inspector's own exit status for a tool's error


def inspect(world: World, *arguments: str, era: str = "legacy") -> subprocess.CompletedProcess[str]:
    """One run of the Inspector: it starts `kv mcp`, sends one request, and prints the result."""
    server = {"command": sys.executable, "args": ["-m", "kv", "mcp"], "env": {"KV_VAULT": world.vault}}
    config = world.folder / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"kv": server}}))
    done = subprocess.run(
        [
            *(
                installed(PINNED, "node"),
                installed(PINNED, "node_modules/.bin/mcp-inspector"),
                "--cli",
                "--format",
                "json",
            ),
            *("--config", str(config), "--server", "kv", "--protocol-era", era, *arguments),
        ],
        env={**world.environment, "MCP_INSPECTOR_SECRET_STORE": "memory"},
        cwd=world.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    world.seen.append(done.stdout + done.stderr)
    return done


def call(world: World, tool: str, *, era: str = "legacy", **arguments: object) -> subprocess.CompletedProcess[str]:
    """One tool call."""
    given = ("--tool-args-json", json.dumps(arguments)) if arguments else ()
    return inspect(world, "--method", "tools/call", "--tool-name", tool, *given, era=era)


def result(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - what the Inspector printed
    """What it printed, which has to be a result."""
    assert done.returncode == 0, done
    return json.loads(done.stdout)["result"]


def told(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - what the tool said
    """What the tool said."""
    said = result(done)
    assert said["isError"] is False
    (part,) = said["content"]
    return json.loads(part["text"])


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_lists_the_tools(shared: Scene, era: str) -> None:
    """It finds the tools, and its check of their schemas' portability finds no error."""
    done = inspect(shared.world, "--method", "tools/list", "--strict", era=era)
    tools = {tool["name"]: tool for tool in result(done)["tools"]}
    assert sorted(tools) == [
        *(
            "kv_api",
            "kv_explain",
            "kv_list",
            "kv_query",
            "kv_run",
            "kv_schema",
            "kv_ssh",
            "kv_ssh_copy",
            "kv_status",
            "kv_wait",
        )
    ]
    acting = {name for name, tool in tools.items() if not tool["annotations"].get("readOnlyHint")}
    assert acting == {"kv_api", "kv_query", "kv_run", "kv_ssh", "kv_ssh_copy"}
    assert tools["kv_api"]["annotations"]["destructiveHint"] is True


@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_calls_and_never_sees_the_key(shared: Scene, era: str) -> None:
    """Through it the upstream gets the key and the caller the answer, in no coding the key."""
    world = shared.world
    listed = told(call(world, "kv_list", era=era))
    assert [secret["name"] for secret in listed["secrets"]] == ["demo/ECHO"]
    assert [connection["name"] for connection in listed["connections"]] == ["echo"]
    assert told(call(world, "kv_status", era=era))["locked"] is False
    answer = told(call(world, "kv_api", provider="echo", path="/encodings", query={"n": 1}, era=era))
    assert (answer["status"], answer["untrusted"]) == (200, True)
    assert answer["redactions"] >= len(answer["body"])
    (request,) = shared.upstream.requests
    assert (request.method, request.target) == ("GET", "/encodings?n=1")
    assert request.header("authorization") == f"Bearer {shared.key.decode()}"
    assert world.leaked(shared.key) == []


def test_the_inspector_is_told_what_is_refused(shared: Scene) -> None:
    """A tool's error is one by the Inspector's measure, and its text says what helps."""
    done = call(shared.world, "kv_api", provider="echo", path="/../other")
    assert done.returncode == FAILED_TOOL, done
    assert "argument 'path' is refused" in done.stdout
    assert call(shared.world, "kv_wait", ticket="7F3K").returncode == FAILED_TOOL
    assert shared.upstream.requests == []
