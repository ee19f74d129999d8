"""What a person sees before saying yes: the card of one waiting call.

Rules of this file
- Everything on a card is what the keeper parsed (the plan) or knows from the kernel (the caller). The one thing
  that is the agent's word, its reason, is quoted and labelled as the agent's.
- Every text passes `clean`: no control, direction or zero-width character reaches a terminal or a page, and of
  a long one head *and* tail are shown, so nothing hides behind a long middle.
- Runs of blanks are one blank, and every line is wrapped to the terminal behind a mark (`kv.rows` says why):
  otherwise an agent could fill one with blanks and go on as a second card.
- Pure, standard library only: the keeper makes cards, the command line renders them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.errors import clean
from kv.rows import columns, tidy, usable, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kv.model import Pending

_TITLE = 400  # characters: a method and a URL, of which the host comes first and the last segment last
_DETAIL = 300
_DETAILS = 32  # lines: a card that scrolls is approved unread; the longest command and its secrets take 30
WIDTH = 90  # columns where there is no terminal to ask, and at most of the first line: people keep terminals this wide
_RELEASE = "release"  # a program is given the value: it is asked about by its command, not by a connection
_INDENT = " " * 6
_TOLD = frozenset({"unknown", "mint"})  # effects that a person does not see from the call itself
_KEYS = {"once": "o", "session": "s", "project": "p"}


def card(pending: Pending, now: float) -> dict[str, object]:
    """The card as JSON: what the wire, the terminal and a page show alike.

    `{id, session, kind, ask, title, effect, connection, secrets, label, project, waits, left, why,
    because, details: [[label, text]], reason, scopes, preselected, minutes, bound}`; `waits` and `left` in whole
    seconds; `kind` is "admission" where that is all the question, else the effect; `ask` the question in one sentence;
    `why` it is asked, `because` of what it has that effect.
    """
    plan, decision, caller = pending.plan, pending.decision, pending.caller
    only_admission = decision.admission and not decision.minutes and "session" in decision.scopes
    name = clean(plan.connection.name)
    needs = f"this {plan.effect.value} call to {name} needs the user's yes"
    if plan.effect.value == _RELEASE:
        needs = "secrets themselves are to be given away, and that needs the user's yes"
    return {
        "id": pending.id,
        "session": caller.session,
        "kind": "admission" if only_admission else plan.effect.value,
        "ask": f"this session has not used {name} before" if only_admission else needs,
        "title": tidy(plan.title, _TITLE),
        "effect": plan.effect.value,
        "connection": name,
        "secrets": [clean(name) for name in plan.connection.secrets.values()],
        "label": tidy(caller.label),
        "project": tidy(caller.project),
        "waits": max(0, int(now - pending.opened)),
        "left": max(0, int(pending.expires - now)),
        "why": clean(decision.why),
        "because": tidy(plan.because),
        "details": _details(plan.details),
        "reason": tidy(pending.reason).replace('"', "'"),  # or the agent could end the quotation and go on as kv
        "scopes": list(decision.scopes),
        "preselected": "session" if "session" in decision.scopes else "once",
        "minutes": decision.minutes,
        "bound": bool(decision.tree),
    }


def cards(pendings: list[Pending], now: float) -> list[dict[str, object]]:
    """The cards of all that waits, those of one session together, the session that waits longest first.

    Each carries `group`, the ids that wait in its session: a person answers them all under one proof.
    """
    groups: dict[str, list[Pending]] = {}
    for pending in pendings:
        groups.setdefault(pending.caller.session, []).append(pending)
    return [{**card(p, now), "group": [q.id for q in group]} for group in groups.values() for p in group]


def lines(card: Mapping[str, object], home: str = "", width: int = WIDTH) -> list[str]:
    """The card as text of `width` columns; `home` is written `~`. Takes what came over the wire, so cleans again."""
    width = usable(width)
    project = _text(card, "project")
    if home and (project + "/").startswith(home.rstrip("/") + "/"):
        project = "~" + project[len(home.rstrip("/")) :]
    who = ", ".join(part for part in (_text(card, "label"), project) if part)
    found = _head(f"{_text(card, 'id')}  {_text(card, 'kind'):<11} {who}", _number(card, "waits"), width)
    title, names = _text(card, "title", _TITLE), ", ".join(_texts(card, "secrets"))
    if card.get("kind") == "admission":
        below = [_text(card, "why"), f"first call:   {title}"]
    else:
        below = [f"{title}        {names}".rstrip()]
    if card.get("effect") in _TOLD:
        below.append(f"why: {_text(card, 'because')}")
    below += [f"{label}: {text}" for label, text in _pairs(card)]
    reason = _text(card, "reason").replace('"', "'")
    below.append(f'the agent says: "{reason}"' if reason else "the agent gives no reason")
    return [*found, *(line for text in below for line in wrapped(text, width, indent=_INDENT, under=_INDENT))]


def _head(text: str, waits: int, width: int) -> list[str]:
    """The first line, with how long the call waits at its end, or below where there is no room."""
    says = f"waits {waits // 60}:{waits % 60:02}"
    room = min(width, WIDTH - 1) - len(says) - 1
    if columns(text) <= room:
        return [f"{text}{' ' * (room - columns(text))} {says}"]
    return [*wrapped(text, width, under=_INDENT), f"{_INDENT}{says}"]


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
    if effect == _RELEASE:
        says["session"] = "this exact command, this session"
        says["project"] = "this exact command here, 30 days"
        if card.get("bound"):
            says["project"] += ", while git sees no change in this work tree (what it ignores can change)"
    order = ("session", "project", "once") if admission else ("once", "session", "project")
    offered = _texts(card, "scopes")
    return "  ".join([*(f"[{_KEYS[s]}] {says[s]}" for s in order if s in offered), "[d] deny"])


def _details(details: tuple[tuple[str, str], ...]) -> list[list[str]]:
    """At most `_DETAILS` of them: head and tail, and between them how many are left out."""
    shown = [[tidy(label), tidy(text, _DETAIL)] for label, text in details]
    if len(shown) <= _DETAILS:
        return shown
    half = _DETAILS // 2
    return [*shown[:half], ["…", f"{len(shown) - 2 * half} more are not shown"], *shown[-half:]]


def _text(card: Mapping[str, object], key: str, limit: int = 200) -> str:
    return tidy(str(card.get(key, "")), limit)


def _number(card: Mapping[str, object], key: str) -> int:
    value = card.get(key, 0)
    return value if isinstance(value, int) else 0


def _texts(card: Mapping[str, object], key: str) -> list[str]:
    value = card.get(key)
    return [tidy(str(v)) for v in value] if isinstance(value, list) else []


def _pairs(card: Mapping[str, object]) -> list[tuple[str, str]]:
    value = card.get("details")
    pairs = value if isinstance(value, list) else []
    return [
        (tidy(str(p[0])), tidy(str(p[1]), _DETAIL))
        for p in pairs
        if isinstance(p, list) and len(p) == 2  # noqa: PLR2004 - a label and a text
    ]
