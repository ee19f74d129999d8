"""Callers, plans and terms for tests, said in as few words as the test needs."""

from __future__ import annotations

from brokers.contract import Connection, Effect, Plan
from kv.model import Caller, Process, Terms, parse_rule

ALICE, BOB = "a" * 16, "b" * 16  # two sessions


def a_caller(
    session: str = ALICE,
    *,
    agent: str = "claude-code",
    channel: str = "agent",
    proven: str = "",
    project: str = "/shop",
) -> Caller:
    """An agent on the agents' socket, unless told otherwise. The session's first letter is its process's pid."""
    return Caller(
        uid=1000,
        process=Process(4711, 99),
        parent=Process(4710, 98),
        session=session,
        session_process=Process(ord(session[0]), 1),
        label="Claude Code" if agent else "a program",
        agent=agent,
        project=project,
        channel=channel,
        proven=proven,
    )


def a_person(proven: str = "totp", *, agent: str = "") -> Caller:
    """A caller whose request carried a proof of that kind, by the socket that takes proofs."""
    return a_caller("c" * 16, agent=agent, channel="kv", proven=proven)


def a_plan(  # noqa: PLR0913 - each test names the one part it is about
    effect: Effect = Effect.READ,
    name: str = "stripe",
    *,
    method: str = "GET",
    path: str = "/v1/refunds",
    body: bytes = b"",
    title: str = "",
    details: tuple[tuple[str, str], ...] = (),
) -> Plan:
    """A plan for a connection of that name."""
    connection = Connection(
        name=name,
        kind="http",
        target={"origin": "https://api.test"},
        scheme="bearer",
        secrets={"secret": f"{name.upper()}_KEY"},
    )
    return Plan(
        connection=connection,
        effect=effect,
        because="a test",
        title=title or f"{method} https://api.test{path}",
        request={"method": method, "path": path},
        body=body,
        details=details,
    )


def some_terms(preset: str = "balanced", *rules: str, admission: str = "ask") -> Terms:
    """Terms with rules given as "verdict text"."""
    parsed = tuple(parse_rule(*rule.split(" ", 1)) for rule in rules)
    return Terms(admission=admission, preset=preset, rules=parsed)
