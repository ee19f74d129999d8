"""What people's answers leave behind: admissions, grants, freezes.

Rules of this file
- In memory only: it dies with the keeper. A project's admission also lives in the vault, where the keeper seals it.
- Every session has a store of its own, found by the session's id and by nothing else.
- Entries are made by a person's answers, by a session's third withheld result, and by no other act of an agent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brokers.contract import Effect
from kv.model import QUIET, Grant, Standing

if TYPE_CHECKING:
    from kv.model import Pending

DENIALS, DENIAL_WINDOW = 3, 300.0  # three noes in five minutes freeze: the fourth asking would count on fatigue
WITHHELD = 3  # results withheld as confirmed guesses: one is an accident, three are a search
PROJECT_SECONDS = 30 * 86400.0  # how long a project's admission is remembered
RELEASE_SECONDS = 12 * 3600.0  # as long as a keeper lives
_GRANTS = 200  # of one session: more commands than anyone runs in a day
PANIC = "a person called kv panic"


@dataclass(slots=True)
class _Session:
    admitted: set[str] = field(default_factory=set)
    grants: list[Grant] = field(default_factory=list)
    denials: deque[float] = field(default_factory=deque)
    withheld: int = 0
    frozen: str = ""


class Standings:
    """Each session's standing, and the projects' admissions. Times are boot-time seconds, given by the caller."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._projects: dict[tuple[str, str], float] = {}  # (project, connection): until
        self._panic = False

    def of(self, session: str, project: str, now: float) -> Standing:
        """What `session`, working in `project` ("" for none), has at `now`.

        A project is the name of a folder, which any program can choose by `chdir`; that is why it carries an
        admission (reads, in `balanced`) and never a grant.
        """
        state = self._sessions.get(session) or _Session()
        projects = {c for (p, c), until in self._projects.items() if project and p == project and now < until}
        grants = tuple(g for g in state.grants if now < g.until)
        return Standing(frozenset(state.admitted | projects), grants, self.frozen(session))

    def frozen(self, session: str) -> str:
        """Why the session is frozen, or ""."""
        if self._panic:
            return PANIC
        return self._sessions[session].frozen if session in self._sessions else ""

    def all_frozen(self) -> dict[str, str]:
        """Every frozen session, and why."""
        return {session: state.frozen for session, state in self._sessions.items() if state.frozen}

    def admit(self, connection: str, session: str, project: str, until: float) -> None:
        """Remember an admission: of the session for its life, of every session of the project before `until`.

        An empty name is nobody's.
        """
        if session:
            self._of(session).admitted.add(connection)
        if project:
            self._projects[project, connection] = until

    def remember(self, pending: Pending, scope: str, now: float) -> None:
        """What an answer with `scope` leaves behind: nothing for "once", nothing ever for what is not quiet.

        A release is not quiet; what it leaves behind is good for that very plan.
        """
        session, name, effect = pending.caller.session, pending.plan.connection.name, pending.plan.effect
        plan = pending.digest if effect is Effect.RELEASE else ""
        if scope not in {"session", "project"} or not (effect in QUIET or plan):
            return
        if not plan or scope == "project":
            project = pending.caller.project if scope == "project" else ""
            self.admit(pending.admits, session, project, now + PROJECT_SECONDS)
        if scope == "session" and pending.decision.minutes:
            state = self._of(session)
            grant = Grant(session, name, effect, now + 60.0 * pending.decision.minutes, pending.id, plan)
            state.grants = [*(g for g in state.grants if now < g.until), grant]

    def remember_release(self, session: str, plan: str, now: float) -> None:
        """A person's own run: the same one of the same session need not be proved again."""
        state, grant = self._of(session), Grant(session, "run", Effect.RELEASE, now + RELEASE_SECONDS, "a proof", plan)
        state.grants = [*(g for g in state.grants if now < g.until and g.plan != plan), grant][-_GRANTS:]

    def denied(self, session: str, now: float) -> bool:
        """Count a person's no; True at the one that must freeze the session."""
        denials = self._of(session).denials
        denials.append(now)
        while denials[0] <= now - DENIAL_WINDOW:
            denials.popleft()
        return len(denials) >= DENIALS

    def withheld(self, session: str) -> bool:
        """Count a withheld result; True at the one that must freeze the session."""
        state = self._of(session)
        state.withheld += 1
        return state.withheld >= WITHHELD

    def freeze(self, session: str, why: str) -> None:
        """Take everything from the session, and say why until `unfreeze`."""
        self._sessions[session] = _Session(frozen=why)

    def unfreeze(self, session: str) -> None:
        """The session starts from nothing."""
        self._sessions.pop(session, None)

    def end(self, session: str) -> None:
        """The session is over; what it had goes with it, a freeze stays."""
        if not self.frozen(session):
            self._sessions.pop(session, None)

    def forget(self, connection: str) -> None:
        """The connection was changed or removed: what was allowed was allowed for the one before."""
        self._projects = {key: until for key, until in self._projects.items() if key[1] != connection}
        for state in self._sessions.values():
            state.admitted.discard(connection)
            state.grants = [g for g in state.grants if g.connection != connection]

    def panic(self) -> None:
        """Drop everything and freeze every session, known or new, for the rest of this keeper's life."""
        self._panic = True
        self._sessions.clear()
        self._projects.clear()

    def _of(self, session: str) -> _Session:
        return self._sessions.setdefault(session, _Session())
