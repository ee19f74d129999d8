"""`kv mcp`: which vault, and then the server (`kv.mcp`), whose imports take a second and are nobody else's."""

from __future__ import annotations

from kv.errors import KvError
from kv.hot.arguments import HELP, read

_HELP = """
usage: kv mcp [--vault PATH]

Serve the tools of an AI agent (kv_api, kv_list, kv_status, kv_explain,
kv_wait) on standard input and output. Clients start this by themselves; it
holds nothing, and outlives keepers.

  kv mcp
"""
OPTIONS = HELP


def main(_: str, argv: list[str]) -> int:
    """Perform `kv mcp`."""
    if (found := read(argv, OPTIONS, _HELP)) is None:
        return 0
    if found.words:
        raise KvError("usage", why="kv mcp takes options only")
    if (vault := found.get("vault")) is not None:
        import os

        os.environ["KV_VAULT"] = vault
    import gc

    gc.disable()  # the SDK's models are made once and stay: looking for garbage among them is a tenth of the start
    from kv.mcp import main as serve

    gc.enable()
    return serve()
