"""Which programs count as agents."""

from __future__ import annotations

import pytest

from kv.clients import agent_above, clients, known_client


@pytest.mark.parametrize(
    ("exe", "argv", "key"),
    [
        ("/home/u/.local/share/claude/claude.exe", ["claude"], "claude-code"),
        ("/opt/claude (deleted)", ["/opt/claude"], "claude-code"),
        ("/usr/bin/node", ["node", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"], "claude-code"),
        ("/usr/lib/codex/codex", ["codex", "exec"], "codex"),
        ("/usr/bin/node", ["node", "/usr/local/bin/codex"], "codex"),
        ("/usr/bin/node", ["node", "--max-old-space-size=8", "/usr/bin/gemini", "-y"], "gemini-cli"),
        ("/x/opencode.exe", ["opencode"], "opencode"),
        ("/x/node", ["MainThread"], None),
        ("/x/copilot", ["copilot"], "copilot-cli"),
        ("/usr/bin/node", ["node", "--expose-gc", "/x/@qwen-code/qwen-code/cli.js"], "qwen-code"),
        ("/usr/bin/node", ["/x/node", "/h/.local/share/cursor-agent/versions/1/index.js"], "cursor-agent"),
        ("/usr/bin/python3.12", ["python3", "/usr/bin/aider"], "aider"),
        ("/usr/share/code/code", ["/usr/share/code/code", "--type=utility"], "vscode"),
        ("/usr/bin/bash", ["bash", "claude"], None),
        ("/usr/bin/vim", ["vim", "/usr/bin/gemini"], None),
        ("", [], None),
    ],
)
def test_a_client_is_known_by_its_program_and_script(exe: str, argv: list[str], key: str | None) -> None:
    """Executables, argv[0], and the script of a runtime identify a client; other arguments do not."""
    found = known_client(exe, argv)
    assert (found[0] if found else None) == key


def test_every_row_can_match_something_and_has_a_label() -> None:
    """No row of the list is dead: each names an executable or a script."""
    assert all(client.label and (client.exe or client.script or client.within) for client in clients())
    assert len({client.key for client in clients()}) == len(clients()) > 15


def test_an_editor_above_is_no_reason_to_refuse_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """People type in the terminals of editors: only agents count, the nearest first."""
    chain = [("/bin/bash", ["bash"]), ("/usr/share/code/code", ["code"])]
    monkeypatch.setattr("kv.clients.ancestors", lambda _: chain)
    assert not agent_above(1)
    chain[1:1] = [("/x/codex", ["codex"]), ("/x/claude", ["claude"])]
    assert agent_above(1) == "Codex"
