"""What a person reads of a call before deciding: a title, and lines of (label, text) made from the plan's own parts.

Rules of this file
- The command is shown as the server's shell gets it, quoted: what is approved is this line and no other.
- Long things keep head and tail: what matters must not be pushed out of sight in the middle of nothing.
- Cleaning of control and direction characters is the card's renderer's; the title is printable by itself.
"""

from __future__ import annotations

import hashlib

MAX_TITLE = 200  # characters
MAX_LINE = 4000  # characters of the command: all of what people write by hand
HEAD = 300  # characters of the head and of the tail of what is given as stdin


def title(verb: str, account: str, what: str) -> str:
    """One printable line: "ssh deploy@web:22 uptime"."""
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in what)
    return f"{verb} {account} {shorten(line, MAX_TITLE)}"


def shorten(text: str, limit: int = MAX_LINE) -> str:
    """`text`, or its head and tail with the number of characters between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"


def payload(label: str, body: bytes) -> tuple[tuple[str, str], ...]:
    """Size and digest of `body`, and head and tail where it is text."""
    if not body:
        return ()
    lines = [(label, f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}")]
    try:
        lines.append((label, shorten(body.decode(), 2 * HEAD)))
    except UnicodeDecodeError:
        lines.append((label, "it is not text"))
    return tuple(lines)
