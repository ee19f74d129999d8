"""The rival of `kv mcp`: a server of the official SDK on stdio, with one tool."""

from __future__ import annotations

from mcp.server import MCPServer

server = MCPServer("one")


@server.tool()
def add(one: int, other: int) -> int:
    """Add two numbers."""
    return one + other


if __name__ == "__main__":
    server.run("stdio")
