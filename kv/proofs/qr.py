"""A QR code in a terminal, as half blocks: two modules a character, so that it is square and small.

Rules of this file
- Text only, no colours: what the terminal draws is its own foreground and background. A reader wants dark modules on a
  light ground, so on a dark theme the *light* modules are drawn, on a light theme the dark ones.
- segno is imported when a code is drawn: it is wanted once in a vault's life.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

# Modules around the code. ISO/IEC 18004 wants four; readers do with two, and an otpauth address then fits 24 lines.
BORDER = 2
_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def draw(text: str, theme: Literal["dark", "light"]) -> Iterator[str]:
    """The lines of a QR code for `text`, for a terminal with that theme. Lowest error correction: screens are clean."""
    import segno  # see the rules above

    code = segno.make_qr(text, error="l", boost_error=False)
    inked = theme == "light"
    rows = [[bool(module) == inked for module in row] for row in code.matrix_iter(border=BORDER)]
    if len(rows) % 2:
        rows.append([not inked] * len(rows[0]))  # a last half line of ground, drawn as the border is
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        yield "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
