"""Paths on the server, and which lie beneath which. Pure.

Rules of this file
- A path is absolute and spelled in one way only: two spellings of a path would be two answers to one question.
- What begins with a dot holds keys (`.ssh`, `.aws`, `.env`) and what runs by itself (`.bashrc`, `.config/autostart`).
  A root of the folder above does not declare it; a root within it does.
- What a path leads to is the server's to say: a symbolic link beneath a root may lead out of it. Whoever can ask the
  server (`copying`) asks; a command line (`cat PATH`) cannot, and SECURITY.md says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PATH = 1024  # bytes: a quarter of Linux' PATH_MAX, and more than a card can show


def canonical(text: str) -> bool:
    """Whether `text` is an absolute path without `.`, `..`, empty parts, control characters and a slash at its end."""
    if text == "/":
        return True
    parts = text.split("/")
    return (
        text.startswith("/")
        and text.isprintable()
        and len(text.encode("utf-8", "surrogatepass")) <= MAX_PATH
        and not any(part in {"", ".", ".."} for part in parts[1:])
    )


def beneath(path: str, root: str) -> bool:
    """Whether canonical `path` is `root` or within it: `/var/log2` is not within `/var/log`."""
    return path == root or path.startswith(root if root == "/" else f"{root}/")


def hidden(path: str, roots: Iterable[str]) -> bool:
    """Whether canonical `path` has a part with a dot before it, beneath each of `roots` that it lies beneath."""
    return all("/." in path.removeprefix(root.rstrip("/")) for root in roots if beneath(path, root))


def root_of(path: str, roots: Iterable[str]) -> str | None:
    """The first of `roots` that canonical `path` lies beneath."""
    return next((root for root in roots if beneath(path, root)), None)
