"""`make fuzz`: garbage into everything that reads what others wrote.

Usage: python tests/fuzz wire|format|audit … [--seconds N] [--seed S] [--only NUMBER]
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    # Run as a folder, Python puts that folder first: its parent is what the modules of the tests are named from.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(import_module("fuzz.run").main(sys.argv[1:]))
