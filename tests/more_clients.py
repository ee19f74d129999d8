"""More AI clients, for `make clients`: rows as in `ai_clients`.

Rules of this file
- A client that takes no turn without an account has none here: its own listing is what there is to see.
"""

from __future__ import annotations

from ai_clients import CLIENTS, AiClient

FOLDER = ".more-clients"

AMP = AiClient(
    "amp",
    "Amp",
    "@ampcode/cli-*/amp",
    {"AMP_URL": "{model}", "AMP_SKIP_UPDATE_CHECK": "1"},
    {".config/amp/settings.json": '{\n  // mine\n  "amp.notifications.enabled": false,\n}\n'},
    ("mcp", "list"),
    "kv mcp",
    (),
    (".cache*", ".local/share*"),
    folder=FOLDER,
)

AUGGIE = AiClient(
    "auggie",
    "Auggie",
    "@augmentcode/auggie/augment.mjs",
    {"AUGMENT_DISABLE_AUTO_UPDATE": "1"},
    {".augment/settings.json": '{\n\t"model": "mine"\n}\n'},
    ("mcp", "list"),
    "✓ kv",
    (),
    (".augment/*",),
    folder=FOLDER,
)

CLINE = AiClient(
    "cline",
    "Cline",
    "@cline/cli-*/bin/cline",
    {
        "CLINE_NO_AUTO_UPDATE": "1",
        "CLINE_SESSION_BACKEND_MODE": "local",  # no hub that outlives the turn
        "IS_TEST": "true",  # no look-up of feature flags: there is no setting for it
    },
    {
        ".cline/data/settings/global-settings.json": '{ "telemetryOptOut": true, "autoUpdateEnabled": false }\n',
        ".cline/data/settings/providers.json": """\
{
  "version": 1,
  "lastUsedProvider": "openai-compatible",
  "modes": {},
  "providers": {
    "openai-compatible": {
      "settings": {
        "provider": "openai-compatible",
        "apiKey": "x",
        "model": "scripted",
        "baseUrl": "{model}/v1"
      },
      "updatedAt": "2026-01-01T00:00:00.000Z",
      "tokenSource": "manual"
    }
  }
}
""",
        ".cline/data/settings/cline_mcp_settings.json": '{\n  "mcpServers": {}\n}\n',
    },
    ("config", "mcp"),
    "kv [stdio]",
    ("say hi",),
    (".cline/*",),
    folder=FOLDER,
)

CONTINUE = AiClient(
    "continue",
    "Continue",
    "@continuedev/cli/dist/cn.js",
    {"CONTINUE_CLI_ENABLE_TELEMETRY": "0", "CONTINUE_METRICS_ENABLED": "0"},
    {
        ".continue/config.yaml": """\
# mine
name: mine
version: 1.0.0
schema: v1
models:
  - name: scripted # of no matter
    provider: openai
    model: scripted
    apiBase: {model}/v1
    apiKey: x
    capabilities: [tool_use]
""",
    },
    (),
    "",
    ("--auto", "-p", "hi"),
    (".continue/*",),
    folder=FOLDER,
    asks=("api.continue.dev",),  # for its newest version, at every start
)

COPILOT_CLI = AiClient(
    "copilot-cli",
    "Copilot CLI",
    "@github/copilot/npm-loader.js",
    {
        "COPILOT_PROVIDER_BASE_URL": "{model}/v1",
        "COPILOT_PROVIDER_API_KEY": "x",
        "COPILOT_MODEL": "gpt-4.1",
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
    },
    {".copilot/mcp-config.json": '{\n  "mcpServers": {}\n}\n'},
    ("mcp", "list"),
    "kv (local)",
    ("-p", "hi", "--allow-all"),
    (".copilot/*", ".cache*"),
    folder=FOLDER,
)

OPENCODE = AiClient(
    "opencode",
    "opencode",
    "opencode-*64/bin/opencode",
    {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "npm_config_registry": "{model}",  # where it looks for a package of its own at every start
    },
    {
        ".config/opencode/opencode.jsonc": """\
{
  "$schema": "https://opencode.ai/config.json", // mine
  "autoupdate": false,
  "share": "disabled",
  "experimental": { "mcp_timeout": 100000 },
  "model": "loopback/scripted",
  "provider": {
    "loopback": {
      "npm": "@ai-sdk/openai-compatible",
      "options": { "baseURL": "{model}/v1", "apiKey": "x" },
      "models": { "scripted": { "tool_call": true } },
    },
  },
}
""",
    },
    ("mcp", "list"),
    "✓ kv",
    ("run", "hi"),
    (".cache*", ".config/opencode/.gitignore", ".local/share*", ".local/state/opencode*"),
    folder=FOLDER,
)

QWEN_CODE = AiClient(
    "qwen",
    "Qwen Code",
    "@qwen-code/qwen-code/cli-entry.js",
    {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "{model}/v1", "OPENAI_MODEL": "scripted", "NO_COLOR": "1"},
    {
        ".qwen/settings.json": """\
{
  // mine
  "general": { "enableAutoUpdate": false },
  "privacy": { "usageStatisticsEnabled": false },
  "telemetry": { "enabled": false },
  "security": { "auth": { "selectedType": "openai" } }
}
""",
    },
    ("mcp", "list"),
    "(stdio) - Connected",
    ("-y", "-p", "hi"),
    (".qwen/*",),
    (".qwen/settings.json",),
    folder=FOLDER,
)

MORE = (AMP, AUGGIE, CLINE, CONTINUE, COPILOT_CLI, OPENCODE, QWEN_CODE)
ALL = (*CLIENTS, *MORE)
