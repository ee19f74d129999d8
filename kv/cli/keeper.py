"""A person's side of the keeper: connect, prove, act; and for a locked vault, open it for one act and lock it again.

Rules of this file
- Connect first, then shelter: the keeper's proof window belongs to the parent of the process that connected, the
  person's shell. What asks for a secret then goes on in a child whose memory was never readable.
- A proof is made for one act. A nonce is fetched right before it is used, so that a slow typist loses nothing.
- A locked vault is opened by a keeper without the agents' socket: no call slips in while a person changes a name.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, cast

from kv.cli.confirm import confirm_vault
from kv.cli.proof import Prover
from kv.cli.warning import warn_of
from kv.client import ADMIN, AGENT, Answer, Client
from kv.errors import KvError
from kv.harden import shelter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kv.cli.options import Options
    from kv.vault.keys import RootKey
    from kv.vault.slots import PublicSlot

_TRIES = 3  # at a terminal; the keeper freezes proofs after five wrong ones


class Sheltered:
    """Whether this process is the sheltered child already. Class state, since a process is sheltered once."""

    done = False


def take_shelter() -> None:
    """Go on in a process that may see secrets; at most once."""
    if not Sheltered.done:
        shelter()
        Sheltered.done = True


class Keeper:
    """The keeper of one vault, as the person who types this command meets it. Use `acting`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.path = options.path
        self._client = _connect(self.path)
        self._opened = False
        self._prover = Prover(options)

    @property
    def locked(self) -> bool:
        """No keeper runs (or none of ours): `act` will ask for the passphrase and open the vault itself."""
        return self._client is None

    def ask(self, verb: str, args: dict[str, object] | None = None, *, folder: int | None = None) -> Answer:
        """A verb that needs no proof. Raises `KvError("locked")` without a keeper."""
        try:
            return self._live().ask(verb, args, folder=folder)
        except KvError as error:
            if error.code != "gone" or folder is not None:
                raise
        return self._dial_again().ask(verb, args)

    def act(
        self,
        verb: str,
        args: dict[str, object],
        body: bytes = b"",
        lend: Callable[[], int] | None = None,
        event: Callable[[dict[str, object]], None] | None = None,
    ) -> Answer:
        """A verb with a proof, asked for where it has to be. Raises `KvError`, also the keeper's.

        `lend` gives the descriptor that travels along, for each try anew; `event` hears what comes before the answer.
        """
        self.reach()
        tries = _TRIES if self._prover.asks_at_terminal() else 1
        while True:
            tries -= 1
            proof = self._prover.prove(self._challenge, verb, args, body)
            try:
                folder = lend() if lend is not None else None
                return self._live().ask(verb, args, body, proof=proof, folder=folder, event=event)
            except KvError as error:
                if error.code == "proof-needed" and proof.get("kind") == "window":
                    self._prover.past_window()
                    tries += 1
                    continue
                if error.code not in {"proof-wrong", "proof-used"} or not tries:
                    raise
                self._prover.again(error)

    def adopt(self, root: RootKey) -> None:
        """Prove with a root key that this command has opened already."""
        self._prover.adopt(root)

    def root(self) -> RootKey:
        """The vault's root key, opened with the passphrase: to seal a new slot. Belongs to the keeper."""
        take_shelter()
        if self._client is None:
            self.open()
            return self._prover.root_of(self.path)
        return self._prover.root_by(self._challenge())

    def public_slot(self) -> PublicSlot:
        """The passphrase's slot: which vault a new one is sealed for, and at what cost."""
        from kv.vault.slots import PublicSlot

        return PublicSlot.from_wire(cast("dict[str, object]", self._challenge()["slot"]))

    def require_vault(self) -> None:
        """Raise `KvError("vault-missing")` where there is nothing to open."""
        if self._client is None and not os.path.exists(self.path):
            raise KvError("vault-missing", path=self.path)

    def reach(self) -> None:
        """Have a keeper, opening a locked vault if need be: for what has to look before it acts."""
        if self._client is None:
            self.open()

    def open(self) -> None:
        """Ask for the passphrase of a locked vault, and start a keeper of our own for what follows."""
        self.require_vault()
        self._prover.check_possible("unlock")
        take_shelter()
        confirm_vault(self.path, self.options)
        self.start(self._prover.root_of(self.path))

    def start(self, root: RootKey) -> None:
        """Start a keeper for this command alone. Raises `KvError("keeper-runs")`."""
        from kv.birth import birth
        from kv.seen import remember, seen

        self._prover.adopt(root)
        with root.expose() as key:
            told = birth(self.path, key, {"admin_only": True, "seen": seen(self.path)})
        self._opened = True
        warn_of(told)
        remember(self.path, told)
        self._client = Client(self.path, ADMIN)

    def close(self) -> None:
        """Hang up; what was opened for this act is locked again."""
        if self._client is not None and self._opened:
            with contextlib.suppress(KvError):
                self.ask("lock")
                wait_for_end(int(str(self._client.keeper.get("pid", 0))))
        if self._client is not None:
            self._client.close()
        self._prover.forget()

    def _challenge(self) -> dict[str, object]:
        """A fresh nonce, right before it is used, and what the keeper says of proofs."""
        return self.ask("challenge").ok

    def _dial_again(self) -> Client:
        """A keeper hangs up on who is silent for ten minutes, as people are who look something up."""
        self._client = Client(self.path, ADMIN)
        return self._client

    def _live(self) -> Client:
        if self._client is None:
            raise KvError("locked")
        return self._client


def _connect(path: str) -> Client | None:
    """A connection, or None where no keeper runs. Any other trouble is an error that a person must see."""
    try:
        return Client(path, ADMIN)
    except KvError as error:
        if error.code == "locked":
            return None
        raise


def wait_for_end(pid: int, seconds: float = 10.0) -> None:
    """Return when the keeper is gone: "locked" is said when it is true."""
    try:
        watch = os.pidfd_open(pid)
    except (OSError, AttributeError):
        return
    try:
        if not select.select([watch], [], [], seconds)[0]:
            raise KvError("gone")
    finally:
        os.close(watch)


@contextlib.contextmanager
def acting(options: Options) -> Iterator[Keeper]:
    """A `Keeper` for one command."""
    keeper = Keeper(options)
    try:
        yield keeper
    finally:
        keeper.close()


def look(options: Options, verb: str, args: dict[str, object] | None = None) -> dict[str, object]:
    """What a verb of the agents' socket answers: it works inside a container as well. Raises `KvError`."""
    with Client(options.path, AGENT) as client:
        return client.ask(verb, args).ok
