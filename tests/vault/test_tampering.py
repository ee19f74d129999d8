"""Everything that an enemy with write access can do to a vault at rest: it opens as it was, or it is found out."""

# ruff: noqa: S311, S608 - damage needs no cryptography, and is done by SQL

from __future__ import annotations

import random
import sqlite3

import pytest
from vault.world import NOW, World, attempt, code_of, stored_rows, write

from kv.vault import head
from kv.vault.keys import Keys
from kv.vault.session import read_slot

DECLARED = {"", "vault-missing", "vault-foreign", "vault-version", "vault-damaged", "vault-kdf", "vault-busy", "disk"}


def _is_as_before(world: World, before: object) -> bool:
    """Whether the vault opens; if it does, then with all that was in it, and otherwise with a listed error."""
    found: list[object] = []
    code = attempt(lambda: found.append(world.contents()))
    assert code in DECLARED
    assert code or found == [before]
    return not code


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes(world: World, seed: int) -> None:
    """Random bytes are changed: the contents are the same to the last value, or the error is a listed one."""
    world.fill()
    before, whole = world.contents(), world.path.read_bytes()
    rng = random.Random(seed)
    refused = 0
    for _ in range(25):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 1, 2, 8, 64])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        write(world.path, bytes(data))
        for companion in world.path.parent.glob("vault.kv-*"):
            companion.unlink()
        assert attempt(lambda: read_slot(world.path)) in DECLARED
        refused += not _is_as_before(world, before)
    assert refused


@pytest.mark.parametrize("seed", range(4))
def test_flipped_structure(world: World, seed: int) -> None:
    """The same, aimed at SQLite's own: the file's header, the pages' headers and cell pointers, the schema's page."""
    world.fill()
    before, whole = world.contents(), world.path.read_bytes()
    rng = random.Random(seed + 100)
    for _ in range(30):
        data = bytearray(whole)
        page = rng.randrange(len(data) // 4096) * 4096
        at = rng.choice([rng.randrange(100), page + rng.randrange(40), rng.randrange(4096)])
        data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        write(world.path, bytes(data))
        for companion in world.path.parent.glob("vault.kv-*"):
            companion.unlink()
        _is_as_before(world, before)


def test_every_row_counts(world: World) -> None:
    """Each row dropped, each mark changed, each row brought back from before: found at unlock."""
    world.fill()
    with world.open() as vault:
        old = stored_rows(vault)
        vault.put("secret", "s/0", {"class": "low"}, b"newer", now=NOW)
        vault.delete("secret", "s/1")
    whole = world.path.read_bytes()
    with sqlite3.connect(world.path) as db:
        rows = db.execute("SELECT id, revision, part FROM records").fetchall()
    db.close()
    where = "WHERE id = x'{}' AND revision = {} AND part = {}"
    edits = [f"DELETE FROM records {where.format(r[0].hex(), r[1], r[2])}" for r in rows]
    edits += [f"UPDATE records SET tag = randomblob(16) {where.format(r[0].hex(), r[1], r[2])}" for r in rows]
    edits += [f"UPDATE records SET revision = 77 {where.format(r[0].hex(), r[1], r[2])}" for r in rows]
    back = [row for row in old if row[:3] not in {tuple(r) for r in rows}]
    assert back
    for row in back:
        blobs = ", ".join(f"x'{each.hex()}'" if isinstance(each, bytes) else str(each) for each in row)
        edits.append(f"INSERT INTO records VALUES ({blobs})")
    for statement in edits:
        write(world.path, whole)
        world.edit(statement)
        assert code_of(world.open) == "vault-damaged", statement
    write(world.path, whole)
    world.open().close()


def test_hidden_from_search(world: World) -> None:
    """A row that a walk shows but a search would miss (cells out of order in a page) is found at unlock."""
    world.fill(6)
    data = bytearray(world.path.read_bytes())
    swapped = 0
    for page in range(4096, len(data), 4096):
        cells = int.from_bytes(data[page + 3 : page + 5], "big")
        if data[page] == 0x0A and cells > 4:  # an index b-tree's leaf (fileformat2, section 1.6)
            first, last = page + 8, page + 8 + 2 * (cells - 1)
            data[first : first + 2], data[last : last + 2] = data[last : last + 2], data[first : first + 2]
            swapped += 1
    assert swapped
    write(world.path, bytes(data))
    assert code_of(world.open) == "vault-damaged"


def test_scan_demands_order(world: World) -> None:
    """The walk over all rows itself refuses rows out of order, doubled, or with a mark of another size."""
    keys = Keys(world.root)
    good = [(b"a" * 16, 1, 1, b"t" * 16), (b"a" * 16, 1, 2, b"t" * 16), (b"b" * 16, 1, 1, b"t" * 16)]
    count, digest = head.scan(keys, good)
    tally = head.Tally(keys)
    for row in good:
        tally.add(row)
    assert (count, int.from_bytes(digest, "big")) == (3, tally.sum % (1 << 256))
    for bad in (good[::-1], [good[0], good[0]], [good[1], good[0]], [(b"a" * 16, 1, 1, b"t" * 15)]):
        assert code_of(lambda bad=bad: head.scan(keys, bad)) == "vault-damaged"  # type: ignore[misc]
    keys.close()


def test_digest_does_not_depend_on_history(world: World) -> None:
    """The digest that changes kept up is the one that an unlock computes: after adding, pruning, moving, removing."""
    with world.open() as vault:
        for number in range(40):
            vault.put("secret", f"n{number % 3}", {"n": number}, b"v", now=NOW)
        vault.rename("secret", "n1", "m", now=NOW)
        vault.delete("secret", "n2")
        vault.restore("secret", "m", vault.history("secret", "m")[-1].revision, now=NOW)
        keys = vault._keys
        assert head.scan(keys, vault._store.marks()) == (vault._head.rows, vault._head.digest)
    world.open().close()
