"""May this call be made? One pure function, a table, and the rules that a person writes.

Rules of this file
- No I/O, no clock, no randomness; what is judged is the plan that will be performed, and nothing else.
- Order: frozen, a person's deny rules, a person's fresh proof, their ask rules, their allow rules, the preset.
  Within a kind the first rule that matches gives the name.
- What cannot be evaluated is denied: a rule about paths, and a plan that has none.
- What the caller says about itself can lower what it may do and never raise it.
- Nothing remembered, no preset and no rule that names no effect lets an unknown, destroy or mint call through. A
  release is remembered for that one plan.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from brokers.contract import Effect
from kv.model import QUIET, Decision, Verdict, admission

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokers.contract import Plan
    from kv.model import Caller, Rule, Standing, Terms

ALLOW, ASK, DENY = Verdict.ALLOW, Verdict.ASK, Verdict.DENY


class _Cell(NamedTuple):
    """One field of the table. `minutes`: how long a session's grant answers this ask; 0: it is asked every time."""

    verdict: Verdict
    says: str
    minutes: int = 0


_SESSION = 12 * 60  # minutes: no keeper lives longer, and a session's grants end with it

# The row of an agent. `allow` means after admission: whether a session may use a connection at all is a
# question of its own, which only `--admission always` answers in advance.
PRESETS: dict[str, dict[Effect, _Cell]] = {
    "balanced": {
        Effect.READ: _Cell(ALLOW, "read is allowed after admission"),
        Effect.WRITE: _Cell(ASK, "write asks", 60),
        Effect.UNKNOWN: _Cell(ASK, "what cannot be classed asks every time"),
        Effect.DESTROY: _Cell(ASK, "destroy asks every time"),
        Effect.MINT: _Cell(ASK, "mint asks every time"),
        Effect.RELEASE: _Cell(ASK, "release asks for this exact command", _SESSION),
    },
    "relaxed": {
        Effect.READ: _Cell(ALLOW, "read is allowed after admission"),
        Effect.WRITE: _Cell(ALLOW, "write is allowed after admission"),
        Effect.UNKNOWN: _Cell(ASK, "what cannot be classed asks every time"),
        Effect.DESTROY: _Cell(ASK, "destroy asks every time"),
        Effect.MINT: _Cell(ASK, "mint asks every time"),
        Effect.RELEASE: _Cell(ASK, "release asks for this exact command, once for a project", _SESSION),
    },
    "strict": {
        Effect.READ: _Cell(ASK, "read asks", 15),
        Effect.WRITE: _Cell(ASK, "write asks every time"),
        Effect.UNKNOWN: _Cell(DENY, "what cannot be classed is denied"),
        Effect.DESTROY: _Cell(DENY, "destroy is denied"),
        Effect.MINT: _Cell(DENY, "mint is denied"),
        Effect.RELEASE: _Cell(DENY, "release is denied"),
    },
}

_WHAT = {
    Effect.READ: "it reads",
    Effect.WRITE: "it writes",
    Effect.UNKNOWN: "kv cannot tell what it does",
    Effect.DESTROY: "it destroys something, and that cannot be undone",
    Effect.MINT: "it makes a credential or something else that lasts",
    Effect.RELEASE: "a value itself is given away",
}
_FROZEN_HELP = "only a person can lift this: kv approvals --all, then --unfreeze SESSION"
_ASK_HELP = "ask the user to approve it; give a reason with the call"


class _UnevaluableError(Exception):
    """A rule asks about something that the plan does not have."""


class _Case(NamedTuple):
    """What there is to judge."""

    caller: Caller
    plan: Plan
    terms: Terms
    standing: Standing
    now: float

    @property
    def name(self) -> str:
        return self.plan.connection.name

    @property
    def admitted(self) -> bool:
        return self.terms.admission == "always" or self.name in self.standing.admitted

    def deny(self, rule: str, why: str) -> Decision:
        return Decision(DENY, rule, why, f"ask the user: a person can change the rules with kv connect {self.name}")

    def ask(self, rule: str, why: str, scopes: tuple[str, ...], minutes: int = 0) -> Decision:
        return Decision(ASK, rule, why, _ASK_HELP, not self.admitted, scopes, minutes)


def decide(caller: Caller, plan: Plan, terms: Terms, standing: Standing, now: float) -> Decision:
    """Judge one call. `now` is in boot-time seconds. Never raises: what cannot be judged is denied."""
    case = _Case(caller, plan, terms, standing, now)
    if standing.frozen:
        return Decision(DENY, "a frozen session may do nothing", standing.frozen, _FROZEN_HELP)
    try:
        rule = _strongest(r for r in terms.rules if _matches(r, caller, plan))
    except _UnevaluableError:
        why = f"a rule of {case.name} asks for a path or method, and this call has none"
        return case.deny("what cannot be evaluated is denied", why)
    if rule is not None and rule.verdict is DENY:
        return case.deny(rule.id, f"a rule of {case.name} forbids it")
    if caller.is_person:
        return Decision(ALLOW, "a person's proof came with this call", f"proved by {caller.proven}")
    if rule is not None and rule.verdict is ASK:
        return case.ask(rule.id, f"a rule of {case.name} wants a person to see it", ("once",))
    return _by_table(case, rule)


def _by_table(case: _Case, allowed_by: Rule | None) -> Decision:
    """The preset's word, unless an allow rule takes its place; then, whatever is allowed, the question of admission."""
    effect, preset = case.plan.effect, case.terms.preset
    cell = PRESETS[preset][effect]
    says = f"{preset}: {cell.says}"
    if allowed_by is not None:
        cell, says = _Cell(ALLOW, ""), allowed_by.id
    if cell.verdict is DENY:
        return case.deny(says, _WHAT[effect])
    if cell.verdict is ASK:
        return _ask_or_grant(case, cell.minutes if effect in {*QUIET, Effect.RELEASE} else 0, says)
    return Decision(ALLOW, says, _WHAT[effect]) if case.admitted else _ask_admission(case)


def _ask_or_grant(case: _Case, minutes: int, says: str) -> Decision:
    """A grant answers where the table lets it (a stricter policy outdates the grants before it), else a person."""
    effect = case.plan.effect
    plan = case.plan.digest() if effect is Effect.RELEASE else ""
    what = case.plan.because if plan else _WHAT[effect]
    key = (case.caller.session, case.name, effect, plan)
    for grant in case.standing.grants if minutes else ():
        if (grant.session, grant.connection, grant.effect, grant.plan) == key and case.now < grant.until:
            return Decision(ALLOW, f"granted by {grant.approval}", what)
    scopes: tuple[str, ...] = ("once", "session") if minutes else ("once",)
    if plan and case.terms.preset == "relaxed":
        if admission(case.name, plan) in case.standing.admitted:
            return Decision(ALLOW, "this exact command is allowed in this project", what)
        scopes = (*scopes, "project") if case.caller.project else scopes
    return case.ask(says, what, scopes, minutes)


def _ask_admission(case: _Case) -> Decision:
    """Ask for the first use. The sentence says what a yes opens, since in `relaxed` that is more than reading."""
    opens = [e.value for e, cell in PRESETS[case.terms.preset].items() if cell.verdict is ALLOW]
    opens += ["what its allow rules name"] if any(r.verdict is ALLOW for r in case.terms.rules) else []
    scopes: tuple[str, ...] = ("once",)
    if case.plan.effect in QUIET:
        scopes = ("once", "session", "project") if case.caller.project else ("once", "session")
    why = f"this session has not used {case.name} before; a yes lets it: {', '.join(opens)}"
    return case.ask("a session's first use of a connection asks", why, scopes)


def _strongest(rules: Iterable[Rule]) -> Rule | None:
    """Deny before ask before allow; the first of its kind. All rules are looked at: one may be unevaluable."""
    return min(list(rules), key=lambda r: (DENY, ASK, ALLOW).index(r.verdict), default=None)


def _matches(rule: Rule, caller: Caller, plan: Plan) -> bool:
    """Whether every stated part matches. Narrow for allow, wide for ask and deny: doubt never favours the call."""
    if rule.effect is not None and rule.effect is not plan.effect:
        return False
    if rule.verdict is ALLOW and rule.effect is None and plan.effect not in QUIET:
        return False  # "allow POST /v1/**" was not written with POST /v1/keys, a mint, in mind
    if rule.agent and not _is_agent(rule, caller):
        return False
    if rule.method and not _method_matches(rule, _stated(plan, "method").upper()):
        return False
    return not rule.path or _path_matches(rule, _stated(plan, "path"), _alike(plan))


def _method_matches(rule: Rule, method: str) -> bool:
    """An ask or deny of GET meets HEAD too: servers answer it by running the same code (RFC 9110 section 9.3.2)."""
    return method == rule.method or (rule.verdict is not ALLOW and (method, rule.method) == ("HEAD", "GET"))


def _is_agent(rule: Rule, caller: Caller) -> bool:
    """Whether an ask or deny about one agent meets this caller (an allow names none: any program can take a name).

    Whoever is not recognised is met as well: it may be that agent with its name hidden.
    """
    return caller.agent == rule.agent or (not caller.agent and not caller.is_person)


def _stated(plan: Plan, key: str) -> str:
    value = plan.request.get(key)
    if not isinstance(value, str) or not value:
        raise _UnevaluableError
    return value


def _alike(plan: Plan) -> tuple[str, ...]:
    """Other paths that a server might take the plan's for, as far as the broker knows of any."""
    given = plan.request.get("alike", ())
    if not isinstance(given, list | tuple) or not all(isinstance(path, str) for path in given):
        raise _UnevaluableError
    return tuple(given)


def _path_matches(rule: Rule, path: str, alike: tuple[str, ...]) -> bool:
    """Allow reads the path as it is; ask and deny also as a careless server would.

    That is: in any case, `//` for `/`, with or without a slash at the end, escapes undone, and as the broker says.
    """
    if rule.verdict is ALLOW:
        return glob(rule.path, path)
    texts = {_loose(text) for text in (path, unquote(path), *alike)}
    return any(glob(_loose(rule.path), text + end) for text in texts for end in ("", "/"))


def _loose(path: str) -> str:
    return re.sub("/+", "/", path.casefold()).rstrip("/") or "/"


def glob(pattern: str, path: str) -> bool:
    """Match by segments, in time linear in `path`: the pattern is the person's, but the path is the agent's."""
    want, have = pattern.split("/"), path.split("/")
    if want[-1] == "**":
        want.pop()
        have = have[: len(want)] if len(have) > len(want) or pattern == "/**" else []
    return len(want) == len(have) and all(_segment(w, h) for w, h in zip(want, have, strict=True))


def _segment(pattern: str, text: str) -> bool:
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    last = rest.pop()
    if not text or len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in rest:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
