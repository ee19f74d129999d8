"""The QR code on a terminal."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest
import segno

from kv.proofs import qr, totp

URI = totp.uri(bytes(20), "laptop")
INK = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}


@pytest.mark.parametrize(("theme", "dark"), [("light", 1), ("dark", 0)])
@pytest.mark.parametrize("text", ["a", URI, "x" * 200])
def test_modules(text: str, theme: Literal["light", "dark"], dark: int) -> None:
    """On either theme, a reader sees dark modules where the standard puts them, with light around them."""
    lines = list(qr.draw(text, theme))
    seen = [[INK[char][half] == dark for char in line] for line in lines for half in (0, 1)]
    code = segno.make_qr(text, error="l", boost_error=False)
    wanted = [[bool(module) for module in row] for row in code.matrix_iter(border=2)]
    assert seen[: len(wanted)] == wanted
    assert not any(map(any, seen[len(wanted) :]))
    assert {len(line) for line in lines} == {len(wanted)}


def test_fits() -> None:
    """The enrolment code of a vault fits a terminal of 80 by 24, with room for the prompt."""
    lines = list(qr.draw(totp.uri(bytes(20), "a-long-name-of-a-host"), "dark"))
    assert len(lines) <= 22
    assert len(lines[0]) <= 80


def test_lazy() -> None:
    """The drawing library is not loaded by who only imports the module."""
    code = "import sys, kv.proofs.qr; sys.exit('segno' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # ourselves
