"""How the human is known: passphrase and recovery slots, TOTP, PIN.

Rules of this file
- A slot arrives sealed: the client opened the old one, sealed the root key anew, and the keeper only stores the
  row after checking that it is a slot of this vault with parameters within bounds.
- A TOTP secret is made here, told once to the person who enrols, and counts only after a code has confirmed it.
- TOTP and PIN are presence checks (tier T2): they open nothing offline, and FORMAT.md says so.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, cast

from kv.errors import KvError
from kv.proofs import pin, totp
from kv.vault.session import PublicSlot

if TYPE_CHECKING:
    from kv.daemon.dispatch import Answer
    from kv.daemon.house import House
    from kv.daemon.requests import Request
    from kv.daemon.schema import Pin, Slot, Totp

VERBS = frozenset({"passwd", "recovery", "totp", "pin"})


class Enrolment:
    """The verbs on proofs, on one house."""

    def __init__(self, house: House) -> None:
        self._vault = house.vault
        self._house = house

    def title(self, request: Request) -> str:
        """What the audit calls the act."""
        return f"{request.name} {getattr(request.args, 'action', 'change')}"

    async def perform(self, request: Request) -> Answer:
        """Run a verb."""
        if request.name in {"passwd", "recovery"}:
            slot = PublicSlot.from_wire(cast("Slot", request.args).slot)
            self._vault.replace_slot("passphrase" if request.name == "passwd" else "recovery", slot)
            return {}, b""
        if request.name == "totp":
            return self._totp(cast("Totp", request.args))
        return self._pin(cast("Pin", request.args))

    def _totp(self, args: Totp) -> Answer:
        if args.action == "off":
            self._drop("totp")
            return {}, b""
        if args.action == "enrol":
            secret = os.urandom(totp.SECRET_BYTES)
            self._put("totp-new", {}, secret)  # beside the confirmed one, until a code of it was typed
            return {"uri": totp.uri(secret, os.path.basename(self._vault.path)), "base32": totp.base32(secret)}, b""
        if self._vault.get("setting", "totp-new") is None:
            raise KvError("bad-argument", argument="action", why="enrol comes before confirm")
        secret = self._vault.value("setting", "totp-new").expose()
        # The code that enrols is burnt as well: whoever looked over the shoulder has nothing left of it.
        counter = totp.check(secret, args.code, now=time.time(), last_counter=0, left=1)
        self._put("totp", {"confirmed": True, "last": counter}, secret)
        self._drop("totp-new")
        return {}, b""

    def _pin(self, args: Pin) -> Answer:
        if args.action == "off":
            self._drop("pin")
            return {}, b""
        with self._vault.subkey("proofs") as key:
            kept = pin.stored(args.pin, bytes(key), os.urandom(pin.SALT_BYTES))
        self._put("pin", {"confirmed": True}, kept)
        return {}, b""

    def _put(self, name: str, meta: dict[str, object], value: bytes | None) -> None:
        self._vault.put("setting", name, meta, value, now=time.time())

    def _drop(self, name: str) -> None:
        if self._vault.get("setting", name) is not None:
            self._vault.delete("setting", name)
