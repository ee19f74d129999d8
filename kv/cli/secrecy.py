"""Whether a line of an `.env` file is a secret: by its name and by what its value looks like. Pure.

Rules of this file
- A guess that a person confirms: names only are shown, and what is left in place stays a readable file.
- In doubt it is a secret when its name says so, and not when only its value might be.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from urllib.parse import urlsplit

_SECRET_WORDS = {
    *("apikey", "auth", "cert", "credential", "credentials", "key", "passphrase", "passwd", "password", "pass", "pat"),
    *("private", "pwd", "salt", "secret", "secrets", "signing", "token", "tokens", "webhook"),
}
# Built into what browsers load, or made to be shown: whoever looks at the page has them.
_PUBLIC_WORDS = {"public", "publishable", "pk", "site"}
_PUBLIC_STARTS = ("NEXT_PUBLIC_", "VITE_", "REACT_APP_", "EXPO_PUBLIC_", "NUXT_PUBLIC_", "PUBLIC_", "GATSBY_")
_PLAIN_ENDS = ("_ID", "_URL", "_URI", "_HOST", "_PORT", "_NAME", "_USER", "_PATH", "_DIR", "_FILE", "_REGION", "_DSN")
_PLAIN_VALUES = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "changeme", "xxx", "todo", "..."})

_WORDLIKE = re.compile(r"[A-Za-z]+([ _.-][A-Za-z]+)*")
_RANDOM_LENGTH = 20
_RANDOM_BITS = 3.2  # bits a character: English is near 2.5 to 3, hexadecimal 4, base64 6


def is_secret(name: str, value: bytes) -> bool:
    """Whether a value under this name should be in the vault."""
    text = value.decode("utf-8", "replace").strip()
    if not text or text.lower() in _PLAIN_VALUES or name.upper().startswith(_PUBLIC_STARTS):
        return False
    if "://" in text and "\n" not in text:
        return _has_credentials(text)
    words = set(re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()))
    if words & _PUBLIC_WORDS or text.isdigit():
        return bool(words & {"password", "pin", "passwd", "pwd"}) and not words & _PUBLIC_WORDS
    if words & _SECRET_WORDS and not name.upper().endswith(_PLAIN_ENDS):
        return True
    return "-----BEGIN" in text or _looks_random(text)


def _has_credentials(url: str) -> bool:
    """A URL with a password in it, or with a long random part where incoming webhooks carry theirs."""
    try:
        parts = urlsplit(url)
        if parts.password:
            return True
    except ValueError:
        return False
    return not parts.username and any(
        _looks_random(piece) for piece in re.split(r"[/=&]", parts.path + "?" + parts.query)
    )


def _looks_random(text: str) -> bool:
    if len(text) < _RANDOM_LENGTH or any(c.isspace() for c in text) or _WORDLIKE.fullmatch(text) or "/" in text[:2]:
        return False
    if not (any(c.isdigit() for c in text) and any(c.isalpha() for c in text)):
        return False
    counts = Counter(text)
    bits = -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())
    return bits >= _RANDOM_BITS and "." not in text.strip(".")[:-40] and "@" not in text
