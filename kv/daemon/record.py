"""The audit's fields of a call: who, what, by whose yes; and an act between its two entries."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from brokers.contract import Effect
from kv.audit import Peer
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokers.contract import Plan
    from kv.audit import AuditLog
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Exchange
    from kv.model import Approval, Caller, Decision, Pending


def merge(*parts: Fields) -> Fields:
    """The fields of one entry, from its parts; a later part wins."""
    found: Fields = {}
    for part in parts:
        found.update(part)
    return found


@contextmanager
def recorded(audit: AuditLog, fields: Fields) -> Iterator[None]:
    """What is done within is recorded before it begins, or does not begin; and how it ended is recorded after it."""
    number = audit.intend(**fields)
    outcome = "unknown"
    try:
        yield
        outcome = "ok"
    except KvError as error:
        outcome = error.code
        raise
    finally:
        audit.settle(number, outcome=outcome)


def who(caller: Caller) -> Fields:
    """The caller: session, label, process."""
    return {
        "session": caller.session,
        "label": caller.label,
        "peer": Peer(pid=caller.process.pid, exe=caller.exe, uid=caller.uid),
    }


def what(plan: Plan, digest: str, decision: Decision, reason: str) -> Fields:
    """The plan and what policy said of it. The title stops before the query: a query may hold anything."""
    return {
        "verb": "call",
        "connection": plan.connection.name,
        "effect": plan.effect.value,
        "title": title(plan),
        "plan": digest,
        "rule": decision.rule,
        "decision": decision.verdict.value,
        "reason": reason,
        "names": tuple(sorted(set(plan.connection.secrets.values()))),
        "bytes_out": len(plan.body),
    }


def title(plan: Plan) -> str:
    """Method and path: the connection is a field of its own, and a query may hold anything.

    A command and a statement are told whole: what they did is all that they say.
    """
    request = plan.request
    if plan.effect is Effect.RELEASE or "sql" in request or request.get("command"):
        return plan.title
    return f"{request['method']} {request['path']}" if "path" in request else plan.title.partition("?")[0]


def by(approval: Approval | None, caller: Caller) -> Fields:
    """Whose yes it was, and how strong the proof."""
    if approval is not None:
        return {"approval": approval.id, "strength": approval.by, "scope": approval.scope}
    return {"strength": caller.proven or "none"}


def act(verb: str, title: str, strength: str) -> Fields:
    """A person's act: a changed vault, a revealed value."""
    effect = "reveal" if verb == "get" else "admin"
    return {"verb": verb, "effect": effect, "title": title, "strength": strength}


def answer(pending: Pending, verb: str, scope: str, strength: str) -> Fields:
    """A person's answer to a card."""
    return {
        "verb": verb,
        "connection": pending.plan.connection.name,
        "effect": pending.plan.effect.value,
        "title": title(pending.plan),
        "plan": pending.digest,
        "approval": pending.id,
        "scope": scope,
        "strength": strength,
    }


def strength(exchange: Exchange) -> str:
    """What proved the human, as the audit names it."""
    proof, kind = exchange.request.proof, exchange.caller.proven
    if kind == "passphrase" and proof is not None and proof.via == "fd":
        return "descriptor-passphrase"
    return kind or "none"
