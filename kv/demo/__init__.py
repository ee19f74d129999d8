"""`kv demo`: the main job on a throw-away vault, with nothing but this machine."""

from __future__ import annotations


def main() -> int:
    """Run the demo; 0 if every claim of it held."""
    from kv.demo.show import main as show

    return show()
