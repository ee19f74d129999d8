"""What reads others' bytes in kv, and which errors each reader has declared: the table.

Rules of these targets
- A target makes its own input from the generator it is given, from good examples that kv itself wrote or that the
  vectors hold. It returns where the input was accepted; what was accepted is then used, as far as readers go.
- `declared` and `codes` are copied from the readers' docstrings and WIRE.md: a wider error is a finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.audits import audit_targets
from fuzz.calls import call_targets
from fuzz.settings import settings_targets
from fuzz.sockets import wire_targets
from fuzz.vaults import format_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz.target import Target

TARGETS: dict[str, Callable[[], list[Target]]] = {
    "wire": wire_targets,
    "format": format_targets,
    "audit": audit_targets,
    "settings": settings_targets,
    "calls": call_targets,
}
