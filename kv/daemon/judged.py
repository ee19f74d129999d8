"""A call that was planned and decided: what steps 1 to 3 of the path found, and how it is told. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kv.errors import clean

if TYPE_CHECKING:
    from brokers.contract import Plan
    from kv.daemon.entry import Entry
    from kv.model import Decision


_STEPS = 4  # of a planner's on a card: a change of one table has one or two


@dataclass(frozen=True, slots=True)
class Judged:
    """The connection as it was judged, the plan, the decision, and the plan's digest."""

    entry: Entry
    plan: Plan
    decision: Decision
    digest: str

    def told(self) -> dict[str, object]:
        """What would happen, and why: the answer of `explain`."""
        plan, decision = self.plan, self.decision
        return {
            "verdict": decision.verdict.value,
            "rule": decision.rule,
            "why": decision.why,
            "help": decision.help,
            "effect": plan.effect.value,
            "because": plan.because,
            "title": clean(plan.title, limit=2000),
            "digest": self.digest,
            "details": [[label, clean(text, limit=2000)] for label, text in plan.details],
            "secrets": sorted(set(plan.connection.secrets.values())),
        }

    def estimated(self, says: str) -> Judged:
        """With a line on its card that says how much the call would touch. The plan's digest is the same."""
        return replace(self, plan=replace(self.plan, details=(("estimate", says), *self.plan.details)))


def estimate(raw: bytes) -> str:
    """What a broker's preview says, as a card shows it: about how many rows, else how they are found, or a refusal."""
    try:
        found = json.loads(raw)
    except ValueError:
        return "not to be had"
    if not isinstance(found, dict):
        return "not to be had"
    refusal = found.get("error")
    if isinstance(refusal, dict):
        return f"none: the server refuses the statement ({refusal.get('message', '')})"
    rows, steps = found.get("rows"), found.get("plan")
    if rows is None and isinstance(steps, list) and steps:
        more = f" and {len(steps) - _STEPS} more steps" if len(steps) > _STEPS else ""
        return f"no number is to be had; rows are found by {clean('; '.join(map(str, steps[:_STEPS])))}{more}"
    return f"about {rows:,} row{'' if rows == 1 else 's'}" if isinstance(rows, int) else "not to be had"
