"""Slots as public data: from the file, over a socket, out of an enemy's hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault.world import Template, World, attempt, code_of

from kv.vault.session import read_slot
from kv.vault.slots import PublicSlot, open_slot, seal_slot


@pytest.fixture
def public(world: World) -> PublicSlot:
    """The passphrase's slot."""
    return read_slot(world.path)


def test_wire_round_trip(public: PublicSlot) -> None:
    """A slot crosses the wire as JSON and stays the same."""
    assert PublicSlot.from_wire(public.as_wire()) == public


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("memory", 1024, "vault-kdf"),
        ("memory", 1 << 31, "vault-kdf"),
        ("passes", 1, "vault-kdf"),
        ("passes", 1 << 20, "vault-kdf"),
        ("lanes", 255, "vault-kdf"),
        ("memory", True, "vault-damaged"),
        ("memory", 65536.0, "vault-damaged"),
        ("memory", "65536", "vault-damaged"),
        ("memory", -1, "vault-damaged"),
        ("memory", 1 << 70, "vault-damaged"),
        ("kind", 3, "vault-damaged"),
        ("salt", "", "vault-damaged"),
        ("salt", "00" * 17, "vault-damaged"),
        ("salt", "0" * 10_000_000, "vault-damaged"),
        ("salt", "zz" * 16, "vault-damaged"),
        ("salt", "AA" * 16, "vault-damaged"),
        ("salt", 7, "vault-damaged"),
        ("public", "00", "vault-damaged"),
        ("nonce", "00" * 23, "vault-damaged"),
        ("sealed", "00" * 47, "vault-damaged"),
        ("vault", "00" * 15, "vault-damaged"),
        ("vault", None, "vault-damaged"),
        ("more", 1, "vault-damaged"),
    ],
)
def test_hostile_wire(public: PublicSlot, member: str, value: object, code: str) -> None:
    """A slot that a fake keeper sends is bounded before a passphrase is spent on it."""
    assert code_of(lambda: PublicSlot.from_wire({**public.as_wire(), member: value})) == code


def test_missing_member(public: PublicSlot) -> None:
    """A slot without one of its members is refused."""
    for member in public.as_wire():
        wire = {name: each for name, each in public.as_wire().items() if name != member}
        assert code_of(lambda wire=wire: PublicSlot.from_wire(wire)) == "vault-damaged"  # type: ignore[misc]


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())


MEMBERS = ["vault", "id", "kind", "memory", "passes", "lanes", "salt", "public", "nonce", "sealed"]


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
@settings(max_examples=100)
def test_garbage_wire(changes: dict[str, object]) -> None:
    """Whatever stands in a slot's members, it is a slot or a listed error."""
    row = {"id": 1, "kind": 1, "memory": 65536, "passes": 3, "lanes": 4, "public": ""}
    wire = {"vault": "00" * 16, **row, "salt": "00" * 16, "nonce": "00" * 24, "sealed": "00" * 48, **changes}
    code = attempt(lambda: PublicSlot.from_wire(wire))
    assert code in {"vault-damaged", "vault-kdf"} or PublicSlot.from_wire(wire).as_wire() == wire


def test_every_public_byte_is_sealed_to(public: PublicSlot, template: Template) -> None:
    """Costs raised or lowered within the bounds, or a slot moved to another vault, open nothing."""
    secret = b"sixteen bytes ..", public.kdf
    slot = seal_slot(template.root, public.vault, "recovery", *secret)
    moved = PublicSlot(bytes(16), slot.row)
    cheaper = PublicSlot(slot.vault, slot.row._replace(lanes=5))
    assert code_of(lambda: open_slot(moved, secret[0])) == "wrong-recovery"
    assert code_of(lambda: open_slot(cheaper, secret[0])) == "wrong-recovery"
    open_slot(slot, secret[0]).close()
