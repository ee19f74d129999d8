"""What other sides do to a value on its way back: encoders, and texts that hold what they made."""

from __future__ import annotations

import base64
import html
import json
import quopri
import re
import shlex
import urllib.parse
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable


def _each(form: str) -> Callable[[bytes], bytes]:
    return lambda data: "".join(form.format(byte) for byte in data).encode()


def _text(encode: Callable[[str], str]) -> Callable[[bytes], bytes]:
    return lambda data: encode(data.decode("utf-8", "replace")).encode()


def _wrapped(width: int, line_break: bytes) -> Callable[[bytes], bytes]:
    def wrap(data: bytes) -> bytes:
        text = base64.b64encode(data)
        return line_break.join(text[at : at + width] for at in range(0, len(text), width))

    return wrap


# Readable in, readable out: any two of these may follow each other.
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64, unpadded": lambda data: base64.b64encode(data).rstrip(b"="),
    "base64url": base64.urlsafe_b64encode,
    "base64url, unpadded": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64 after one byte": lambda data: base64.b64encode(b"u" + data + b" in"),
    "base64 after two bytes": lambda data: base64.b64encode(b"u:" + data + b"@h"),
    "base64, MIME": base64.encodebytes,
    "base64, 64 and CRLF": _wrapped(64, b"\r\n"),
    "base64, 19 and LF": _wrapped(19, b"\n"),
    "base32": base64.b32encode,
    "base32, lower case": lambda data: base64.b32encode(data).lower(),
    "hex": lambda data: data.hex().encode(),
    "hex, upper case": lambda data: data.hex().upper().encode(),
    "percent, as needed": lambda data: urllib.parse.quote(data, safe="").encode(),
    "percent, lower case": _text(
        lambda text: re.sub("%..", lambda escape: escape[0].lower(), urllib.parse.quote(text, safe=""))
    ),
    "percent, a form's": lambda data: urllib.parse.quote_plus(data).encode(),
    "percent, every byte": _each("%{:02X}"),
    "JSON": _text(lambda text: json.dumps(text)[1:-1]),
    "JSON, not ASCII": _text(lambda text: json.dumps(text, ensure_ascii=False)[1:-1]),
    "JSON, solidus": lambda data: data.replace(b"\\", b"\\\\").replace(b"/", b"\\/"),
    "\\u, every character": _each("\\u{:04x}"),
    "\\x, every byte": _each("\\x{:02x}"),
    "octal, every byte": _each("\\{:03o}"),
    "octal, as short as can be": _each("\\{:o}"),
    "\\U, every character": _text(lambda text: "".join(f"\\U{ord(character):08x}" for character in text)),
    "%u, every character": _text(
        lambda text: "".join(f"%u{ord(character):04X}" for character in text if character < "\U00010000")
    ),
    "CSS, every character": _text(lambda text: "".join(f"\\{ord(character):x} " for character in text)),
    "CSS, padded": _text(lambda text: "".join(f"\\{ord(character):06x}" for character in text)),
    "CSS, signs": _text(lambda text: re.sub("[^A-Za-z0-9]", lambda sign: f"\\{ord(sign[0]):X} ", text)),
    "HTML, as needed": _text(html.escape),
    "HTML, decimal": _each("&#{};"),
    "HTML, hex": _each("&#x{:X};"),
    "HTML, padded": _each("&#x{:06x};"),
    "HTML, decimal, padded": _each("&#{:010};"),
}

# Found in a text as it stands; not looked for inside of these.
LAST: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "reversed": lambda data: data[::-1],
    "upper case": bytes.upper,
    "spaced": lambda data: b" ".join(data[at : at + 1] for at in range(len(data))),
    "wrapped by a terminal": lambda data: data[:7] + b"\n" + data[7:],
    "hex with colons": lambda data: data.hex(":").encode(),
    "hex with spaces": lambda data: data.hex(" ", 2).encode(),
    "quoted-printable": quopri.encodestring,
    "quoted-printable, every byte": _each("={:02X}"),
    "quoted-printable, wrapped": lambda data: b"=\r\n".join(data[at : at + 10] for at in range(0, len(data), 10)),
    "quoted-printable, a header's": lambda data: quopri.encodestring(data, header=True),
    "quotes doubled": lambda data: data.replace(b'"', b'""'),
    "apostrophes doubled": lambda data: data.replace(b"'", b"''"),
    "quoted for a shell": lambda data: shlex.quote(data.decode("latin-1")).encode("latin-1"),
    "UTF-16": lambda data: data.decode("latin-1").encode("utf-16-le"),
    "indented base64": _wrapped(20, b"\r\n    "),
    "base64 wrapped in a JSON string": _wrapped(76, b"\\n"),
}

ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "".join(map(chr, range(32, 127))),
    "ab",
    '\\"%&;#ux0n/+-_ {}=',
    'äöü€aB1\\"',
    "0123456789abcdef",
    "?}{kv:",
)


def from_alphabets(least: int, most: int) -> st.SearchStrategy[bytes]:
    """Bytes of one alphabet each."""
    texts = (st.text(alphabet, min_size=least, max_size=most) for alphabet in ALPHABETS)
    return st.one_of(*texts).map(str.encode)


@st.composite
def echoes(draw: st.DrawFn) -> tuple[dict[str, bytes], bytes]:
    """Up to three secrets, and a text with them and pieces of them under up to two encodings each."""
    sizes = st.sampled_from((8, 9, 12, 17, 33, 64, 300))
    names = [f"K{number}" for number in range(draw(st.integers(1, 3)))]
    secrets = {name: draw(sizes.flatmap(lambda size: from_alphabets(size, size))) for name in names}
    text = b""
    for _echo in range(draw(st.integers(1, 3))):
        data = draw(st.sampled_from(sorted(secrets.values())))
        data = data[draw(st.sampled_from((0, 0, 0, 1, 5))) :]
        data = draw(from_alphabets(0, 4)) + data + draw(from_alphabets(0, 4))
        for name in draw(st.lists(st.sampled_from(sorted(ENCODERS)), max_size=2)):
            data = ENCODERS[name](data)
        data = LAST[draw(st.sampled_from(["as it is", *LAST]))](data)
        text += draw(from_alphabets(0, 30)) + data
    return secrets, text[:900]
