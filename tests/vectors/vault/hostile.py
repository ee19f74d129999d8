"""What an enemy without a key does to a vault's file, its slots, its records and its head."""

# ruff: noqa: S608 - the statements are the vectors

from __future__ import annotations

from typing import TYPE_CHECKING

from vectors.vault.bases import PASSPHRASE
from vectors.vault.forge import Forge
from vectors.vault.vector import HIDDEN, INSIDE, Edit, Vector, at, blob, flip, literal, sql

from kv.vault.format import META, VALUE

if TYPE_CHECKING:
    from vectors.vault.bases import Base


def hostile_files(plain: Base) -> list[Vector]:
    """What SQLite's own header and schema may not say."""
    size = len(plain.data)
    pages = size // 4096
    foreign, damaged, version = "vault-foreign", "vault-damaged", "vault-version"
    rows: list[tuple[str, str, list[Edit], str]] = [
        ("magic", "SQLite's magic is changed", [at(0, b"SQLite format 4\0")], foreign),
        ("application", "another program's application id", [at(68, b"kvAu")], foreign),
        ("empty-file", "nothing at all", [{"truncate": 0}], foreign),
        ("stub", "half of SQLite's header", [{"truncate": 50}], foreign),
        ("user-version", "a later format, by the user version", [at(60, (2).to_bytes(4, "big"))], version),
        ("header-format", "a later format, by the header's row", [sql("UPDATE header SET format = 2")], version),
        ("page-size", "pages of another size", [at(16, (8192).to_bytes(2, "big"))], damaged),
        ("reserved-bytes", "bytes reserved in each page", [at(20, b"\x20")], damaged),
        ("change-counter", "the header's page count is out of date", [at(92, b"\0\0\0\0")], damaged),
        ("page-count", "the header counts a page less", [at(28, (pages - 1).to_bytes(4, "big"))], damaged),
        ("cut-byte", "the last byte is missing", [{"truncate": size - 1}], damaged),
        ("cut-page", "the last page is missing", [{"truncate": size - 4096}], damaged),
        ("cut-half", "half of the pages are missing", [{"truncate": pages // 2 * 4096}], damaged),
        ("trailing-byte", "a byte after the end", [{"append": "00"}], damaged),
        ("trailing-page", "a page after the end", [{"append": "00" * 4096}], damaged),
        ("extra-table", "a table more", [sql("CREATE TABLE extra (x)")], damaged),
        ("extra-view", "a view", [sql("CREATE VIEW extra AS SELECT * FROM slots")], damaged),
        ("extra-index", "an index", [sql("CREATE INDEX extra ON records (tag)")], damaged),
        (
            "extra-trigger",
            "a trigger that would take the slots away at the next write",
            [sql("CREATE TRIGGER extra AFTER INSERT ON records BEGIN DELETE FROM slots; END")],
            damaged,
        ),
        ("extra-column", "a column more", [sql("ALTER TABLE records ADD COLUMN x")], damaged),
        ("statistics", "SQLite's own table of statistics", [sql("ANALYZE")], damaged),
        ("no-head-table", "the head's table is missing", [sql("DROP TABLE head")], damaged),
        (
            "schema-text",
            "the schema's text is another, the rows are the same",
            [
                sql("UPDATE sqlite_schema SET sql = replace(sql, 'tag BLOB NOT NULL', 'tag BLOB NOT  NULL')"),
            ],
            damaged,
        ),
        ("header-magic", "the header's row says something else", [sql("UPDATE header SET magic = 'kv volt'")], damaged),
        ("no-header", "the header's row is missing", [sql("DELETE FROM header")], damaged),
        ("vault-id-size", "a vault id of 15 bytes", [sql("UPDATE header SET vault = zeroblob(15)")], damaged),
    ]
    found = [Vector(f"file-{name}", title, "plain", edits, {"*": code}) for name, title, edits, code in rows]
    return [*found, cells_out_of_order(plain)]


def cells_out_of_order(plain: Base) -> Vector:
    """The one that reading the slots does not come across."""
    title = "a row that a walk shows and a search misses"
    return Vector("file-cells-out-of-order", title, "plain", [swap_cells(plain)], {"*": "vault-damaged", "slot": "ok"})


def swap_cells(base: Base) -> Edit:
    """Swap the first and the last cell of the fullest leaf of a table (fileformat2, section 1.6)."""
    leaves = [at for at in range(4096, len(base.data), 4096) if base.data[at] == 0x0A]  # a leaf of an index b-tree
    page = max(leaves, key=lambda at: base.data[at + 4])
    first, last = page + 8, page + 8 + 2 * (base.data[page + 4] - 1)
    pointers = base.data[first : last + 2]
    return at(first, pointers[-2:] + pointers[2:-2] + pointers[:2])


def hostile_slots(bases: dict[str, Base]) -> list[Vector]:
    """What the slots may not say."""
    found = []

    def add(name: str, title: str, edit: str | list[Edit], expect: dict[str, str], **keys: str) -> None:
        edits = [sql(edit)] if isinstance(edit, str) else edit
        found.append(Vector(f"slot-{name}", title, "plain", edits, {"*": "vault-damaged", **expect}, keys))

    kdf = {"passphrase": "vault-kdf", "slot": "vault-kdf"}
    for column, low, high in (("memory", 65535, 1048577), ("passes", 2, 11), ("lanes", 3, 9)):
        for value, side in ((low, "below the floor"), (high, "above the ceiling")):
            edit = f"UPDATE slots SET {column} = {value} WHERE kind = 1"
            add(f"{column}-{side.split()[0]}", f"{column} {side}", edit, kdf)
    add(
        "recovery-below",
        "the recovery slot's memory below the floor",
        "UPDATE slots SET memory = 8 WHERE kind = 2",
        {"recovery": "vault-kdf", "slot": "ok"},
    )
    wrong = {"passphrase": "wrong-passphrase", "slot": "wrong-passphrase"}
    add("costs-raised", "other costs within bounds", "UPDATE slots SET passes = 4 WHERE kind = 1", wrong)
    (row,) = (row for row in Forge(bases["plain"]).slots() if row.kind == 1)
    for column in ("salt", "nonce", "sealed"):
        flipped = blob(flip(getattr(row, column)))
        add(
            f"{column}-flipped",
            f"a bit of the {column}",
            f"UPDATE slots SET {column} = {flipped} WHERE kind = 1",
            wrong,
        )
    add("salt-size", "a salt of 15 bytes", "UPDATE slots SET salt = zeroblob(15) WHERE kind = 1", {})
    add("public", "public data where there is none", "UPDATE slots SET public = x'00' WHERE kind = 1", {})
    add("salt-as-text", "a salt that is a text", "UPDATE slots SET salt = '0123456789abcdef' WHERE kind = 1", {})
    add("number-type", "memory as a fraction", "UPDATE slots SET memory = 65536.5 WHERE kind = 1", {})
    add("dropped", "the passphrase's slot is missing", "DELETE FROM slots WHERE kind = 1", {})
    add("recovery-dropped", "the recovery slot is missing", "DELETE FROM slots WHERE kind = 2", {"slot": "ok"})
    twice = (
        "INSERT INTO slots SELECT 3, kind, memory, passes, lanes, salt, public, nonce, sealed FROM slots WHERE id = 1"
    )
    add("twice", "two slots for a passphrase", twice, {})
    add(
        "kinds-exchanged",
        "the two slots are taken for each other",
        "UPDATE slots SET kind = 3 - kind",
        {**wrong, "recovery": "wrong-recovery"},
    )
    more = [sql(f"INSERT INTO slots VALUES ({n}, 9, 0, 0, 0, x'', x'', zeroblob(24), x'')") for n in range(10, 41)]
    add("too-many", "33 slots", more, {})
    add("unknown-added", "a slot of an unknown kind that the head does not know", more[:1], {"slot": "ok"})
    add(
        "of-another-vault",
        "another vault's slot, with that vault's passphrase",
        replace_slot(bases["other"]),
        wrong,
        passphrase=PASSPHRASE,
    )
    add(
        "revoked",
        "the slot from before the passphrase was changed, with that passphrase",
        replace_slot(bases["older"]),
        {"slot": "ok"},
        passphrase=PASSPHRASE,
    )
    other_id = blob(bases["other"].rows("SELECT vault FROM header")[0][0])
    add(
        "vault-id",
        "another vault's id",
        f"UPDATE header SET vault = {other_id}",
        {**wrong, "recovery": "wrong-recovery"},
    )
    return found


def replace_slot(base: Base) -> list[Edit]:
    """Put the passphrase's slot of `base` in."""
    (row,) = (row for row in Forge(base).slots() if row.kind == 1)
    return [sql(f"REPLACE INTO slots VALUES ({', '.join(map(literal, row))})")]


def hostile_records(bases: dict[str, Base]) -> list[Vector]:
    """What can be done to rows without a key."""
    plain, forge = bases["plain"], Forge(bases["plain"])
    stripe, gone, big = (forge.id(b"secret", name) for name in (b"prod/STRIPE_KEY", b"gone", b"big"))
    found = []

    def add(name: str, title: str, *edits: str, expect: dict[str, str] = HIDDEN) -> None:
        found.append(Vector(f"record-{name}", title, "plain", [sql(edit) for edit in edits], expect))

    def where(record: bytes, number: int, part: int) -> str:
        return f"WHERE id = {blob(record)} AND revision = {number} AND part = {part}"

    def columns(base: Base, place: str) -> tuple[object, ...]:
        return base.rows(f"SELECT id, revision, part, nonce, tag, sealed FROM records {place}")[0]

    value, meta = where(stripe, 3, VALUE), where(stripe, 3, META)
    for name, column, place in (
        ("tag-flipped", 4, value),
        ("nonce-flipped", 3, value),
        ("value-flipped", 5, value),
        ("meta-flipped", 5, meta),
        ("meta-tag-flipped", 4, meta),
        ("id-flipped", 0, value),
    ):
        names = ("id", "revision", "part", "nonce", "tag", "sealed")
        flipped = blob(flip(columns(plain, place)[column]))  # type: ignore[arg-type]
        add(
            name,
            f"a bit of a record's {names[column]}",
            f"UPDATE records SET {names[column]} = {flipped} {place}",
            expect=INSIDE if names[column] in {"nonce", "sealed"} else HIDDEN,
        )
    for name, title, left, right in (
        ("revisions-swapped", "the values of two revisions are exchanged", value, where(stripe, 1, VALUE)),
        ("records-swapped", "the values of two records are exchanged", value, where(gone, 1, VALUE)),
    ):
        add(name, title, *swap(columns(plain, left), left, columns(plain, right), right))
    add("dropped", "a record is missing", f"DELETE FROM records WHERE id = {blob(gone)}")
    add("value-dropped", "a value is missing", f"DELETE FROM records {value}")
    add(
        "newest-dropped",
        "the newest revision is missing",
        f"DELETE FROM records WHERE id = {blob(stripe)} AND revision = 3",
    )
    add("all-dropped", "every record is missing", "DELETE FROM records")
    for name, title, base, record, number in (
        ("replayed", "a deleted record's revision 1 in place of its successor's", "older", gone, 1),
        ("forked", "revision 2 from a copy that went another way", "fork", stripe, 2),
    ):
        add(name, title, *(put(columns(bases[base], where(record, number, part))) for part in (META, VALUE)))
    (foreign,) = bases["other"].rows(
        "SELECT id, revision, part, nonce, tag, sealed FROM records WHERE part = 2 LIMIT 1"
    )
    add("of-another-vault", "a row of another vault", put(foreign))
    renamed = forge.id(b"secret", b"innocent")
    add(
        "renamed",
        "a record under another record's id",
        f"UPDATE records SET id = {blob(renamed)} WHERE id = {blob(big)}",
    )
    add("revision-moved", "a revision is given another number", f"UPDATE records SET revision = 4 {value}")
    these = f"WHERE id = {blob(gone)}"
    exchanged = (f"UPDATE records SET part = part + 2 {these}", f"UPDATE records SET part = 5 - part {these}")
    add("parts-exchanged", "meta and value change places", *exchanged)
    for each in ("id", "nonce", "tag", "sealed"):
        title = f"a record's {each} of the same bytes and another type"
        add(
            f"{each}-as-text",
            title,
            f"UPDATE records SET {each} = CAST({each} AS TEXT) {value}",
            expect=INSIDE if each in {"nonce", "sealed"} else HIDDEN,
        )
    add("revision-as-text", "a revision that is a word", f"UPDATE records SET revision = 'three' {value}")
    add("part-as-text", "a part that is a word", f"UPDATE records SET part = 'value' {value}")
    add("id-cut", "an id of 15 bytes", f"UPDATE records SET id = substr(id, 1, 15) {value}")
    add("tag-cut", "a tag of 15 bytes", f"UPDATE records SET tag = substr(tag, 1, 15) {value}")
    add("revision-fraction", "a revision that is no whole number", f"UPDATE records SET revision = 3.5 {value}")
    add("revision-zero", "revision 0", f"UPDATE records SET revision = 0 {value}")
    add("part-three", "a part that there is not", f"UPDATE records SET part = 3 {value}")
    add("huge", "a row of 3 MiB", f"UPDATE records SET sealed = zeroblob({3 << 20}) {value}", expect=INSIDE)
    add("emptied", "a sealed part without bytes", f"UPDATE records SET sealed = x'' {value}", expect=INSIDE)
    return found


def put(row: tuple[object, ...]) -> str:
    """The statement that puts a row in."""
    return f"REPLACE INTO records VALUES ({', '.join(map(literal, row))})"


def swap(left: tuple[object, ...], at_left: str, right: tuple[object, ...], at_right: str) -> list[str]:
    """The statements that exchange what two rows seal."""
    update = "UPDATE records SET nonce = {}, tag = {}, sealed = {} {}"
    return [
        update.format(*map(blob, right[3:]), at_left),
        update.format(*map(blob, left[3:]), at_right),
    ]


def hostile_heads(bases: dict[str, Base]) -> list[Vector]:
    """What the head may not be."""
    nonce, sealed = bases["plain"].rows("SELECT nonce, sealed FROM head")[0]
    found = []

    def add(name: str, title: str, edit: Edit) -> None:
        found.append(Vector(f"head-{name}", title, "plain", [edit], HIDDEN))

    add("flipped", "a bit of the head", sql(f"UPDATE head SET sealed = {blob(flip(sealed))}"))  # type: ignore[arg-type]
    add("nonce-flipped", "a bit of the nonce", sql(f"UPDATE head SET nonce = {blob(flip(nonce))}"))  # type: ignore[arg-type]
    add("dropped", "no head", sql("DELETE FROM head"))
    add("twice", "two heads", sql("INSERT INTO head SELECT 2, nonce, sealed FROM head"))
    for name, title in (
        ("older", "an earlier generation"),
        ("fork", "a copy that went another way"),
        ("other", "another vault"),
    ):
        row = bases[name].rows("SELECT nonce, sealed FROM head")[0]
        edit = f"UPDATE head SET nonce = {blob(row[0])}, sealed = {blob(row[1])}"
        add(f"of-{name}", f"the head of {title}", sql(edit))
    return found
