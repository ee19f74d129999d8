"""Text to scan: what answers are made of, and made up secrets to look for in it."""

from __future__ import annotations

import base64
import json
import os
import random
import string
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS = 3


def corpus(size: int) -> bytes:
    """`size` bytes: program text of the standard library, JSON with base64 or hex in it. Ends anywhere."""
    share = size // _KINDS
    text = _sources(size - 2 * share)
    coded = _documents(share, lambda data: base64.b64encode(data).decode())
    hexed = _documents(share, bytes.hex)
    return text + coded + hexed


def _sources(size: int) -> bytes:
    folder = Path(os.__file__).parent
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")) + sorted(folder.glob("*/*.py")))
    return (text * (size // len(text) + 1))[:size]


def _documents(size: int, spell: Callable[[bytes], str]) -> bytes:
    chance = random.Random(1)  # noqa: S311 - the same text in every run
    documents: list[bytes] = []
    made = 0
    while made < size:
        blob = spell(chance.randbytes(chance.randrange(20, 600)))
        documents.append(json.dumps({"id": made, "name": f"object {made}", "data": blob}).encode() + b"\n")
        made += len(documents[-1])
    return b"".join(documents)[:size]


def made_up(count: int, mark: str = "kvb", length: int = 40) -> list[str]:
    """Values of `length` letters and digits that begin with `mark`, new in every run."""
    chance = random.SystemRandom()
    alphabet = string.ascii_letters + string.digits
    return [mark + "".join(chance.choices(alphabet, k=length - len(mark))) for _ in range(count)]
