"""Method overrides: names of fields that make a server perform another method than the request line says. Pure.

Rules of this file
- A method has one place, the request line. Rails, PHP's frameworks, Spring and others also look for it in a field
  (`_method`); then something else would be performed than what was judged, so such a field is refused wherever
  servers look for one: the query, a form, a multipart body, the outermost members of JSON.
- A name is compared after everything that a server is known to undo has been undone: escapes, blanks before it, what
  follows a NUL, backslashes within quotes, brackets. A name that is too long to be read is refused.
- What servers undo in ways too many to follow is refused: a body that is not of its own type, control characters in
  a form's names, RFC 2231 and RFC 2047 spellings of a multipart name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from brokers.arguments import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FIELDS = 4096  # of a form: what Rack takes; PHP and Django stop at 1,000
MAX_NAME = 1024  # bytes of a name: ten times what people write, and no place for blanks without end
MAX_PARTS = 1000  # of a multipart body: what Django takes, and more than PHP and Rack do
MAX_PART_HEADER = 8192  # bytes: what servers take for one line

_FIELDS = frozenset({"_method", "$httpmethod", "_httpmethod"})
_HEADERS = frozenset({"xhttpmethodoverride", "xhttpmethod", "xmethodoverride", "xmethod"})
# Two more that no field is called but a header may be: `httpmethodoverride` is data in a form, a command in a header.
_ONLY_HEADERS = frozenset({"httpmethodoverride", "methodoverride", "xoriginalmethod", "xrewritemethod"})
_MEDIA_TYPE = re.compile(r"([!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;.*)?", re.IGNORECASE)
_LINES = ("ndjson", "jsonl", "json-l", "json-seq", "stream")  # kinds of JSON that are a document a line
_STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\udc80-\udcff]")  # controls, and bytes that are no UTF-8
_BLANKS = " \t\n\r\v\f\ufeff"
# A part's name stands in its disposition; Rack takes its content-id where there is none. Looked for anywhere in the
# body and by any line end: where a part's header begins is one more thing that servers differ on.
_PART_HEADER = re.compile(rb"content-(disposition|id)[\x00-\x20]*+:")
_FOLD = re.compile(rb"(?:\r\n|\r|\n)[ \t]+")
_PART_NAME = re.compile(r"(?<![\w-])name[ \t]*(\*[0-9]*\*?)?[ \t]*=([^;]*)", re.IGNORECASE)
_QUOTING = str.maketrans("", "", "\\\"'<>")


def is_override_header(name: str) -> bool:
    """Whether a header of this (lower-case) name says another method. Separators are counted for nothing."""
    return name.replace("_", "").replace("-", "") in _HEADERS | _ONLY_HEADERS


def check_name(name: str, argument: str) -> None:
    """Raise `BrokerError("argument")` for a field's name, decoded, that some server takes for a method override."""
    # PHP reads up to a NUL, turns leading blanks away and `.`, ` `, `[` into `_`; what follows a later `[` is an index.
    read = name.partition("\0")[0].translate(_QUOTING).strip(_BLANKS).casefold()
    read = re.sub(r"[ .\[]", "_", read[:1] + read[1:].partition("[")[0])
    if read in _FIELDS or re.sub("[-_]", "", read) in _HEADERS:
        refuse(argument, "method overrides are refused: give the method itself")


def check_form_name(name: str, argument: str) -> None:
    """As `check_name`, and for control characters, which servers drop, cut at, or keep."""
    if _NO_NAME.search(name):
        refuse(argument, "control characters in a field's name are refused")
    check_name(name, argument)


def media_type(content_type: str) -> str:
    """The type of a body, lower case. Raises `BrokerError("argument")` where servers would have to guess it."""
    found = _MEDIA_TYPE.fullmatch(content_type)
    if found is None:
        refuse("headers", "a content-type is written type/subtype")  # Rack takes a form where there is none
    return found[1].lower()


def check_body(body: bytes, content_type: str) -> None:
    """Refuse overrides in a body, read as its content type makes a server read it. Raises `BrokerError("argument")`."""
    kind = media_type(content_type)
    if "urlencoded" in kind:
        for name in _form_names(body):
            check_form_name(name, "body")
    elif "multipart" in kind:
        for name in _part_names(body):
            check_form_name(name, "body")
    elif "json" in kind:
        for name in _members(body, by_line=any(mark in kind for mark in _LINES)):
            check_name(name, "body")


def _form_names(body: bytes) -> Iterator[str]:
    """Names by both separators that servers know: each begins after one, whichever it is."""
    if _STRAY_PERCENT.search(body):
        refuse("body", "it is not what its content-type says")
    for separator in (b"&", b";"):
        fields = body.split(separator, MAX_FIELDS) if separator in body or separator == b"&" else ()
        names = [field.partition(b"=")[0] for field in fields]
        if len(names) > MAX_FIELDS or any(len(name) > MAX_NAME for name in names):
            refuse("body", "a form has at most 4,096 fields, with names of at most 1 KiB")
        for name in names:
            yield unquote_to_bytes(name.replace(b"+", b" ")).decode("utf-8", "surrogateescape")


def _part_names(body: bytes) -> Iterator[str]:
    """Every text that a server may take for a part's name."""
    # (Looked for in lower case letters: a search that ignores case takes twenty times as long.)
    for count, header in enumerate(_PART_HEADER.finditer(body.lower())):
        line, ended, _ = _FOLD.sub(b" ", body[header.end() : header.end() + MAX_PART_HEADER]).partition(b"\n")
        value = line.partition(b"\r")[0].decode("utf-8", "surrogateescape")
        if count >= MAX_PARTS or not (ended or header.end() + MAX_PART_HEADER >= len(body)):
            refuse("body", "at most 1,000 parts, with headers of at most 8 KiB")
        if header[1] == b"id":
            yield value[:MAX_NAME].strip()
        elif "=?" in value:
            refuse("body", "encoded words in a part's headers are refused")
        found = _PART_NAME.findall(value)
        if len(found) > 1 or any(star or len(held) > MAX_NAME for star, held in found):
            refuse("body", 'a part has one name of at most 1 KiB, written name="…"')
        for name in (held.strip() for _, held in found):
            # Whole, up to a blank, and between quotes, whatever stands behind them.
            for read in (name, *name.split()[:1], *name.split('"')[1:2], *name.split("'")[1:2]):
                yield from (read, unquote(read, errors="surrogateescape"))


def _members(body: bytes, *, by_line: bool) -> Iterator[str]:
    """The outermost member names of a JSON body, or of each of its lines."""
    body = body.removeprefix(b"\xef\xbb\xbf")  # a mark that lenient servers skip
    try:
        for text in body.replace(b"\x1e", b"\n").split(b"\n") if by_line else (body,):
            # Numbers stay text: a long one costs nothing, and none is looked at.
            given = json.loads(text, parse_int=str, parse_float=str) if text.strip() or not by_line else None
            yield from map(str, given) if isinstance(given, Mapping) else ()
    except (ValueError, RecursionError):
        refuse("body", "it is not what its content-type says")
