"""The arguments of a query, from a command line: what `kv query`, `kv schema` and `kv explain query` share.

Rules of this file
- It only spells the request; what may be sent is judged by the keeper, by the same function for every client.
- An option that would do nothing here is refused: it was meant to do something.
- A file's rows travel as the frame's body, and so does nothing else.
"""

from __future__ import annotations

from kv.errors import KvError
from kv.hot.request import Call, read_input, shared, stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kv.hot.arguments import Arguments, Table

_COMMON: Table = {
    "--select": ("select", "JMESPATH", "print only this part of the answer, as JSON"),
    **shared("read at most N bytes of the answer (1 MiB)", "give up on the statement after this long (30)"),
}
OPTIONS: Table = {
    "--file": ("file", "FILE", "take the statement from a file; - is standard input"),
    "-p": ("param", "VALUE…", "the value of the next parameter ($1 or ?); repeat for more"),
    "--params": ("params", "JSON", "all of them as a JSON list: numbers, texts, true, null"),
    "--mode": ("mode", "read|write", "write performs what changes something, after a yes (read)"),
    "--dry-run": ("dry_run", "", "perform it, tell what it did, and roll it back"),
    "--max-rows": ("max_rows", "N", "read at most N rows (1000)"),
    "--format": ("format", "FORM", "table, json, jsonl, csv or markdown; of a file csv, jsonl or json"),
    "--save": ("save", "FILE", "write the rows to a new file below this folder instead"),
    "--load": ("load", "FILE", "add a file's rows (CSV with a head line, or .jsonl) to --table"),
    "--table": ("table", "NAME", "the table that --load fills"),
    "--columns": ("columns", "A,B", "its columns, where the file's first line does not name them"),
    **_COMMON,
}
SCHEMA_OPTIONS: Table = {
    "--schema": ("schema", "NAME", "the tables of this schema"),
    "--format": ("format", "FORM", "text or json"),
    **_COMMON,
}
_FORMATS = ("table", "json", "jsonl", "csv", "markdown")
_OF_A_STATEMENT = ("file", "save", "params", "mode", "max_rows")  # what a load has no use for
_MAX_SQL = 1 << 20  # bytes: the keeper's bound; more is not read


def build(found: Arguments) -> Call:
    """The query that the command line spells. Raises `KvError("usage" | "too-large" | "disk")`."""
    if not found.words:
        raise KvError("usage", why="say which database: kv query CONNECTION 'SELECT …'; kv query --help shows how")
    args: dict[str, object] = {"connection": found.words[0], **stated(found, "select")}
    form = found.get("format")
    if form is not None and form not in _FORMATS:
        raise KvError("usage", why=f"--format is one of {', '.join(_FORMATS)}")
    if (name := found.get("load")) is not None:
        return _load(found, args, name)
    if found.get("table") is not None or found.get("columns") is not None:
        raise KvError("usage", why="--table and --columns go with --load FILE")
    args |= {"sql": _sql(found), **_params(found)}
    if (mode := found.get("mode")) is not None:
        args["mode"] = mode
    if found.on("dry_run"):
        args["dry_run"] = True
    if (rows := found.number("max_rows", int)) is not None:
        args["max_rows"] = rows
    if (path := found.get("save")) is not None:
        args["save"] = path
        if form is not None:
            args["format"] = _of_a_file(form, "a file is saved as csv, jsonl or json")
    return Call(args, b"")


def build_schema(found: Arguments) -> Call:
    """The question for a schema. Raises `KvError("usage")`."""
    if not 1 <= len(found.words) <= 2:  # noqa: PLR2004 - a connection, and perhaps a table
        raise KvError("usage", why="say which database: kv schema CONNECTION [TABLE]")
    if found.get("format") not in {None, "text", "json"}:
        raise KvError("usage", why="--format of a schema is text or json")
    args: dict[str, object] = {"connection": found.words[0], "act": "schema", **stated(found, "select")}
    schema, _, table = (found.words[1] if len(found.words) > 1 else "").rpartition(".")
    schema = found.get("schema") or schema
    args |= {name: value for name, value in (("schema", schema), ("table", table)) if value}
    return Call(args, b"")


def _sql(found: Arguments) -> str:
    file, words = found.get("file"), found.words[1:]
    if (file is not None) == bool(words) or len(words) > 1:
        raise KvError("usage", why="give one statement, in quotes, or --file FILE, or - for standard input")
    source = f"@{file}" if file not in {None, "-"} else "-"
    if file is None and words != ["-"]:
        return words[0]
    data = read_input(source)
    if len(data) > _MAX_SQL:
        raise KvError("too-large", argument="sql", limit="1 MiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise KvError("usage", why="the statement is not UTF-8") from None


def _params(found: Arguments) -> dict[str, object]:
    texts, written = found.all("param"), found.get("params")
    if texts and written is not None:
        raise KvError("usage", why="give -p or --params, not both")
    if written is None:
        return {"params": texts} if texts else {}
    import json

    try:
        values = json.loads(written)
    except ValueError:
        raise KvError("usage", why="--params is a JSON list") from None
    if not isinstance(values, list):
        raise KvError("usage", why="--params is a JSON list")
    return {"params": values}


def _of_a_file(form: str, why: str, forms: tuple[str, ...] = ("csv", "jsonl", "json")) -> str:
    if form not in forms:
        raise KvError("usage", why=why)
    return form


def _load(found: Arguments, args: dict[str, object], name: str) -> Call:
    table = found.get("table")
    stray = [f"--{each.replace('_', '-')}" for each in _OF_A_STATEMENT if found.get(each) is not None]
    stray += ["-p"] if found.all("param") else []
    if table is None or len(found.words) > 1 or stray:
        beside = f", not with {stray[0]}" if stray else ""
        raise KvError("usage", why=f"--load FILE goes with --table NAME and no statement{beside}")
    form = found.get("format") or ("jsonl" if name.endswith((".jsonl", ".ndjson")) else "csv")
    _of_a_file(form, "--load takes csv or jsonl", ("csv", "jsonl"))
    args |= {"act": "load", "table": table, "format": form}
    if (columns := found.get("columns")) is not None:
        args |= {"columns": [column.strip() for column in columns.split(",")], "header": False}
    if found.on("dry_run"):
        args["dry_run"] = True
    return Call(args, read_input("-" if name == "-" else f"@{name}"))
