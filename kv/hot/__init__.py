"""The verbs that start often, an agent's foremost: standard library only, every import counted.

Rules of this directory
- No import at a module's top but `kv.errors` and what `kv.client` needs; the rest inside functions.
- Nothing here asks a person anything. A call of the person's own hands over to `kv.cli` when it has to ask.
- Output is made for three readers at once: results on stdout, everything else on stderr, `--json` for programs.
"""

from __future__ import annotations

# verb: the module below whose `main` performs it, and whose `OPTIONS` it takes beside those of every verb
HOT = {
    "api": "kv.hot.api",
    "query": "kv.hot.query",
    "schema": "kv.hot.query",
    "ssh": "kv.hot.ssh",
    "ssh-copy": "kv.hot.ssh",
    "explain": "kv.hot.explain",
    "run": "kv.hot.run",
    "wait": "kv.hot.wait",
    "status": "kv.hot.status",
    "mcp": "kv.hot.mcp",
    "take": "kv.hot.take",
}
