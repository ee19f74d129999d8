"""An open vault, as everyone else uses it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from vault.world import NOW, PASSPHRASE, World, code_of, contents, stored_rows

from kv.errors import KvError
from kv.vault.kdf import FLOOR
from kv.vault.session import Passphrase, Recovery, RootKey, Vault, open_slot, read_slot
from kv.vault.slots import seal_recovery, seal_slot
from kv.vault.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from kv.vault.format import PartRow
    from kv.vault.session import Row


def test_create_and_open(tmp_path: Path) -> None:
    """A vault that was made opens by its passphrase and by its recovery code, in any case and with O for 0."""
    tmp_path.chmod(0o700)
    path = tmp_path / "new" / "vault.kv"
    vault, code = Vault.create(path, PASSPHRASE, kdf=FLOOR)
    vault.put("secret", "a", {}, b"v", now=NOW)
    vault.close()
    typed = code.lower().replace("0", "o").replace("1", "l").replace("-", " ")
    for key in (Passphrase(PASSPHRASE), Passphrase(bytearray(PASSPHRASE)), Recovery(typed)):
        with Vault.open(path, key) as again:
            assert again.value("secret", "a").expose() == b"v"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_wrong_keys(world: World) -> None:
    """A wrong passphrase, a wrong code and a mistyped one are told apart from damage."""
    _, other = seal_recovery(RootKey.generate(), bytes(16))
    assert code_of(lambda: Vault.open(world.path, Passphrase(b"wrong"))) == "wrong-passphrase"
    assert code_of(lambda: Vault.open(world.path, Passphrase(b""))) == "wrong-passphrase"
    assert code_of(lambda: Vault.open(world.path, Recovery(other))) == "wrong-recovery"
    assert code_of(lambda: Vault.open(world.path, Recovery("ABCD"))) == "wrong-recovery"
    assert code_of(lambda: Vault.open(world.path, RootKey.generate())) == "vault-damaged"
    world.open().close()


def test_create_never_replaces(world: World) -> None:
    """Making a vault where there is a file leaves the file alone, and nothing beside it."""
    before = world.path.read_bytes()
    assert code_of(lambda: Vault.create(world.path, PASSPHRASE, kdf=FLOOR)) == "vault-exists"
    assert world.path.read_bytes() == before
    assert [each.name for each in world.path.parent.iterdir()] == ["vault.kv"]


def test_create_refusals_leave_nothing(tmp_path: Path) -> None:
    """A weak passphrase and costs below the floor make no file."""
    tmp_path.chmod(0o700)
    path = tmp_path / "vault.kv"
    assert code_of(lambda: Vault.create(path, b"password1", kdf=FLOOR)) == "weak-passphrase"
    assert code_of(lambda: Vault.create(path, PASSPHRASE, kdf=FLOOR._replace(memory=8))) == "vault-kdf"
    assert not list(tmp_path.iterdir())


def test_put_get(vault: Vault) -> None:
    """A record is what was put; its value comes only when asked for, unprintable."""
    meta = {"class": "high", "note": "né", "list": [1, 2.5, None]}
    record = vault.put("secret", "prod/KEY", meta, b"\x00\xffvalue", now=NOW)
    assert vault.get("secret", "prod/KEY") == record
    assert (record.revision, record.created, record.meta) == (1, NOW, meta)
    secret = vault.value("secret", "prod/KEY")
    assert secret.expose() == b"\x00\xffvalue"
    assert "value" not in f"{secret} {secret!r}"


def test_kinds_are_apart(vault: Vault) -> None:
    """A secret and a connection of one name are two records."""
    vault.put("secret", "x", {"a": 1}, b"v", now=NOW)
    vault.put("connection", "x", {"b": 2}, now=NOW)
    assert vault.get("secret", "x") != vault.get("connection", "x")
    vault.delete("connection", "x")
    assert (vault.names("secret"), vault.names("connection")) == (["x"], [])
    with pytest.raises(ValueError, match="kind"):
        vault.get("token", "x")


def test_missing(vault: Vault) -> None:
    """What is not there is said to be unknown, by each verb in its way."""
    vault.put("connection", "c", {}, now=NOW)
    vault.put("secret", "s", {}, b"v", now=NOW)
    assert vault.get("secret", "x") is None
    assert vault.history("secret", "x") == []
    assert code_of(lambda: vault.value("secret", "x")) == "unknown-secret"
    assert code_of(lambda: vault.value("connection", "c")) == "unknown-secret"
    assert code_of(lambda: vault.value("secret", "s", 2)) == "unknown-revision"
    assert code_of(lambda: vault.delete("secret", "x")) == "unknown-secret"
    assert code_of(lambda: vault.rename("secret", "x", "y", now=NOW)) == "unknown-secret"
    assert code_of(lambda: vault.rename("secret", "s", "s", now=NOW)) == "exists"
    assert code_of(lambda: vault.restore("secret", "x", 1, now=NOW)) == "unknown-secret"
    assert code_of(lambda: vault.restore("secret", "s", 9, now=NOW)) == "unknown-revision"
    assert code_of(lambda: vault.get("secret", "../x")) == "bad-name"
    assert code_of(lambda: vault.put("secret", "x", {}, b"", now=NOW)) == "value-size"


def test_revisions(vault: Vault) -> None:
    """A value, or another meta, is a new revision; the same meta is none; ten are kept, the value goes along."""
    vault.put("secret", "s", {"n": 0}, b"v0", now=NOW)
    assert vault.put("secret", "s", {"n": 0}, now=NOW + 9).revision == 1
    assert vault.put("secret", "s", {"n": 1}, now=NOW).revision == 2
    assert vault.value("secret", "s").expose() == b"v0"
    for number in range(2, 15):
        vault.put("secret", "s", {"n": number}, b"v%d" % number, now=NOW)
    assert [r.revision for r in vault.history("secret", "s")] == list(range(15, 5, -1))
    assert vault.value("secret", "s", 6).expose() == b"v5"
    assert code_of(lambda: vault.value("secret", "s", 5)) == "unknown-revision"


def test_restore_and_rename(world: World) -> None:
    """An old value comes back as a new revision; a renamed record keeps its history and leaves nothing behind."""
    with world.open() as vault:
        vault.put("secret", "old", {"n": 1}, b"one", now=NOW)
        vault.put("secret", "old", {"n": 2}, b"two", now=NOW + 1)
        assert vault.restore("secret", "old", 1, now=NOW + 2).revision == 3
        moved = vault.rename("secret", "old", "new/name", now=NOW + 3)
        assert (moved.revision, moved.meta, moved.created) == (4, {"n": 1}, NOW + 3)
        assert vault.get("secret", "old") is None
        assert vault.names("secret") == ["new/name"]
    kept = [(4, {"n": 1}, b"one"), (3, {"n": 1}, b"one"), (2, {"n": 2}, b"two"), (1, {"n": 1}, b"one")]
    assert world.contents() == {("secret", "new/name"): kept}


def test_a_rename_is_written_with_what_names_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write fails, nothing was renamed; else name and namers are of one generation."""
    world.fill()
    names: list[Row] = [("connection", "api", {"uses": "t"}, None), ("connection", "more", {"uses": "t"}, None)]
    before = world.contents()
    insert = Store.insert
    for good in range(8):  # two parts of each of three revisions, and two connections
        written: list[PartRow] = []

        def fail(self: Store, row: PartRow, good: int = good, written: list[PartRow] = written) -> None:
            written.append(row)
            if len(written) > good:
                raise KvError("disk-full")
            insert(self, row)

        with world.open() as vault, monkeypatch.context() as patch:
            patch.setattr(Store, "insert", fail)
            assert code_of(lambda: vault.rename("secret", "s/0", "t", now=NOW, also=names)) == "disk-full"
            assert vault.names("secret") == ["s/0", "s/1", "s/2"]
        assert world.contents() == before, good
    with world.open() as vault:
        generation = vault.generation
        vault.rename("secret", "s/0", "t", now=NOW, also=names)
        assert vault.generation == generation + 1
        assert vault.names("connection") == ["api", "more"]


def test_put_many_is_all_or_nothing(world: World) -> None:
    """One bad row of an import, and none is written."""
    with world.open() as vault:
        vault.names("secret")
        good: Row = ("secret", "a", {}, b"v")
        bad: Row = ("secret", "b", {"x": "y" * (1 << 20)}, b"v")
        generation = vault.generation
        assert code_of(lambda: vault.put_many([good, bad], now=NOW)) == "too-large"
        assert (vault.names("secret"), vault.generation) == ([], generation)
        records = vault.put_many([good, ("secret", "b", {}, b"w"), ("secret", "a", {}, b"again")], now=NOW)
        assert [(r.name, r.revision) for r in records] == [("a", 1), ("b", 1), ("a", 2)]
    assert set(world.contents()) == {("secret", "a"), ("secret", "b")}


def test_lists(world: World) -> None:
    """Names are sorted and stay true through changes; every kept value of every secret is given for scanning."""
    world.fill()
    with world.open() as vault:
        assert vault.names("secret") == ["s/0", "s/1", "s/2"]
        vault.put("secret", "a", {}, b"v", now=NOW)
        vault.rename("secret", "s/1", "z", now=NOW)
        vault.delete("secret", "s/2")
        assert vault.names("secret") == ["a", "s/0", "z"] == sorted(r.name for r in vault.records("secret"))
        assert vault.count("secret") == 3
        found = {name: [r.revision for r in vault.history("secret", name)] for name in vault.names("secret")}
        assert found == {"a": [1], "s/0": [2, 1], "z": [3, 2, 1]}
        assert vault.value("secret", "s/0", 1).expose() == b"value 1 of 0"


def test_lists_over_many_pages(vault: Vault) -> None:
    """Batches of rows leave no record out and give none twice."""
    rows: list[Row] = [("secret", f"n{number}", {}, b"v%d" % number) for number in range(700)]
    vault.put_many(rows, now=NOW)
    assert sorted(r.name for r in vault.records("secret")) == sorted(row[1] for row in rows)


def test_generation(world: World) -> None:
    """Every change counts one generation further, and it is there after the next unlock."""
    with world.open() as vault:
        first = vault.generation
        vault.put("secret", "a", {}, b"v", now=NOW)
        vault.delete("secret", "a")
        vault.seal_audit_head(b"head")
        assert vault.generation == first + 3
    with world.open() as vault:
        assert (vault.generation, vault.audit_head) == (first + 3, b"head")
        with pytest.raises(ValueError, match="127"):
            vault.seal_audit_head(bytes(128))
        assert (vault.generation, vault.audit_head) == (first + 3, b"head")


def test_older_is_read_only(world: World) -> None:
    """A file older than the one seen opens, says so, refuses every change, and stays as it is on disk."""
    world.fill()
    with world.open() as vault:
        generation = vault.generation
    before = world.path.read_bytes()
    with world.open(seen=generation + 1) as vault:
        assert vault.read_only
        assert vault.value("secret", "s/0").expose() == b"value 2 of 0"
        for act in (
            lambda: vault.put("secret", "a", {}, b"v", now=NOW),
            lambda: vault.delete("secret", "s/0"),
            lambda: vault.rename("secret", "s/0", "t", now=NOW),
            lambda: vault.seal_audit_head(b""),
            lambda: vault.replace_slot("recovery", vault.public_slot("recovery")),
        ):
            assert code_of(act) == "vault-older"
    assert world.path.read_bytes() == before
    with world.open(seen=generation + 1, accept_older=True) as vault:
        assert not vault.read_only
        vault.put("secret", "a", {}, b"v", now=NOW)
    with world.open(seen=generation) as vault:
        assert not vault.read_only


def test_closed(world: World) -> None:
    """A closed vault is locked for everything, and closing it again is nothing."""
    vault = world.open()
    recovery = vault.public_slot("recovery")
    vault.close()
    vault.close()
    for act in (
        lambda: vault.get("secret", "a"),
        lambda: vault.put("secret", "a", {}, b"v", now=NOW),
        lambda: vault.names("secret"),
        lambda: vault.subkey("audit"),
        lambda: vault.records("secret"),
        lambda: vault.replace_slot("recovery", recovery),
    ):
        assert code_of(act) == "locked"


def test_one_file_at_rest(world: World) -> None:
    """While open there is a log beside the vault; closed, the vault is one file that holds everything."""
    with world.open() as vault:
        vault.put("secret", "a", {}, b"v", now=NOW)
        assert (world.path.parent / "vault.kv-wal").exists()
        assert not (world.path.parent / "vault.kv-shm").exists()
    assert [each.name for each in world.path.parent.iterdir()] == ["vault.kv"]
    assert world.path.stat().st_size % 4096 == 0


def test_passphrase_change(world: World) -> None:
    """A new passphrase opens, the old one does not, and no record was rewritten."""
    new = b"ninety violet stampede 7 under oath"
    world.fill()
    with world.open() as vault:
        rows = stored_rows(vault)
        assert code_of(lambda: seal_slot(world.root, vault.id, "passphrase", b"123456", FLOOR)) == "weak-passphrase"
        vault.replace_slot("passphrase", seal_slot(world.root, vault.id, "passphrase", new, FLOOR))
        assert stored_rows(vault) == rows
    assert code_of(lambda: Vault.open(world.path, Passphrase(PASSPHRASE))) == "wrong-passphrase"
    Vault.open(world.path, Passphrase(new)).close()


def test_new_recovery(world: World) -> None:
    """A new recovery code replaces the one before."""
    with world.open() as vault:
        slot, code = seal_recovery(world.root, vault.id)
        vault.replace_slot("recovery", slot)
    assert code_of(lambda: Vault.open(world.path, Recovery(world.code))) == "wrong-recovery"
    Vault.open(world.path, Recovery(code)).close()


def test_slot_by_a_client(world: World) -> None:
    """A slot that a client opened and sealed anew is stored by the keeper, which saw no passphrase."""
    public = read_slot(world.path)
    with world.open() as vault:
        assert vault.public_slot() == public
        assert type(public).from_wire(public.as_wire()) == public
        with open_slot(public, PASSPHRASE) as root:
            slot = seal_slot(root, public.vault, "passphrase", b"plain octave 33 of marzipan", FLOOR)
            vault.replace_slot("passphrase", type(slot).from_wire(slot.as_wire()))
            foreign, _ = seal_recovery(root, bytes(16))
            assert code_of(lambda: vault.replace_slot("recovery", foreign)) == "vault-damaged"
            assert code_of(lambda: vault.replace_slot("recovery", slot)) == "vault-damaged"
    Vault.open(world.path, Passphrase(b"plain octave 33 of marzipan")).close()


def test_subkeys(world: World) -> None:
    """Subkeys are the same at every unlock, differ by label, come from the root key, and end with their `with`."""
    with world.open() as vault, vault.subkey("audit") as audit, vault.subkey("proofs") as proofs:
        with world.root.subkey("proofs") as same:
            assert bytes(proofs) == bytes(same)
        assert bytes(audit) != bytes(proofs)
        assert len(audit) == 32
    with pytest.raises(ValueError, match="released"):
        bytes(audit)
    with pytest.raises(ValueError, match="label"), world.root.subkey("records"):  # type: ignore[arg-type]
        pass


def test_keys_are_unprintable(world: World) -> None:
    """A key has no text, no order, no pickle; a root key that was closed gives nothing."""
    assert repr(world.root) == f"{world.root}" == "<RootKey>"
    with pytest.raises(TypeError):
        assert world.root == world.root
    with pytest.raises(TypeError):
        pickle.dumps(world.root)
    root = RootKey.take(bytearray(range(32)))
    root.close()
    with pytest.raises(ValueError, match="released"), root.subkey("audit"):
        pass
    source = bytearray(range(32))
    RootKey.take(source)
    assert source == bytes(32)
    with pytest.raises(ValueError, match="32"):
        RootKey.take(bytearray(31))
    assert "giraffe" not in repr(Passphrase(PASSPHRASE)) + repr(Recovery("giraffe"))


def test_open_twice(world: World) -> None:
    """One vault is open once: a second opening, and a reading of its slots, are told that it is busy."""
    with world.open():
        assert code_of(world.open) == "vault-busy"
        assert code_of(lambda: read_slot(world.path)) == "vault-busy"
    world.open().close()


def test_nothing_readable_on_disk(world: World) -> None:
    """Names, values and metadata are nowhere in the file, also not after they were removed."""
    with world.open() as vault:
        vault.put("secret", "prod/VISIBLE_NAME", {"note": "visible note"}, b"visible value", now=NOW)
        vault.put("secret", "gone/NAME", {}, b"gone value", now=NOW)
        files = [each.read_bytes() for each in world.path.parent.iterdir()]
        vault.delete("secret", "gone/NAME")
        assert contents(vault)
    for data in [*files, world.path.read_bytes()]:
        for text in (b"VISIBLE", b"visible", b"gone", b"secret"):
            assert text not in data


def test_deleted_rows_are_overwritten(world: World) -> None:
    """A deleted record's sealed bytes are gone from the file: who gets the key later finds nothing to open."""
    world.fill()
    with world.open() as vault:
        sealed = [row.sealed for row in stored_rows(vault)]
        for name in vault.names("secret"):
            vault.delete("secret", name)
        vault.delete("connection", "api")
    data = world.path.read_bytes()
    assert not [each for each in sealed if each[:32] in data]
