"""Which variables of an environment carry a value of the vault's: what `kv run --no-secrets` takes out.

Rules of this file
- No confirmation of a guess: a value that could be guessed is not told of. A longer one is known to who asks already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.redact import GUESSABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kv.redact import Database


def carried(variables: Mapping[str, str], database: Database) -> list[str]:
    """The names of those whose value holds a form of a secret, in order."""
    return [name for name, value in variables.items() if _holds(value.encode("utf-8", "surrogateescape"), database)]


def _holds(value: bytes, database: Database) -> bool:
    return any(find.needle.strength() >= GUESSABLE for find in database.scan(value))
