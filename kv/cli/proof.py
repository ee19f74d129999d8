"""A person's proof of one act, in the cheapest form that the act takes.

Order: a window that is still open; the passphrase by descriptor; the daily proof (code or PIN) typed at the
terminal; the passphrase typed there. A passphrase is never sent: it opens the vault's slot here, and a MAC over
the request and the keeper's nonce goes out in its place (`kv/proofs/passphrase.py`).

Rules of this file
- Nothing waits for an answer that cannot come: without a terminal and a descriptor an act fails at once.
- The root key opened here stays for this command alone, and is wiped when it ends.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from kv.cli.terminal import Terminal, Typed, from_descriptor, refuse_agent
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.cli.options import Options
    from kv.vault.keys import RootKey
    from kv.vault.slots import PublicSlot

WINDOW_VERBS = frozenset({"set", "generate", "import", "inspect", "mv", "rm", "restore"})
PASSPHRASE_VERBS = frozenset({"get", "passwd", "recovery", "totp", "pin"})

_DAILY = {"totp": "Code: ", "pin": "PIN: "}
_TRIES = 3
_LONGEST = 16  # characters of a code or PIN, with blanks


class Prover:
    """Makes the proofs of one command."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._root: RootKey | None = None
        self._pin = ""
        self._past_window = False

    def past_window(self) -> None:
        """The keeper wants more for this act than that a proof was given a moment ago."""
        self._past_window = True

    def asks_at_terminal(self) -> bool:
        """Whether a wrong proof may be typed once more."""
        return self._options.passphrase_fd is None and self._root is None

    def check_possible(self, verb: str) -> None:
        """Raise `KvError("proof-needed" | "denied")` where there is neither a descriptor nor a terminal of a person."""
        if self._options.passphrase_fd is not None or self._root is not None:
            return
        terminal = Terminal.available()
        if terminal is None:
            raise KvError("proof-needed", verb=verb)
        terminal.close()
        refuse_agent()

    def prove(
        self, challenge: Callable[[], dict[str, object]], verb: str, args: dict[str, object], body: bytes
    ) -> dict[str, object]:
        """The `proof` member of a request. Raises `KvError`."""
        told = challenge()
        if verb in WINDOW_VERBS and told.get("window") and self.asks_at_terminal() and not self._past_window:
            return {"kind": "window"}
        if verb in cast("list[str]", told.get("held", [])):  # given on this connection already, for what follows
            return {"kind": "held"}
        self.check_possible(verb)
        from kv.cli.keeper import take_shelter

        take_shelter()
        kinds = cast("list[str]", told.get("kinds", []))
        daily = next((kind for kind in kinds if kind in _DAILY), None)
        if self.asks_at_terminal() and daily is not None and verb not in PASSPHRASE_VERBS:
            given = self._daily(daily)
            if given:
                challenge()  # the person took their time: have a connection that still stands
                return {"kind": daily, "code" if daily == "totp" else "pin": given}
        root = self.root_by(told)
        nonce = bytes.fromhex(str(challenge()["nonce"]))
        return self._mac(root, nonce, verb, args, body)

    def _daily(self, kind: str) -> str:
        """The code or PIN. A PIN typed once proves the further acts of this command; a code works once and cannot."""
        if kind == "pin" and self._pin:
            return self._pin
        given = _ask_daily(kind)
        if kind == "pin":
            self._pin = given
        return given

    def _mac(self, root: RootKey, nonce: bytes, verb: str, args: dict[str, object], body: bytes) -> dict[str, object]:
        from kv.proofs import passphrase

        digest = passphrase.request_digest(verb, args, hashlib.sha256(body).digest())
        with root.subkey("proofs") as key:
            mac = passphrase.make(bytes(key), digest, nonce)
        proof: dict[str, object] = {"kind": "passphrase", "mac": mac.hex()}
        return proof if self._options.passphrase_fd is None else {**proof, "via": "fd"}

    def root_by(self, told: dict[str, object]) -> RootKey:
        """The root key, by the slot that a running keeper told. Raises `KvError`."""
        from kv.vault.slots import PublicSlot

        self.check_possible("passwd")
        return self._open(PublicSlot.from_wire(cast("dict[str, object]", told["slot"])))

    def root_of(self, path: str) -> RootKey:
        """The root key of the locked vault at `path`, opened with the passphrase. Raises `KvError`."""
        from kv.vault.session import read_slot

        return self._open(read_slot(path, "passphrase"))

    def _open(self, slot: PublicSlot) -> RootKey:
        if self._root is None:
            self._root = self._try_open(slot)
        return self._root

    def _try_open(self, slot: PublicSlot) -> RootKey:
        from kv.vault.slots import open_slot

        if self._options.passphrase_fd is not None:
            return _with(
                from_descriptor(self._options.passphrase_fd), lambda typed: open_slot(slot, typed.expose_buffer())
            )
        with Terminal() as terminal:
            for left in reversed(range(_TRIES)):
                typed = terminal.ask_hidden("Passphrase (hidden): ")
                try:
                    return _with(typed, lambda typed: open_slot(slot, typed.expose_buffer()))
                except KvError as error:
                    if error.code != "wrong-passphrase" or not left:
                        raise
                    terminal.print("  wrong passphrase")
        raise KvError("wrong-passphrase")

    def adopt(self, root: RootKey) -> None:
        """Use a root key that this command has in hand already (`kv init`)."""
        self._root = root

    def again(self, error: KvError) -> None:
        """Say what was wrong before the next try."""
        self._pin = ""
        with Terminal() as terminal:
            terminal.print(f"  {error.message}{f'; {error.hint}' if error.hint else ''}")

    def forget(self) -> None:
        """Wipe the root key, drop the PIN."""
        self._pin = ""
        if self._root is not None:
            self._root.close()
            self._root = None


def _ask_daily(kind: str) -> str:
    """The code or PIN; an empty answer goes over to the passphrase, for a phone that is elsewhere.

    Asked again without the keeper where it is neither: a passphrase typed here is no guess that counts.
    """
    with Terminal() as terminal:
        while True:
            if kind == "totp":
                refuse_agent()
                given = terminal.ask(_DAILY[kind])
            else:
                given = terminal.ask_hidden(_DAILY[kind]).expose().decode("ascii", "replace")
            if len(given) <= _LONGEST and not given.strip("0123456789 "):
                return given
            terminal.print("  digits only, or Enter alone for the passphrase")


def _with(typed: Typed, use: Callable[[Typed], RootKey]) -> RootKey:
    try:
        return use(typed)
    finally:
        typed.wipe()
