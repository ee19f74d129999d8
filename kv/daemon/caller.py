"""Who asks, from the kernel and never from the request.

Rules of this file
- The peer of a socket is named by `SO_PEERCRED`; pid and start time together name a process for good, so a
  pid used again is another process. A pidfd is held from before the walk and polled after it: what was read
  then belonged to the process that connected.
- Detection grants nothing. A known client among the ancestors labels messages, cards and audit lines; an
  unknown caller is an agent all the same.
- A cut chain (parent 1, or a pid outside our namespace) is a session of its own: an orphan inherits nobody's grants.
"""

from __future__ import annotations

import hashlib
import os
import select
import socket
import struct
from dataclasses import dataclass, replace
from functools import lru_cache

from kv.clients import known_client
from kv.errors import KvError
from kv.model import Caller, Process

_PEERCRED = struct.Struct("3i")
_SO_PEERPIDFD = 77
_MAX_DEPTH = 64  # ancestors; real chains are below 20, and a longer one is somebody's attempt to cost us time


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One process of the chain, the peer first."""

    process: Process
    parent: int
    leader: int
    tty: int
    exe: str
    argv: tuple[str, ...]


def identify(peer: socket.socket, channel: str) -> Caller:
    """The caller behind a connected socket, as a `cli` caller. Raises `KvError("gone")` if it ended meanwhile."""
    pid, uid, _ = _PEERCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
    watch = _pidfd(peer)
    if watch is None:
        return describe(uid, (), channel)
    try:
        chain = ancestry(pid)
        if ended(watch):
            raise KvError("gone")
    finally:
        os.close(watch)
    return describe(uid, chain, channel)


def holds_peers(peer: socket.socket) -> bool:
    """Whether this kernel gives a descriptor of the very process that connected (Linux 6.5)."""
    if (watch := _pidfd(peer)) is not None:
        os.close(watch)
    return watch is not None


def as_relay(caller: Caller) -> Caller:
    """The same caller as an MCP relay: its session is the connecting process itself, the narrowest there is."""
    return replace(caller, session=_session_id(caller.uid, caller.process), session_process=caller.process)


def _pidfd(peer: socket.socket) -> int | None:
    """A descriptor of the very process that connected (Linux 6.5), None before that.

    Opening one by the pid's number would open whoever has the number by now. So without it a peer is nobody known
    until it has shown more (`presence`).
    """
    try:
        return peer.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return None


def ended(watch: int) -> bool:
    """Whether the process behind a pidfd has ended."""
    poll = select.poll()  # `select` takes no descriptor beyond 1,023
    poll.register(watch, select.POLLIN)
    return bool(poll.poll(0))


def ancestry(pid: int) -> tuple[Ancestor, ...]:
    """The chain from `pid` upwards, as far as it can be read; the walk stops before pid 1."""
    chain: list[Ancestor] = []
    while pid > 1 and len(chain) < _MAX_DEPTH:
        found = _read(pid)
        if found is None:
            break
        chain.append(found)
        pid = found.parent
    return tuple(chain)


def _read(pid: int) -> Ancestor | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    # The name in parentheses may hold anything, ')' too: fields are counted from the last one (proc(5)).
    fields = stat[stat.rindex(b")") + 2 :].split()
    process = Process(pid, int(fields[19]))
    return Ancestor(process, int(fields[1]), int(fields[3]), int(fields[4]), _exe(pid), _argv(pid))


def _exe(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _argv(pid: int) -> tuple[str, ...]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read(4096)  # the label needs the first words only, and argv is the caller's to choose
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in raw.split(b"\0")[:8])


def alive(process: Process) -> bool:
    """True while this very process (not merely its pid) runs. Of one outside our namespace nobody can tell."""
    if process.pid == 0:
        return True
    found = _read(process.pid)
    return found is not None and found.process == process


def describe(uid: int, chain: tuple[Ancestor, ...], channel: str) -> Caller:
    """The caller whose `chain` this is; an empty one makes a stranger, a session of its own."""
    nobody = Process(0, 0)
    # A peer outside our pid namespace: nothing is known of it but its uid. Each connection is a session of its own.
    alone = Process(0, int.from_bytes(os.urandom(7), "big"))
    stranger = Caller(
        uid=uid,
        process=alone,
        parent=nobody,
        session=_session_id(uid, alone),
        session_process=alone,
        label="a program in a container",
        agent="",
        project="",
        channel=channel,
    )
    if not chain:
        return stranger
    client, label, agent = _outermost_client(chain)
    session = client or _leader(chain)
    return replace(
        stranger,
        process=chain[0].process,
        # A parent without a terminal is no person's shell: a supervisor, say, that adopts whoever is orphaned.
        parent=chain[1].process if len(chain) > 1 and chain[1].tty else nobody,
        session=_session_id(uid, session),
        session_process=session,
        label=label or "a program",
        exe=os.path.basename(chain[0].exe),
        client_session=_session_id(uid, client) if client else "",
        agent=agent,
        project=_cwd(session.pid),
    )


def _outermost_client(chain: tuple[Ancestor, ...]) -> tuple[Process | None, str, str]:
    for ancestor in reversed(chain):
        found = known_client(ancestor.exe, list(ancestor.argv))
        if found is not None:
            return ancestor.process, found[1], found[0]
    return None, "", ""


def _leader(chain: tuple[Ancestor, ...]) -> Process:
    """The peer's session leader if it is one of its ancestors; an orphan's leader may be anybody's, so it gets none."""
    by_pid = {ancestor.process.pid: ancestor for ancestor in chain}
    leader = by_pid.get(chain[0].leader)
    return chain[0].process if leader is None else leader.process


def _cwd(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _session_id(uid: int, process: Process) -> str:
    return hashlib.sha256(f"{uid}:{process.pid}:{process.start}".encode()).hexdigest()[:16]


def tier(who: Caller) -> str:
    """Which tier holds this caller (SECURITY.md): T3 if it is another user's or lives in another pid namespace.

    T2 is no caller's: it is what every verb that takes a proof has.
    """
    elsewhere = who.uid != os.geteuid() or who.process.pid == 0 or _contained(who.process)
    return "T3" if elsewhere else "T1"


@lru_cache(maxsize=1024)  # a process is in one pid namespace for life: pid_namespaces(7)
def _contained(process: Process) -> bool:
    """Whether it lives in another pid namespace than ours."""
    try:
        return os.readlink(f"/proc/{process.pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    except OSError:
        return False  # not to be read, so not to be claimed
