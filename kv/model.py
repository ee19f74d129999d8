"""The shared nouns: who asks, how a connection may be used, what was decided, what a person allowed.

The strict text and JSON forms of the two that are stored, `Rule` and `Terms`, stand at the end.

Rules of this file
- Pure and frozen: no I/O, no clock, no randomness. Times are seconds of the boot-time clock, which a
  night's sleep moves on and nobody can set back.
- A noun that grants something (`Grant`, `Approval`) says whom it belongs to and which act of a person it came from.
- Standard library and `brokers.contract` only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from brokers.contract import Effect
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokers.contract import Plan

# What may pass without a person looking at that very call. An `unknown` call may be a destroy or a mint in
# disguise, so nothing that is remembered ever covers it.
QUIET = frozenset({Effect.READ, Effect.WRITE})

# Proofs that are fresh, hence bound to the request they came with. "window" is not one: it shows that the
# person was there five minutes ago, and so was every program of their shell.
FRESH_PROOFS = frozenset({"totp", "pin", "passphrase"})


@dataclass(frozen=True, slots=True)
class Process:
    """One process for good: `start` (clock ticks since boot, field 22 of /proc/PID/stat) tells a reused pid apart."""

    pid: int
    start: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, from the kernel. `label`, `agent` and `project` are for messages and narrowing: they raise nothing.

    `session` is 16 hex digits; `session_process` is the process whose end is the session's end. `label` is for
    people ("Claude Code", "a terminal"), `agent` a known client's key or "", `project` the session process's
    folder or "". `channel` is "agent" or "kv"; `proven` the kind of proof that came with this very request, or "".
    `exe` is the basename of the process's program, `client_session` the session of the outermost known client above it.
    """

    uid: int
    process: Process
    parent: Process
    session: str
    session_process: Process
    label: str
    agent: str
    project: str
    channel: str
    proven: str = ""
    exe: str = ""
    client_session: str = ""

    @property
    def is_person(self) -> bool:
        """A fresh proof came with this very request, by the socket that takes proofs. Everyone else is an agent."""
        return self.channel == "kv" and self.proven in FRESH_PROOFS


class Verdict(StrEnum):
    """What policy says to a call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Rule:
    """A person's own rule; every part that is stated must match. `parse_rule` makes it, from text and with its id.

    `path` is a glob on the canonical path: `*` within a segment, a last `/**` for any tail. Ask and deny meet what
    servers take for the same call too: other spellings of the path, HEAD for GET. `id` is the rule's canonical text,
    which a denial and the audit name.
    """

    verdict: Verdict
    effect: Effect | None = None
    method: str = ""
    path: str = ""
    agent: str = ""
    id: str = ""


PRESET_NAMES = ("balanced", "relaxed", "strict")
_ADMISSIONS = ("ask", "always")
_RULES = 64  # of one connection: more is not read by the person whose rules they are
_CALLS_PER_HOUR = 1_000_000  # 278 a second: above it nobody means a budget
_RULE_MAX = 160  # characters: a rule's id fits into an error's field whole


@dataclass(frozen=True, slots=True)
class Terms:
    """How a person lets a connection be used: sealed in its record, beside `brokers.contract.Connection`.

    `admission` is "ask" or "always"; `preset` one of `PRESET_NAMES`; `calls_per_hour` 1 to 1,000,000 or None.
    Raises `KvError("bad-argument")`: terms that policy could not evaluate do not come to be.
    """

    admission: str = "ask"
    preset: str = "balanced"
    rules: tuple[Rule, ...] = ()
    calls_per_hour: int | None = None

    def __post_init__(self) -> None:
        _require(self.admission in _ADMISSIONS, "admission", "it is ask or always")
        _require(self.preset in PRESET_NAMES, "preset", f"the presets are {', '.join(PRESET_NAMES)}")
        _require(len(self.rules) <= _RULES, "rules", f"at most {_RULES}")
        _require(len({r.id for r in self.rules}) == len(self.rules), "rules", "one is stated twice")
        _require(all(r == _rule(r.id) for r in self.rules), "rules", "one is not what its text says")
        hourly = self.calls_per_hour
        good = hourly is None or (type(hourly) is int and 1 <= hourly <= _CALLS_PER_HOUR)
        _require(good, "calls_per_hour", f"it is 1 to {_CALLS_PER_HOUR}, or none")

    def as_meta(self) -> dict[str, object]:
        """The JSON form that is sealed: rules by their canonical text. `terms_from` reads it back."""
        return {
            "admission": self.admission,
            "preset": self.preset,
            "rules": [rule.id for rule in self.rules],
            "calls_per_hour": self.calls_per_hour,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy decided and why, in sentences for both sides.

    `admission`: the ask is (also) this session's admission to the connection. `scopes` are what the person may
    choose from ("once", "session", "project"); `minutes` how long a "session" choice is a grant for this effect
    (0: it is the admission alone). `tree` is the content that a "project" choice is bound to, or "".
    """

    verdict: Verdict
    rule: str
    why: str
    help: str = ""
    admission: bool = False
    scopes: tuple[str, ...] = ()
    minutes: int = 0
    tree: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """An approval remembered: this effect on this connection for this one session, before `until`.

    A release is remembered for one plan alone, whose digest is `plan`; of other effects that is "".
    """

    session: str
    connection: str
    effect: Effect
    until: float
    approval: str
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session has at one moment: admitted connections, live grants, and why it is frozen ("": it is not)."""

    admitted: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()
    frozen: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """One call that waits for a person. `reason` is the agent's, cleaned and cut; at `expires` the answer is no.

    `nonce` (32 hex digits) makes two askings of one plan two different things to approve.
    """

    id: str
    caller: Caller
    plan: Plan
    digest: str
    decision: Decision
    reason: str
    policy_revision: int
    nonce: str
    opened: float
    expires: float

    @property
    def admits(self) -> str:
        """What a person's yes to it can be remembered as: the connection, or of a release that very plan."""
        name = self.plan.connection.name
        return admission(name, self.digest, self.decision.tree) if self.plan.effect is Effect.RELEASE else name

    def approved(self, by: str, approver: str, scope: str, at: float, *, under: str) -> Approval:
        """The approval of this asking, given as the answer to the asking `under`: its own id, or that of its like."""
        return Approval(
            under, self.digest, self.caller.session, self.policy_revision, self.nonce, by, approver, scope, at
        )


def admission(name: str, digest: str, tree: str = "") -> str:
    """What a release is admitted as: that very plan, and with `tree` as long as the work tree holds what it held."""
    return ":".join(part for part in (name, digest, tree) if part)


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to one plan digest of one session under one policy revision; it exists once.

    `by` is the kind of proof, `approver` the session it was given in, `scope` what the person chose.
    `id` is that of the asking the person answered: a "session" answer resumes its like as well.
    """

    id: str
    digest: str
    session: str
    policy_revision: int
    nonce: str
    by: str
    approver: str
    scope: str
    at: float


def terms_from(meta: Mapping[str, object]) -> Terms:
    """Terms from their sealed form, strictly: all members, none more, rules canonical. Raises `bad-argument`."""
    _require(set(meta) == {"admission", "preset", "rules", "calls_per_hour"}, "terms", "a member is missing or unknown")
    admission, preset, rules, hourly = (meta[k] for k in ("admission", "preset", "rules", "calls_per_hour"))
    if not (isinstance(admission, str) and isinstance(preset, str) and isinstance(rules, list)):
        raise KvError("bad-argument", argument="terms", why="a member has another type")
    if not (hourly is None or isinstance(hourly, int)):
        raise KvError("bad-argument", argument="calls_per_hour", why="it is a number or none")
    return Terms(admission, preset, tuple(_rule(text) for text in rules), hourly)


def initial_terms(name: str) -> Terms:
    """The terms a new connection starts on: `relaxed` under `dev/`.

    Not for a database on loopback: a tunnel to production ends there too, and who wants it says `--preset relaxed`.
    """
    return Terms(preset="relaxed" if name.startswith("dev/") else "balanced")


_RULE = re.compile(
    r"(?:(?P<effect>read|write|unknown|destroy|mint)(?: |$))?"
    r"(?:(?P<method>[A-Z]{1,20})(?: |$))?"  # the longest that is registered has 17 letters (RFC 4437)
    r"(?:(?P<path>/[^\s?#]*)(?: |$))?"
    r"(?:agent:(?P<agent>[a-z0-9][a-z0-9-]{0,31}))?"
)


def parse_rule(verdict: str, text: str) -> Rule:
    """A rule as a person writes it: `[effect] [METHOD] [/path/glob] [agent:KEY]`, at least one of them, in this order.

    "destroy", "DELETE /v1/**", "write POST /v1/refunds", "agent:codex". Raises `KvError("bad-argument")`.
    """
    argument, words = str(verdict), " ".join(text.split())
    found = _RULE.fullmatch(words)
    _require(bool(words) and len(words) <= _RULE_MAX and words.isprintable(), argument, "one to 160 characters")
    if found is None:
        why = "write it as [effect] [METHOD] [/path/glob] [agent:KEY], without query"
        raise KvError("bad-argument", argument=argument, why=why)
    effect, method, path, agent = (found[k] or "" for k in ("effect", "method", "path", "agent"))
    _require("**" not in path.removesuffix("/**"), argument, "'**' stands alone at the end of the path")
    if verdict == Verdict.ALLOW:
        _require(not agent, argument, "a program's name opens nothing: any program can take it")
        why = "name the effect ('destroy DELETE /…'): an allow that names none covers reads and writes"
        _require(method != "DELETE" or bool(effect), argument, why)
    return Rule(Verdict(verdict), Effect(effect) if effect else None, method, path, agent, f"{verdict} {words}")


def _rule(text: object) -> Rule:
    """A rule by its id, which must be canonical."""
    verdict, _, rest = text.partition(" ") if isinstance(text, str) else ("", "", "")
    _require(verdict in set(Verdict), "rules", "a rule begins with allow, ask or deny")
    rule = parse_rule(verdict, rest)
    _require(rule.id == text, "rules", "a rule is not in its canonical form")
    return rule


def _require(good: bool, argument: str, why: str) -> None:  # noqa: FBT001 - the condition is the whole point
    if not good:
        raise KvError("bad-argument", argument=argument, why=why)
