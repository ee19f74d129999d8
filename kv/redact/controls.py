"""Removing what a terminal obeys and an eye cannot see (R-INJ).

Rules of this file
- Only characters go, nothing is added: what is left reads as it is written.
- Removing can *make* a secret whole (`sk_<zero width space>live_…`), so nothing may be shown after this without
  a scan after it: `kv.redact.Redaction.present` is the one composition.
"""

from __future__ import annotations

import re

# ECMA-48: CSI (parameters, intermediates, final); the string commands OSC DCS SOS PM APC up to BEL or ST; any other
# escape. A command that is never ended, or is longer than `LONGEST`, loses its introducer only: an upstream
# must not be able to swallow the rest of a text. Possessive and stopping at the next introducer: linear in the text,
# whatever it holds.
LONGEST = 4096  # characters of a command
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x80-\x9f]{{0,{LONGEST}}}+(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*+[0-~]"
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, DEL, C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers, Mongolian selectors
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, separators, bidi embeddings and isolates
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"  # fillers, variation selectors, byte order mark, annotations
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"  # musical controls, tags (text that only a model reads)
)

_PLAIN = bytes((*range(0x20, 0x7F), *b"\t\n"))  # ASCII of which neither pattern takes a character


def strip_controls(text: str) -> str:
    """`text` without terminal commands, C0 and C1 controls (tab and line feed stay), bidi and invisible characters."""
    if text.isascii() and not text.encode().translate(None, _PLAIN):  # nearly all, at a hundredth of the price
        return text
    return _INVISIBLE.sub("", _SEQUENCE.sub("", text))
