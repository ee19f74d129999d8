"""What a person sees before saying yes: the card of one waiting call.

Rules of this file
- Everything on a card is what the keeper parsed (the plan) or knows from the kernel (the caller). The one thing
  that is the agent's word, its reason, is quoted and labelled as the agent's.
- Every text passes `clean`: no control, direction or zero-width character reaches a terminal or a page, and of
  a long one head *and* tail are shown, so nothing hides behind a long middle.
- Pure, standard library only: the keeper makes cards, the command line renders them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.errors import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kv.model import Pending

_TITLE = 400  # characters: a method and a URL, of which the host comes first and the last segment last
_DETAIL = 300
_DETAILS = 24  # lines: a card that scrolls is approved unread
_WIDTH = 78  # columns before "waits", so that the whole line fits where people keep terminals: 90
_INDENT = " " * 6
_KEYS = {"once": "o", "session": "s", "project": "p"}


def card(pending: Pending, now: float) -> dict[str, object]:
    """The card as JSON: what the wire, the terminal and a page show alike.

    `{id, session, kind, ask, title, effect, connection, secrets, label, project, waits, left, why,
    details: [[label, text]], reason, scopes, preselected, minutes}`; `waits` and `left` in whole seconds; `kind` is
    "admission" where that is all the question, else the effect; `ask` the question in one sentence.
    """
    plan, decision, caller = pending.plan, pending.decision, pending.caller
    only_admission = decision.admission and not decision.minutes and "session" in decision.scopes
    name = clean(plan.connection.name)
    needs = f"this {plan.effect.value} call to {name} needs the user's yes"
    return {
        "id": pending.id,
        "session": caller.session,
        "kind": "admission" if only_admission else plan.effect.value,
        "ask": f"this session has not used {name} before" if only_admission else needs,
        "title": clean(plan.title, limit=_TITLE),
        "effect": plan.effect.value,
        "connection": name,
        "secrets": [clean(name) for name in plan.connection.secrets.values()],
        "label": clean(caller.label),
        "project": clean(caller.project),
        "waits": max(0, int(now - pending.opened)),
        "left": max(0, int(pending.expires - now)),
        "why": clean(decision.why),
        "details": _details(plan.details),
        "reason": clean(pending.reason).replace('"', "'"),  # or the agent could end the quotation and go on as kv
        "scopes": list(decision.scopes),
        "preselected": "session" if "session" in decision.scopes else "once",
        "minutes": decision.minutes,
    }


def cards(pendings: list[Pending], now: float) -> list[dict[str, object]]:
    """The cards of all that waits, those of one session together, the session that waits longest first.

    Each carries `group`, the ids that wait in its session: a person answers them all under one proof.
    """
    groups: dict[str, list[Pending]] = {}
    for pending in pendings:
        groups.setdefault(pending.caller.session, []).append(pending)
    return [{**card(p, now), "group": [q.id for q in group]} for group in groups.values() for p in group]


def lines(card: Mapping[str, object], home: str = "") -> list[str]:
    """The card as text, one line an entry; `home` is written `~`. Takes what came over the wire, so cleans again."""
    project = _text(card, "project")
    if home and (project + "/").startswith(home.rstrip("/") + "/"):
        project = "~" + project[len(home.rstrip("/")) :]
    who = ", ".join(part for part in (_text(card, "label"), project) if part)
    waits = _number(card, "waits")
    head = f"{_text(card, 'id')}  {_text(card, 'kind'):<11} {who}"
    found = [f"{head:<{_WIDTH}} waits {waits // 60}:{waits % 60:02}"]
    title, names = _text(card, "title", _TITLE), ", ".join(_texts(card, "secrets"))
    if card.get("kind") == "admission":
        found.append(f"{_INDENT}{_text(card, 'why')}")
        found.append(f"{_INDENT}first call:   {title}")
    else:
        found.append(f"{_INDENT}{title}        {names}".rstrip())
    found += [f"{_INDENT}{label}: {text}" for label, text in _pairs(card)]
    reason = _text(card, "reason").replace('"', "'")
    found.append(f'{_INDENT}the agent says: "{reason}"' if reason else f"{_INDENT}the agent gives no reason")
    return found


def choices(card: Mapping[str, object]) -> str:
    """The line under a card: a letter for each scope that it offers, and for no."""
    name, effect = _text(card, "connection"), _text(card, "effect")
    minutes = _number(card, "minutes")
    admission = card.get("kind") == "admission"
    says = {
        "once": "only this call" if admission else "once",
        "session": f"{effect}s to {name}, this session, {minutes} min" if minutes else "this session",
        "project": "this project, 30 days",
    }
    order = ("session", "project", "once") if admission else ("once", "session", "project")
    offered = _texts(card, "scopes")
    return "  ".join([*(f"[{_KEYS[s]}] {says[s]}" for s in order if s in offered), "[d] deny"])


def _details(details: tuple[tuple[str, str], ...]) -> list[list[str]]:
    """At most `_DETAILS` of them: head and tail, and between them how many are left out."""
    shown = [[clean(label), clean(text, limit=_DETAIL)] for label, text in details]
    if len(shown) <= _DETAILS:
        return shown
    half = _DETAILS // 2
    return [*shown[:half], ["…", f"{len(shown) - 2 * half} more are not shown"], *shown[-half:]]


def _text(card: Mapping[str, object], key: str, limit: int = 200) -> str:
    return clean(str(card.get(key, "")), limit=limit)


def _number(card: Mapping[str, object], key: str) -> int:
    value = card.get(key, 0)
    return value if isinstance(value, int) else 0


def _texts(card: Mapping[str, object], key: str) -> list[str]:
    value = card.get(key)
    return [clean(str(v)) for v in value] if isinstance(value, list) else []


def _pairs(card: Mapping[str, object]) -> list[tuple[str, str]]:
    value = card.get("details")
    pairs = value if isinstance(value, list) else []
    return [
        (clean(str(p[0])), clean(str(p[1]), limit=_DETAIL))
        for p in pairs
        if isinstance(p, list) and len(p) == 2  # noqa: PLR2004 - a label and a text
    ]
