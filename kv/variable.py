"""The environment variable that a secret's name proposes: one rule for every client, and for what a runner makes."""

from __future__ import annotations


def variable(name: str) -> str:
    """`prod/API-KEY` gives `API_KEY`: the last part, with `_` for what no variable holds and before a digit."""
    last = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.rpartition("/")[2])
    return f"_{last}" if last[:1].isdigit() else last
