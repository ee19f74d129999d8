"""A vector, and the edits that it is made of: see FORMAT.md, section 9."""

from __future__ import annotations

from dataclasses import dataclass, field

Edit = dict[str, object]

HIDDEN = {"*": "vault-damaged", "slot": "ok"}  # found by who opens the vault; the slot itself is as it was
INSIDE = {**HIDDEN, "copy": "ok"}  # found by who opens that record: the rows are the ones that the head counts


@dataclass
class Vector:
    """One vector. `keys` are those to be tried in place of the base's own."""

    name: str
    title: str
    base: str
    edits: list[Edit]
    expect: dict[str, str]
    keys: dict[str, str] = field(default_factory=dict)


def blob(data: object) -> str:
    """A blob as SQL has it."""
    return f"x'{bytes(data).hex()}'"  # type: ignore[call-overload]


def literal(value: object) -> str:
    """A value as SQL has it."""
    return blob(value) if isinstance(value, bytes) else str(value)


def sql(statement: str) -> Edit:
    """An edit by SQL."""
    return {"sql": statement}


def at(offset: int, data: bytes) -> Edit:
    """An edit of bytes."""
    return {"at": offset, "hex": data.hex()}


def flip(data: bytes) -> bytes:
    """`data` with one bit changed."""
    return data[:-1] + bytes([data[-1] ^ 1])
