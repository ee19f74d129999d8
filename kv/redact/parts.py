"""Which parts of a secret are secrets themselves.

Rules of this file
- A credential is often a document: echoed, it comes back in pieces. Each piece that must not be seen alone is a part:
  a DSN's password, each string of a JSON credential, each line of a PEM key.
- What a document publishes is no part: PEM boundaries and headers, certificates and public keys, and the fields of a
  Google credential file that name its project and addresses. Redacting those would hide half of every answer.
- A value may have been minted by an upstream: the work is bounded, whatever it says.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

PEM_LINE = 20  # bytes of a line that is looked for alone
_MOST = 1_000  # parts of a value: a bundle of twenty private keys; as needles they take a quarter of a second
_DEPTH = 3  # a PEM key in a JSON credential in a JSON string
_DSN = 4096  # bytes of the longest value that is read as a DSN: the patterns below may take its length squared

# Up to the last @ that can end it, and up to the first: a password may hold an unescaped @ or /, or a query may.
_GREEDY = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]*://[^:@/?#\s]*:(\S+)@")
_STRICT = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]*://[^:@/?#\s]*:([^@/?#\s]+)@")
_SETTING = re.compile(
    rb"(?i)(?:\A|[\s;?&])(?:password|passwd|pwd|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s;&'\"]+)"
)
_PAIR = re.compile(rb"[^:\s/{}\[\]\"']{1,128}:([^:\s]+)")  # user:password, as basic auth stores it
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----(.*?)(?:-----END|\Z)", re.DOTALL)
_PUBLIC_PEM = re.compile(rb"CERTIFICATE|PUBLIC KEY|PARAMETERS|CRL")
_GOOGLE = ("service_account", "authorized_user", "external_account")
_PUBLISHED = (
    "type", "project_id", "quota_project_id", "client_email", "client_id", "universe_domain",
    "auth_uri", "token_uri", "auth_provider_x509_cert_url", "client_x509_cert_url",
)  # fmt: skip


def parts(value: bytes) -> Iterator[bytes]:
    """The first 1,000 distinct parts of `value`, without itself, of any length."""
    return islice((part for part in dict.fromkeys(_all(value, _DEPTH)) if part != value), _MOST)


def _all(value: bytes, depth: int) -> Iterator[bytes]:
    if depth:
        for part in (*passwords(value), *_fields(value), *_lines(value)):
            yield part
            if part != value:
                yield from _all(part, depth - 1)


def passwords(value: bytes) -> Iterator[bytes]:
    """The password of a DSN as it stands and percent-decoded, of a connection string, and of `user:password`."""
    if len(value) > _DSN:
        return
    if pair := _PAIR.fullmatch(value):
        yield pair[1]
    for match in (_GREEDY.match(value), _STRICT.match(value), *_SETTING.finditer(value)):
        if match:
            password = match[1]
            quoted = password[:1] in {b"'", b'"'} and password[:1] == password[-1:]
            yield password[1:-1] if quoted else password
            yield unquote_to_bytes(password)


def _fields(value: bytes) -> Iterator[bytes]:
    """Each string of a JSON document."""
    if value.lstrip()[:1] not in {b"{", b"["}:
        return
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return
    rest = [document]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            published = _PUBLISHED if node.get("type") in _GOOGLE else ()
            rest.extend(child for key, child in node.items() if key not in published)
        elif isinstance(node, list):
            rest.extend(node)
        elif isinstance(node, str):
            yield node.encode("utf-8", "replace")


def _lines(value: bytes) -> Iterator[bytes]:
    """Each line of a private key's body."""
    for label, body in _PEM.findall(value):
        if not _PUBLIC_PEM.search(label):
            yield from (line for line in body.split() if len(line) >= PEM_LINE)
