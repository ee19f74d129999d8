"""Where a call goes: the declared origin and the canonical path and query beneath it. Pure.

Rules of this file
- A person declares the origin; an agent gives only what stands after it. No text of an agent's is ever joined
  to an origin before it has been taken apart into segments and pairs and put together again from those.
- One spelling: segments are percent-decoded once, checked, and encoded once with the smallest set of characters
  left as they are. What was judged and shown is byte for byte what travels.
- What two servers could read differently is refused, not repaired: dot segments, empty segments, encoded
  slashes, backslashes, double encoding, `;` (Tomcat drops what follows it, so `/a/..;/b` climbs), controls.
- A person may declare that a service takes an encoded slash within a segment (GitLab's `group%2Fproject`). It stays
  data of that segment and travels as `%2F`; what it parts is held to the same as segments are.
- Hosts are compared as A-labels (RFC 5891), numbers only in their canonical spelling.

Shapes and grammar: RFC 3986 sections 3.2 to 3.4 and 6.2.2.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, unquote_to_bytes, urlsplit

import idna

from brokers import addresses as _addresses
from brokers.arguments import REFERENCE, refuse
from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence

Pair = tuple[str, str]
Parts = tuple[str, str, int, str, str]  # scheme, host without brackets, port, encoded path, encoded query

MAX_PATH = 4096  # bytes, encoded: half of the 8 KiB that common servers give a request line
MAX_URL = 8000  # bytes of path and query, encoded: RFC 9110 section 4.1 asks everyone to take 8,000
MAX_SEGMENTS = 128  # deeper than any API; keeps classification linear in something small
MAX_PAIRS = 256  # query parameters; PHP stops at 1,000, people at a dozen
MAX_PINS = 8  # addresses pinned for one host
MAX_CA = 256 << 10  # bytes of PEM: a private CA is one certificate or a short bundle
DEFAULT_PORTS = {"https": 443, "http": 80}

_PATH_SAFE = "!$&'()*+,=:@"  # pchar without ';' (see above); quote() adds the unreserved set
_AS_IT_IS = re.compile(f"[A-Za-z0-9_.~{re.escape(_PATH_SAFE)}-]*")  # what quote() leaves alone: nearly all there is
_ORIGIN = re.compile(
    r"(https?)://(\[[0-9a-f:.]{2,45}\]|[^\[\]/?#@\\:\s]{1,253})(?::([1-9][0-9]{0,4}))?/?", re.IGNORECASE | re.ASCII
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROLS_IN_QUERY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _declare(why: str) -> NoReturn:
    raise BrokerError("options", why=why)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (A-label or address, lower case, no brackets) and port, as a person declared them."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """What stands in the Host header: brackets around IPv6, the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_origin(text: str) -> Origin:
    """The origin a person declared, as `https://host[:port]`; a bare `host[:port]` means https.

    Raises `BrokerError("options")`: user info, a path, odd numbers for hosts, zones and trailing dots included.
    """
    spelled = text if "://" in text else f"https://{text}"
    found = _ORIGIN.fullmatch(spelled)
    if found is None:
        _declare("a host is written as https://name[:port] without a path")
    scheme, host, port_text = found[1].lower(), found[2], found[3]
    port = int(port_text or DEFAULT_PORTS[scheme])
    if port > 65535:  # noqa: PLR2004 - the largest port there is
        _declare("a port is 1 to 65535")
    return Origin(scheme, _host(host), port)


def _host(text: str) -> str:
    """`text` as an A-label name or a canonical address without brackets."""
    if text.startswith("["):
        address = _addresses.parse(text[1:-1].lower())
        if address.version != 6:  # noqa: PLR2004 - RFC 3986 section 3.2.2: brackets are IPv6's
            _declare("an address in brackets is IPv6")
        return str(address)
    if not text.isascii():
        # UTS 46 maps what looks alike to one spelling, and the A-label shows what is left (xn--…).
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except idna.IDNAError:
            _declare("this is not a valid international name")
    host = text.lower()
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        # WHATWG's "ends in a number": other programs read 127.1, 0x7f.1 and 2130706433 as 127.0.0.1.
        address = _addresses.parse(host)
        return str(address)
    if not all(_LABEL.fullmatch(label) for label in labels):
        _declare("a host is made of labels of a-z 0-9 - _ joined by dots")
    if any(label.startswith("xn--") for label in labels):
        try:
            idna.decode(host)
        except idna.IDNAError:
            _declare("this is not a valid international name")
    return host


def connection_target(  # noqa: PLR0913 - a target has this many sides
    host: str,
    *,
    base_path: str = "",
    addresses: Sequence[str] = (),
    ca: str = "",
    insecure_loopback: bool = False,
    encoded_slash: bool = False,
) -> dict[str, object]:
    """What a person gave on `--host` and its companions, as the target of a connection.

    `addresses` are exact pins, `ca` is PEM text, `encoded_slash` lets a call's segments hold a slash.
    Raises `BrokerError`: `options`, or `address` for a pin that no one may pin. Plain http is taken only with
    `insecure_loopback`, and then only to loopback addresses.
    """
    origin = parse_origin(host)
    pins = _addresses.check_pins(tuple(addresses))
    if len(pins) > MAX_PINS:
        _declare("at most 8 addresses can be pinned")
    if (origin.scheme == "http") != insecure_loopback:
        _declare("plain http needs --insecure-loopback, and only plain http takes it")
    if insecure_loopback:
        pins = pins or _loopback(origin.host)
        if not all(map(_addresses.is_loopback, pins)):
            _declare("plain http is for loopback addresses only")
    if ca and (len(ca) > MAX_CA or not ca.isascii() or "-----BEGIN CERTIFICATE-----" not in ca):
        _declare("a CA is PEM text of at most 256 KiB")
    return {
        "origin": str(origin),
        "base_path": join_path(split_path(base_path)) if base_path else "",
        "addresses": list(pins),
        "ca": ca,
        "insecure_loopback": insecure_loopback,
        "encoded_slash": encoded_slash,
    }


def _loopback(host: str) -> tuple[str, ...]:
    """The pins that a loopback host stands for. RFC 6761 section 6.3: `localhost` is never a question for DNS."""
    if host == "localhost":
        return ("127.0.0.1", "::1")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        _declare("plain http to a name needs the loopback address pinned: --allow-address 127.0.0.1")
    return (host,)


def split_path(path: str, argument: str = "path", *, encoded_slash: bool = False) -> tuple[str, ...]:
    """The decoded segments of a canonical absolute path; the last may be empty (a trailing slash).

    A segment holds a slash only with `encoded_slash`, never at an end and never two in a row.
    Raises `BrokerError("argument")` for everything that two parsers could read in two ways.
    """
    if not path.startswith("/"):
        refuse(argument, "it must start with '/': the host is the connection's")
    if "#" in path or "?" in path:
        refuse(argument, "'#' and a second '?' are refused")
    segments = tuple(_decode(segment, argument) for segment in path[1:].split("/"))
    pieces = apart(segments)
    if len(pieces) > MAX_SEGMENTS:
        refuse(argument, "more than 128 segments")
    if not encoded_slash and len(pieces) > len(segments):
        refuse(argument, "encoded slashes are refused, unless the connection is declared with --encoded-slash")
    # (The last may be empty, but not what an encoded slash ends.)
    if not all(pieces[:-1]) or not (pieces[-1] or segments[-1] == ""):
        refuse(argument, "an empty segment ('//') is refused")
    for piece in pieces:
        _check_piece(piece, argument)
    return segments


def apart(segments: Sequence[str]) -> tuple[str, ...]:
    """Decoded segments as a server reads them that takes an encoded slash for a slash."""
    return tuple("/".join(segments).split("/"))


def _check_piece(segment: str, argument: str) -> None:
    if segment in {".", ".."}:
        refuse(argument, "dot segments are refused, encoded ones too")
    if "\\" in segment:
        refuse(argument, "backslashes are refused")
    if ";" in segment:
        refuse(argument, "';' is refused: servers disagree on what it ends")
    if _ESCAPE.search(segment):
        refuse(argument, "doubly encoded text is refused")


def _decode(text: str, argument: str) -> str:
    """`text` with its percent escapes undone once: UTF-8 without controls, and without stray '%'."""
    if "%" in _ESCAPE.sub("", text):
        refuse(argument, "'%' must be followed by two hex digits")
    try:
        decoded = unquote_to_bytes(text.encode()).decode() if "%" in text else text
        decoded.encode()
    except UnicodeError:
        refuse(argument, "it is not UTF-8")
    check_text(decoded, argument)
    return decoded


def check_text(text: str, argument: str) -> None:
    """Raise `BrokerError("argument")` for controls (in a query, line ends and tabs are text) and references."""
    controls = _CONTROLS_IN_QUERY if argument == "query" else _CONTROLS
    if controls.search(text):
        refuse(argument, "control characters are refused, encoded ones too")
    if REFERENCE in text:
        refuse(argument, "references are refused")


def join_path(segments: Sequence[str]) -> str:
    """The one encoded spelling of a path."""
    return "".join(f"/{_encode(segment)}" for segment in segments)


def _encode(segment: str) -> str:
    return segment if _AS_IT_IS.fullmatch(segment) else quote(segment, safe=_PATH_SAFE)


def split_query(text: str) -> tuple[Pair, ...]:
    """The decoded pairs of a query written into the path. `name` alone means an empty value; `+` means a space."""
    if not text:
        return ()
    parts = text.split("&", MAX_PAIRS)
    if len(parts) > MAX_PAIRS:
        refuse("query", "more than 256 parameters")
    pairs = []
    for part in parts:
        name, _, value = part.partition("=")
        pairs.append((_decode(name.replace("+", " "), "query"), _decode(value.replace("+", " "), "query")))
    return tuple(pairs)


def join_query(pairs: Sequence[Pair]) -> str:
    """The one encoded spelling of a query: only unreserved characters stay, so `;` and `+` mean themselves."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def check_size(path: str, query: str) -> None:
    """Raise `BrokerError("argument")` for encoded parts that servers would cut off or refuse."""
    if len(path) > MAX_PATH:
        refuse("path", "longer than 4 KiB when encoded")
    if len(path) + len(query) > MAX_URL:
        refuse("query", "path and query are longer than 8,000 bytes when encoded")


def parts_by_stdlib(url: str) -> Parts:
    """How `urllib.parse` reads `url`; the other parser's reading must equal it. Raises `ValueError`."""
    split = urlsplit(url)
    if split.username is not None or split.password is not None or split.fragment:
        raise ValueError("user info or fragment")
    port = split.port or DEFAULT_PORTS.get(split.scheme, 0)
    return split.scheme, split.hostname or "", port, split.path, split.query
