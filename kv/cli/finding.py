"""What `kv doctor` says of one thing that it looked at."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One verdict: `good`, `note` or `bad`; what was looked at, and what it means."""

    verdict: str
    what: str
    text: str
    script: str = ""  # statements or commands that help, to be copied: lines that are not wrapped
