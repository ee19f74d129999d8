"""Which parts of a secret are secrets themselves.

Rules of this file
- A credential is often a document: echoed, it comes back in pieces. Each piece that must not be seen alone is a part:
  a DSN's password, each string of a JSON credential, each line of a PEM key.
- What a document publishes is no part: PEM boundaries and headers, certificates and public keys, and the fields of a Google
  credential file that name its project and addresses. Redacting those would hide half of every answer.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

PEM_LINE = 20  # bytes
_DEPTH = 3  # a PEM key in a JSON credential in a JSON string

# user:password@ up to the last @ that can end it, so that a password with an unescaped @ or / is a part too
_AUTHORITY = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]*://[^:@/?#\s]*:(\S+)@", re.DOTALL)
_STRICT = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]*://[^:@/?#\s]*:([^@/?#\s]+)@")
_SETTING = re.compile(rb"(?i)(?:\A|[\s;?&])(?:password|passwd|pwd|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s;&'\"]+)")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----(.*?)(?:-----END|\Z)", re.DOTALL)
_PUBLIC_PEM = re.compile(rb"CERTIFICATE|PUBLIC KEY|PARAMETERS|CRL")
_GOOGLE = {"service_account", "authorized_user", "external_account"}
_PUBLISHED = {
    "type", "project_id", "quota_project_id", "client_email", "client_id", "universe_domain",
    "auth_uri", "token_uri", "auth_provider_x509_cert_url", "client_x509_cert_url",
}  # fmt: skip


def parts(value: bytes, depth: int = _DEPTH) -> Iterator[bytes]:
    """The parts of `value` (without itself; not distinct, of any length)."""
    found = [*_passwords(value), *_fields(value), *_lines(value)] if depth else []
    for part in found:
        yield part
        if part != value:
            yield from parts(part, depth - 1)


def _passwords(value: bytes) -> Iterator[bytes]:
    """A DSN's password as it stands and percent-decoded; also `password=…` of a connection string."""
    for match in (_AUTHORITY.match(value), _STRICT.match(value), *_SETTING.finditer(value)):
        if match:
            password = match[1]
            quote = password[:1]
            yield password[1:-1] if quote in {b"'", b'"'} and password.endswith(quote) else password
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
            for line in body.split():
                if len(line) >= PEM_LINE:
                    yield line
