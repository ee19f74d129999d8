"""Proof: the one place where evidence of the human is asked for and checked.

Rules of this file
- Every verb that changes what may happen passes `Gate.check`, whichever door it came through.
- A nonce belongs to one connection and one proof. A TOTP code is burnt for the whole keeper, a wrong proof is
  counted for the whole vault, and both are sealed before the answer goes out: a restart forgives nothing.
- A proof typed at a terminal opens a window for its caller's *parent* process, the person's shell. A program
  that the shell did not start itself has another parent; one started by a known client has it among its ancestors.
- A code works once, and some acts take several requests. So the proof that opened the cards is held for the one
  answer that follows on the same connection, the one that opened the audit for its further pages; for nothing else.
- A descriptor's proof covers one act and opens no window.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from typing import TYPE_CHECKING

from kv.daemon import record
from kv.daemon.clock import boot_time
from kv.daemon.dispatch import Held
from kv.daemon.entry import decode_entry
from kv.daemon.requests import Needs
from kv.daemon.schema import Generate, Import, Move, Set
from kv.errors import KvError
from kv.proofs import passphrase, pin, totp
from kv.proofs.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kv.audit import AuditLog
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Conversation
    from kv.daemon.requests import Request
    from kv.daemon.schema import Proof
    from kv.model import Caller, Process
    from kv.vault.session import Vault

_WINDOW_SECONDS = 300.0
_HELD_SECONDS = 180.0  # as long as what is on the card may wait
_HELD = {"approvals": frozenset({"approve", "deny"}), "audit": frozenset({"audit"})}
_DAILY = ("totp", "pin")
_WRONG = frozenset({"proof-wrong", "proof-used", "proof-frozen"})
_RECORDED, _RECORDED_SECONDS = 10, 60.0  # each apart; five are a person's bad day, the rest is only more of it


class Gate:
    """Checks proofs against the vault's enrolments."""

    def __init__(self, vault: Vault, audit: AuditLog) -> None:
        self._vault = vault
        self._audit = audit
        self._recorded: list[float] = []
        self._windows: dict[Process, float] = {}
        self._kinds: tuple[int, list[str]] = (-1, [])  # as of a generation of the vault

    def challenge(self, caller: Caller, conversation: Conversation) -> dict[str, object]:
        """A fresh nonce for this connection, and what a client needs to make a proof with it."""
        conversation.nonce = secrets.token_bytes(32)
        held = conversation.held
        return {
            "nonce": conversation.nonce.hex(),
            "slot": self._vault.public_slot().as_wire(),
            "kinds": self.kinds(),
            "window": self._has_window(caller),
            "held": sorted(held.verbs) if held is not None and boot_time() < held.until else [],
        }

    def kinds(self) -> list[str]:
        """The proofs that are enrolled, the daily ones first. For telling only: a check asks `_enrolled` itself."""
        generation, kinds = self._kinds
        if generation != self._vault.generation:
            kinds = [kind for kind in _DAILY if self._enrolled(kind)] + ["passphrase"]
            self._kinds = (self._vault.generation, kinds)
        return kinds

    def check(self, request: Request, caller: Caller, conversation: Conversation) -> str:
        """The kind of proof that came with `request`, or "". Raises `KvError`: `proof-…`."""
        if request.name == "challenge":
            return ""
        nonce, conversation.nonce = conversation.nonce, None  # good for one request, whatever becomes of it
        held, conversation.held = conversation.held, None
        proof = request.proof
        if proof is None:
            if request.verb.needs is Needs.NOTHING:
                return ""
            raise KvError("proof-needed", verb=request.name)
        if proof.kind == "window":
            return self._window(request, caller)
        if proof.kind == "held":
            found = _held(request, held)
            conversation.held = found if request.name == "audit" else None  # pages only look; an answer is one
            return found.kind
        try:
            self._check_fresh(request, proof, nonce)
        except KvError as error:
            if error.code in _WRONG:
                self._record(error.code, request, proof, caller)
            raise
        if request.name in _HELD:
            conversation.held = Held(proof.kind, boot_time() + _HELD_SECONDS, _HELD[request.name])
        if proof.via == "terminal" and not caller.agent:
            self._windows[caller.parent] = boot_time() + _WINDOW_SECONDS
        return proof.kind

    def _record(self, code: str, request: Request, proof: Proof, caller: Caller) -> None:
        """Somebody guesses, or a person mistyped: on disk before the answer, in numbers that fill no disk."""
        now = boot_time()
        self._recorded = [then for then in self._recorded if now - then < _RECORDED_SECONDS]
        if len(self._recorded) >= _RECORDED:
            self._audit.count(code, caller.session)
            return
        self._recorded.append(now)
        told: Fields = {"verb": "proof", "outcome": code, "title": f"{proof.kind} for {request.name}"}
        with contextlib.suppress(KvError):  # refused already
            self._audit.event(durable=True, **record.merge(record.who(caller), told))

    def _check_fresh(self, request: Request, proof: Proof, nonce: bytes | None) -> None:
        if request.verb.needs is Needs.PASSPHRASE and proof.kind != "passphrase":
            raise KvError("proof-kind", kinds="the passphrase")
        if proof.kind == "passphrase":
            self._check_passphrase(request, proof, nonce)
        else:
            self._check_daily(proof)

    def _window(self, request: Request, caller: Caller) -> str:
        if request.verb.needs is not Needs.WINDOW or not self._has_window(caller) or self._leads(request):
            raise KvError("proof-needed", verb=request.name)
        return "window"

    def _leads(self, request: Request) -> bool:
        """Whether the request may lead a credential that exists already to another place.

        What the person's own shell runs (a project's script, a test) has that shell as its parent too.
        """
        args = request.args
        if isinstance(args, Generate | Move):
            return self._awaited({args.new if isinstance(args, Move) else args.name})
        items = args.items if isinstance(args, Import) else [args] if isinstance(args, Set) else []
        return self._awaited({item.name for item in items}) or any(
            item.connection is not None
            and (
                self._vault.get("secret", item.name) is not None
                or self._vault.get("connection", item.connection.name) is not None
                or item.connection.secrets is not None
            )
            for item in items
        )

    def _awaited(self, names: set[str]) -> bool:
        """Whether a connection names one of these while there is no such secret: what got the name would go there."""
        missing = {name for name in names if self._vault.get("secret", name) is None}
        return bool(missing) and any(
            missing & set(decode_entry(each, record.meta).connection.secrets.values())
            for each in self._vault.names("connection")
            if (record := self._vault.get("connection", each)) is not None
        )

    def _has_window(self, caller: Caller) -> bool:
        until = self._windows.get(caller.parent, 0.0)
        return not caller.agent and caller.parent.pid > 1 and boot_time() < until

    def _check_passphrase(self, request: Request, proof: Proof, nonce: bytes | None) -> None:
        """Not throttled: a MAC of 256 bits is not guessed, and the freeze must leave its owner a way in."""
        if nonce is None:
            raise KvError("bad-argument", argument="proof", why="a challenge comes first, on the same connection")
        digest = passphrase.request_digest(request.name, request.raw, hashlib.sha256(request.body).digest())
        with self._vault.subkey("proofs") as key:
            passphrase.check(bytes(key), digest, nonce, _bytes(proof.mac), left=1)

    def _check_daily(self, proof: Proof) -> None:
        """A TOTP code or a PIN: the try is charged and sealed before it is judged."""
        if not self._enrolled(proof.kind):
            raise KvError("proof-kind", kinds=", ".join(self.kinds()))
        now = boot_time()
        record = self._vault.get("setting", "throttle")
        throttle = Throttle.from_dict(record.meta, now) if record else Throttle()
        charged = throttle.charge(now)
        self._keep("throttle", charged.as_dict())
        if proof.kind == "totp":
            self._check_totp(proof.code, charged.left)
        else:
            with self._vault.subkey("proofs") as key:
                pin.check(proof.pin, bytes(key), self._vault.value("setting", "pin").expose(), left=charged.left)
        self._keep("throttle", Throttle().as_dict())

    def _check_totp(self, code: str, left: int) -> None:
        record = self._vault.get("setting", "totp")
        last = record.meta.get("last") if record else None
        if not isinstance(last, int):
            raise KvError("vault-damaged", why="the TOTP's record is malformed")
        secret = self._vault.value("setting", "totp").expose()
        counter = totp.check(secret, code, now=time.time(), last_counter=last, left=left)
        self._keep("totp", {"confirmed": True, "last": counter})

    def _enrolled(self, kind: str) -> bool:
        record = self._vault.get("setting", kind)
        return record is not None and record.meta.get("confirmed") is True

    def _keep(self, name: str, meta: Mapping[str, object]) -> None:
        if self._vault.read_only:
            raise KvError("proof-kind", kinds="the passphrase, while the vault is read-only")
        self._vault.put("setting", name, meta, None, now=time.time())


def _held(request: Request, held: Held | None) -> Held:
    if held is None or request.name not in held.verbs or boot_time() >= held.until:
        raise KvError("proof-needed", verb=request.name)
    return held


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text) if len(text) % 2 == 0 else b""
