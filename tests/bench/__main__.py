"""`make bench`: how fast, how small and how safe under `kill -9`, each figure beside a rival's in the same run.

Usage: python tests/bench [--quick] [--only NAME]… [--json FILE]
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    # Run as a folder, Python puts that folder first: its parent is what the modules of the tests are named from.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(import_module("bench.run").main(sys.argv[1:]))
