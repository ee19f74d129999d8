"""`.env` files: read in their quoting dialects, and rewritten to references with every other byte left alone.

Rules of this file
- Pure: text in, text out; files belong to `kv.cli.importing`.
- python-dotenv's parser splits and unquotes; no variable is expanded. A value that refers to another variable is
  left in place, since its value is not what the file says.
- Where a value stands is found by the same grammar, and a line that does not match it is not touched.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"

# Everything of an assignment before its value, then the value as written: quoted, or up to a comment.
_ASSIGNMENT = re.compile(
    r"""(?P<head>\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)[^\S\r\n]*=[^\S\r\n]*)
        (?P<value>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:(?!\s\#)[^\r\n])*)""",
    re.VERBOSE | re.DOTALL,
)
_EXPANDS = re.compile(r"\$\{|\$\(|`.*`.")  # ${NAME}, $(command): the shell or the loader would put something else here


class Line(NamedTuple):
    """An assignment: `value` unquoted, `quote` one of ' " ` or empty; `number` counts from 1."""

    name: str
    value: bytes
    quote: str
    number: int

    @property
    def expands(self) -> bool:
        """Whether a loader would replace parts of the value."""
        return self.quote not in {"'", "`"} and bool(_EXPANDS.search(self.value.decode("utf-8", "replace")))


def parse(data: bytes) -> tuple[list[Line], list[int]]:
    """The assignments in `data`, the last of each name, in order; and the numbers of lines that make no sense."""
    from dotenv.parser import parse_stream

    found: dict[str, Line] = {}
    broken = []
    for binding in parse_stream(io.StringIO(_decode(data))):
        if binding.error:
            broken.append(_first_line(binding.original.string, binding.original.line))
        elif binding.key is not None and binding.value is not None:
            quote = _quote(binding.original.string)
            value = binding.value[1:-1] if quote == "`" else binding.value
            number = _first_line(binding.original.string, binding.original.line)
            found[binding.key] = Line(binding.key, value.encode("utf-8", "surrogateescape"), quote, number)
    return list(found.values()), broken


def rewrite(data: bytes, references: Mapping[str, str]) -> bytes:
    """`data` with the value of every name in `references` replaced by its reference; nothing else changes."""
    from dotenv.parser import parse_stream

    text = _decode(data)
    parts = [_BOM] if text.startswith(_BOM) else []
    for binding in parse_stream(io.StringIO(text)):
        original, key = binding.original.string, binding.key
        match = _ASSIGNMENT.match(original)
        if key is not None and key in references and match is not None and binding.value:
            original = match["head"] + _dressed(match["value"], references[key]) + original[match.end() :]
        parts.append(original)
    return "".join(parts).encode("utf-8", "surrogateescape")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _first_line(original: str, number: int) -> int:
    """The parser counts blank lines before an assignment as its own."""
    blank = original[: len(original) - len(original.lstrip())]
    return number + len(re.findall(r"\r\n|\n|\r", blank))


def _quote(original: str) -> str:
    match = _ASSIGNMENT.match(original)
    value = match["value"].rstrip() if match else ""
    if value[:1] in {"'", '"'}:
        return value[0]
    return "`" if len(value) > 1 and value[0] == value[-1] == "`" else ""  # the quote of node's loaders


def _dressed(value: str, reference: str) -> str:
    """The reference as the value was written: in its quotes, or with the spaces that follow it."""
    if value[:1] in {"'", '"'}:
        return value[0] + reference + value[0]
    return reference + value[len(value.rstrip()) :]
