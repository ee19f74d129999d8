"""How the answers of queries and commands are printed: what was asked for on stdout, all about it on stderr."""

from __future__ import annotations

import sys

from kv.errors import OK, UPSTREAM, clean
from kv.hot.result import as_value, counted, note, print_json, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kv.client import Answer

_ABOUT = ("untrusted", "source", "redactions", "failed")  # of an answer's members, what `--json` repeats


def show_query(answer: Answer, *, as_json: bool, form: str) -> int:
    """Print the answer of `query`; return the exit status: 8 where the server refused the statement."""
    ok = answer.ok
    document = as_value(answer.body, ok)
    status = UPSTREAM if ok.get("failed") else OK
    if as_json:
        about = {name: ok[name] for name in _ABOUT if name in ok and (name != "redactions" or ok[name])}
        whole = document if isinstance(document, dict) else {"value": document}
        print_json({**whole, **({"truncated": True} if ok.get("truncated") else {}), **about})
        return status
    if isinstance(document, dict) and isinstance(refusal := document.get("error"), dict):
        _refused(refusal)
    elif isinstance(document, dict) and "columns" in document:
        _rows(answer, document, form or "table")
    elif isinstance(document, dict) and "tables" in document and form != "json":
        from kv.hot.grid import schema_lines

        shown = schema_lines(document)
        _write("".join(f"{line}\n" for line in shown))
        _facts(ok, ["more tables are not shown" if document.get("truncated") else "" if shown else "no such table"])
    else:
        _write(answer.body.decode("utf-8", "replace") + "\n")
        _facts(ok, [])
    return status


def show_command(answer: Answer, *, as_json: bool) -> int:
    """Print the answer of `ssh`, of a command; return its exit status."""
    from kv.hot.ssh import Output, exit_status

    ok, at = answer.ok, int(str(answer.ok["stdout"]))
    if as_json:
        parts = {"stdout": answer.body[:at], "stderr": answer.body[at:]}
        print_json({**ok, **{name: as_value(part, {}) for name, part in parts.items()}})
        return exit_status(ok)
    with Output() as output:
        output("stdout", answer.body[:at])
        output("stderr", answer.body[at:])
    late = "hung up after the time allowed" if ok.get("may_go_on") else "ended there when its time was up"
    facts = [late if ok.get("timed_out") else ""]
    facts += [f"ended by SIG{ok['signal']}" if ok.get("signal") else ""]
    facts += ["the command may go on there" if ok.get("may_go_on") else ""]
    if ok.get("truncated") and (ok.get("timed_out") or ok.get("signal")):
        facts.append("what it said last is not shown")
        ok = {**ok, "truncated": False}
    _facts(ok, list(filter(None, facts)))
    return exit_status(ok)


def _rows(answer: Answer, document: dict[str, object], form: str) -> None:
    from kv.hot.grid import Grid

    grid = Grid(document)
    _write(grid.write(form) if grid.names or form == "json" else "")
    facts = [counted(len(grid.rows), "row")] if grid.names else []
    affected = grid.facts.get("affected")
    if isinstance(affected, int):
        facts.append(f"{counted(affected, 'row')} affected")
    if grid.facts.get("rolled_back"):
        facts.append("rolled back: a dry run")
    if grid.facts.get("truncated"):
        facts.append("there are more: --max-rows, --max-bytes or --save")
    _facts(answer.ok, facts)


def _refused(refusal: dict[str, object]) -> None:
    """The server's own words, cleaned: they are the other side's."""
    where = f" (at character {refusal['position']})" if refusal.get("position") else ""
    text = clean(str(refusal.get("message", "")), limit=2000)
    note(f"the server refuses the statement: {text} [{clean(str(refusal.get('sqlstate', '')))}]{where}")
    for label in ("detail", "hint"):
        if refusal.get(label):
            note(f"    {label}: {clean(str(refusal[label]), limit=2000)}")


def _facts(ok: dict[str, object], facts: list[str]) -> None:
    if redactions := ok.get("redactions"):
        facts.append(counted(redactions, "redaction"))
    if ok.get("truncated"):
        facts.append("cut at the size limit")
    note("   ".join(filter(None, facts)))


def _write(text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    sys.stdout.buffer.write(printable(data) if sys.stdout.isatty() else data)
    sys.stdout.buffer.flush()
