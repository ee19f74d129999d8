"""What a person reads of a call before deciding: a title, and lines of (label, text) made from the plan's own parts.

Rules of this file
- The command is shown as the server's shell gets it, quoted: what is approved is this line and no other.
- A card cuts each of its lines (`kv.card`), so long texts come in pieces that it leaves whole. Where there is no room
  for all of them, a caution says so before anything else, for what stands in the middle would be performed unseen.
- Of several blanks each is written as a sign, and so is one at a piece's edge, since a card shows any number as one.
- Cleaning of control and direction characters is the card's renderer's; the title is printable by itself.
"""

from __future__ import annotations

import hashlib
import re

MAX_TITLE = 200  # characters
PIECE = 250  # characters of a piece: a card shows 300 of a line whole
PIECES = 20  # of the command: 5,000 characters are more than people write by hand
ROOM = 24  # pieces of the command and of its input: a card has 32 lines, and the others need the rest
_MOST = 2 * ROOM * PIECE  # characters of a text that are looked at, at its head and at its tail

Lines = list[tuple[str, str]]
_BLANKS = re.compile(r" {2,}|\A | \Z|\t")
_SIGNS = str.maketrans({" ": "\N{SYMBOL FOR SPACE}", "\t": "\N{SYMBOL FOR HORIZONTAL TABULATION}"})


def title(verb: str, account: str, what: str) -> str:
    """One printable line: "ssh deploy@web:22 uptime"."""
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in what)
    return f"{verb} {account} {_shorten(_seen(line))}"


def fits(line: str) -> bool:
    """Whether a card shows the whole command."""
    return len(line) <= PIECE * PIECES


def command(line: str) -> Lines:
    """The command, and a caution before it where it is not whole."""
    if fits(line):
        return whole("command", line)
    shown, hidden = _ends("command", line, PIECES)
    return [("caution", f"{hidden:,} characters of the command are not shown here"), *shown]


def whole(label: str, text: str) -> Lines:
    """One line of text in as many pieces as it takes."""
    return [(label, _seen(piece)) for piece in _pieces(text)]


def given(body: bytes, taken: int) -> tuple[Lines, Lines]:
    """Cautions of what is given to a command as input, and its lines, where `taken` pieces of the room are taken."""
    if not body:
        return [], []
    size, digest = f"{len(body):,} bytes, sha256", hashlib.sha256(body).hexdigest()
    lines = [("stdin", f"{size} {digest}")]
    try:
        shown, hidden = _ends("stdin", body.decode(), ROOM - taken)
    except UnicodeDecodeError:
        return [("caution", f"what it is given as stdin is not text: {size} {digest}")], lines
    if not hidden:
        return [], [*lines, *shown]
    caution = f"{hidden:,} characters of what it is given as stdin are not shown here: {size} {digest}"
    return [("caution", caution)], [*lines, *shown]


def file(body: bytes) -> Lines:
    """Size and digest of a file that is put, and its head and tail where it is text."""
    if not body:
        return [("file", "it is empty")]
    lines = [("file", f"{len(body):,} bytes, sha256 {hashlib.sha256(body).hexdigest()}")]
    try:
        return [*lines, *_ends("file", body.decode(), ROOM // 2)[0]]
    except UnicodeDecodeError:
        return [*lines, ("file", "it is not text")]


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _lines(text: str) -> list[str]:
    """Its lines in pieces. Empty ones say nothing to a person."""
    return [piece for line in text.split("\n") if line.strip() for piece in _pieces(line)]


def _ends(label: str, text: str, room: int) -> tuple[Lines, int]:
    """All of the text, or its first and last pieces and a line between; and how many characters that leaves out."""
    if len(text) <= _MOST and len(pieces := _lines(text)) <= room:
        return [(label, _seen(piece)) for piece in pieces], 0
    half = (room - 1) // 2
    head, tail = _lines(text[:_MOST])[:half], _lines(text[-_MOST:])[-half:]
    hidden = len(text) - sum(map(len, head + tail))
    shown = [*map(_seen, head), f"… {hidden:,} characters are not shown …", *map(_seen, tail)]
    return [(label, piece) for piece in shown], hidden


def _seen(text: str) -> str:
    return _BLANKS.sub(lambda found: found[0].translate(_SIGNS), text)


def _shorten(text: str) -> str:
    if len(text) <= MAX_TITLE:
        return text
    half = MAX_TITLE // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"
