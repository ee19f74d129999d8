"""Secrets and connections stay together: what names a secret is written with it, and a free name leads nowhere."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nouns import a_caller
from vault.world import attempt, code_of, make_template

from kv import strangers
from kv.audit import AuditLog
from kv.daemon.budget import Budget
from kv.daemon.dispatch import Conversation
from kv.daemon.gate import Gate
from kv.daemon.house import House
from kv.daemon.requests import Request, decode
from kv.daemon.secrets import Secrets
from kv.errors import KvError
from kv.paths import Runtime
from kv.proofs import passphrase
from kv.vault.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.model import Caller

KEY = b"sk_live_a-real-value-123456"
SHOP: dict[str, object] = {"name": "shop", "host": "https://shop.test", "auth": {"scheme": "bearer"}}
EVIL: dict[str, object] = {"name": "evil", "host": "https://evil.test", "auth": {"scheme": "bearer"}}
PERSON = a_caller("c" * 16, agent="", channel="kv")


class Kept:
    """An open vault with its verbs and its gate, without sockets."""

    def __init__(self, folder: Path) -> None:
        self.vault = make_template(folder).put_down(folder).open()
        with self.vault.subkey("audit") as key:
            self.audit = AuditLog.open(folder / "audit.kv", bytes(key), None)
        self.house = House(self.vault, self.audit, Budget())
        self.secrets, self.gate = Secrets(self.house), Gate(self.vault, self.audit)
        asyncio.run(self.house.prepare())

    def close(self) -> None:
        """Close both files."""
        asyncio.run(self.house.close())

    def do(self, verb: str, args: dict[str, object], body: bytes = b"") -> dict[str, object]:
        """A verb whose proof was given."""
        return asyncio.run(self.secrets.perform(_request(verb, args, body)))[0]

    def by_window(self, verb: str, args: dict[str, object], body: bytes = b"", caller: Caller = PERSON) -> str:
        """The kind of proof that counts for a request with nothing but the window."""
        request = _request(verb, args, body, {"kind": "window"})
        return self.gate.check(request, caller, Conversation())

    def open_window(self) -> None:
        """The person types the passphrase for something else."""
        conversation = Conversation()
        nonce = bytes.fromhex(str(self.gate.challenge(PERSON, conversation)["nonce"]))
        digest = passphrase.request_digest("rm", {"name": "NONE"}, hashlib.sha256(b"").digest())
        with self.vault.subkey("proofs") as key:
            mac = passphrase.make(bytes(key), digest, nonce).hex()
        proved = _request("rm", {"name": "NONE"}, b"", {"kind": "passphrase", "mac": mac})
        assert self.gate.check(proved, PERSON, conversation) == "passphrase"


def _request(verb: str, args: dict[str, object], body: bytes = b"", proof: dict[str, object] | None = None) -> Request:
    header: dict[str, object] = {"verb": verb, "args": args, "client": "cli"}
    return decode(header if proof is None else {**header, "proof": proof}, body, "kv")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """A vault with the connection `shop` on `prod/SHOP`."""
    made = Kept(tmp_path)
    made.do("set", {"name": "prod/SHOP", "connection": SHOP}, KEY)
    yield made
    made.close()


def leads(kept: Kept) -> dict[str, bool]:
    """For each connection, whether what it uses is there."""
    found = {}
    for connection in kept.secrets.connections():
        name = str(connection["name"])
        used = kept.house.entry(name).connection.secrets.values()
        found[name] = all(kept.vault.get("secret", secret) is not None for secret in used)
    return found


@pytest.mark.parametrize("good", [0, 1])
def test_a_rename_takes_its_connections_along_or_does_not_happen(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    """The disk fills up after any transaction: no connection is left at a name that anybody may fill later."""
    transaction, begun = Store.transaction, []

    def filling(self: Store) -> object:
        begun.append(self)
        if len(begun) > good:
            raise KvError("disk-full")
        return transaction(self)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "transaction", filling)
        ended = attempt(lambda: kept.do("mv", {"old": "prod/SHOP", "new": "prod/NEW"}))
    assert ended == ("" if good else "disk-full")
    assert leads(kept) == {"shop": True}
    name = kept.vault.names("secret")
    assert name == (["prod/NEW"] if good else ["prod/SHOP"])
    assert kept.house.entry("shop").connection.secrets == {"secret": name[0]}
    assert kept.vault.value("secret", name[0]).expose() == KEY


@pytest.mark.parametrize(
    ("verb", "args", "body"),
    [
        ("set", {"name": "other", "connection": {**EVIL, "secrets": {"secret": "free"}}}, b"whatever-12345678"),
        ("connect", {"name": "evil", "declaration": {**EVIL, "secrets": {"secret": "free"}}}, b""),
        (
            "import",
            {"items": [{"name": "other", "size": 8, "connection": {**EVIL, "secrets": {"secret": "free"}}}]},
            b"12345678",
        ),
    ],
)
def test_no_connection_is_made_to_a_secret_that_is_not_there(
    kept: Kept, verb: str, args: dict[str, object], body: bytes
) -> None:
    """Whichever verb declares it: a free name is no secret's, and nothing is stored."""
    assert code_of(lambda: kept.do(verb, args, body)) == "unknown-secret"
    assert (kept.vault.names("secret"), kept.vault.names("connection")) == (["prod/SHOP"], ["shop"])


def test_a_window_fills_no_name_that_a_connection_waits_for(kept: Kept) -> None:
    """A vault of before may hold such a connection: a proof for the very act is asked for, whichever verb fills it."""
    kept.do("set", {"name": "free", "connection": EVIL}, b"whatever-12345678")
    kept.vault.delete("secret", "free")
    assert leads(kept) == {"evil": False, "shop": True}
    kept.open_window()
    item: dict[str, object] = {"name": "free", "size": 8}
    for verb, args, body in (
        ("mv", {"old": "prod/SHOP", "new": "free"}, b""),
        ("set", {"name": "free"}, b"12345678"),
        ("generate", {"name": "free"}, b""),
        ("import", {"items": [item]}, b"12345678"),
    ):
        assert code_of(lambda v=verb, a=args, b=body: kept.by_window(v, a, b)) == "proof-needed", verb  # type: ignore[misc]  # bound by default
    assert kept.by_window("mv", {"old": "prod/SHOP", "new": "prod/NEW"}) == "window"
    assert kept.by_window("set", {"name": "prod/SHOP"}, b"a-new-value") == "window"
    assert kept.by_window("generate", {"name": "new"}) == "window"


def test_notes_that_are_none_leave_room_for_one(kept: Kept) -> None:
    """Garbage in the place of notes is thrown away at the next look: a listener found after it becomes an alarm."""
    folder = Path(Runtime(kept.vault.path).folder)
    folder.mkdir(exist_ok=True)
    (folder / "strangers").write_bytes(b"x" * 5000)
    kept.house.record_strangers()
    strangers.note(str(folder), "agent", os.getpid(), os.geteuid())
    kept.house.record_strangers()
    assert [f"(pid {os.getpid()} " in alarm for alarm in kept.house.alarms] == [True]
