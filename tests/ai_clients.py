"""The real AI clients of the stories: how each is run against a model on loopback, without an account.

Rules of this file
- A row is data: a client's own documented commands, settings and environment variables, and no patch of it.
- `{model}` is where the model server listens. Telemetry, updates and sign-in are switched off; what a client asks for
  all the same is a look-up of a name, which the stories count.
- scripts/clients puts them where they are looked for, pinned. Where one is missing its stories say so; under `make`
  that is a failure, unless NO_INSTALL forbade it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
PINNED = ".clients"


class AiClient(NamedTuple):
    """A client. `program` is beneath node_modules, one in JavaScript is run by the node beside it."""

    name: str  # what `kv setup` calls it
    label: str  # what kv calls it to the person whom it asks
    program: str
    environment: Mapping[str, str]
    settings: Mapping[str, str]  # its user's own files beneath HOME
    listing: tuple[str, ...]  # lists its MCP servers
    listed: str  # the line of that which says that kv is there
    turn: tuple[str, ...]  # one prompt, until the model has nothing more to say
    own: tuple[
        str, ...
    ]  # what it writes beneath HOME by itself, as patterns; by its full name what it also writes of ours
    rewrites: tuple[str, ...] = ()  # of the files in which it is told of kv
    folder: str = PINNED
    asks: tuple[str, ...] = ()  # hosts that it looks up whatever its settings say: it plays where it reaches none

    @property
    def argv(self) -> list[str]:
        """How its command line begins. Fails or skips the test where it is not installed."""
        program = installed(self.folder, f"node_modules/{self.program}")
        node = [str(installed(self.folder, "node"))] if program.suffix in {".js", ".cjs", ".mjs"} else []
        return [*node, str(program)]


def installed(folder: str, name: str) -> Path:
    """A file of what scripts/clients installed; where it is missing the test fails, or skips without `make`."""
    found = next((ROOT / folder).glob(name), None)
    if found is not None:
        return found
    says = f"{folder}/{name} is not installed: see scripts/clients"
    if "KV_TESTING_WHEEL" in os.environ and not os.environ.get("NO_INSTALL"):
        pytest.fail(says)
    pytest.skip(says)


CLAUDE_CODE = AiClient(
    "claude-code",
    "Claude Code",
    # what its package has for whoever runs no install scripts: it starts the platform's binary
    "@anthropic-ai/claude-code/cli-wrapper.cjs",
    {
        "ANTHROPIC_BASE_URL": "{model}",
        "ANTHROPIC_API_KEY": "x",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "MCP_CONNECTION_NONBLOCKING": "0",  # the first request has the tools
        "MCP_TIMEOUT": "100000",
    },
    {},
    ("mcp", "list"),
    "✔ Connected",
    ("-p", "hi", "--model", "claude-opus-4-6", "--allowedTools", "mcp__kv__*"),
    (".claude.json", ".claude/*", ".cache*"),
    (".claude.json",),
)

CODEX = AiClient(
    "codex",
    "Codex",
    "@openai/codex/bin/codex.js",
    {"LOOPBACK_KEY": "x"},
    {
        ".codex/config.toml": """\
# mine
model = "gpt-5" # of no matter
model_provider = "loopback"
check_for_update_on_startup = false

[analytics]
enabled = false

[features]
apps = false
plugins = false

[model_providers.loopback]
name = "loopback"
base_url = "{model}/v1"
wire_api = "responses"
env_key = "LOOPBACK_KEY"
""",
    },
    ("mcp", "list"),
    "mcp  ",
    (
        *("exec", "--skip-git-repo-check", "-s", "danger-full-access"),
        *("-c", "mcp_servers.kv.required=true", "-c", "mcp_servers.kv.startup_timeout_sec=100"),  # as above
        "hi",
    ),
    (".codex/*",),
)

GEMINI = AiClient(
    "gemini",
    "Gemini CLI",
    "@google/gemini-cli/bundle/gemini.js",
    {"GEMINI_API_KEY": "x", "GOOGLE_GEMINI_BASE_URL": "{model}", "GEMINI_CLI_TRUST_WORKSPACE": "true"},
    {
        ".gemini/settings.json": """\
{
  // mine
  "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false },
  "privacy": { "usageStatisticsEnabled": false },
  "security": { "auth": { "selectedType": "gemini-api-key" } } /* a key of no worth */
}
""",
        ".gemini/GEMINI.md": "# Mine\n\nBe brief.\n",
    },
    ("mcp", "list"),
    "(stdio) - Connected",
    ("-y", "-m", "gemini-2.5-flash", "-p", "hi"),
    (".gemini/*",),
)

CLIENTS = (CLAUDE_CODE, CODEX, GEMINI)
