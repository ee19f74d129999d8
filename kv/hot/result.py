"""How a call's result is printed: the body on stdout, everything about it on stderr.

Rules of this file
- What came from outside is untrusted even after redaction: towards a terminal its control characters are
  replaced, or an answer could retitle the window, clear the screen, or type for the person who reads it.
- `--json` prints one object, the same for every outcome of a call.
"""

from __future__ import annotations

import sys

from kv.errors import OK, PENDING, UPSTREAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kv.client import Answer

_FAILED = 400  # HTTP: from here on the other side says no


def show(answer: Answer, *, as_json: bool, fail: bool, form: str = "") -> int:
    """Print the answer of a call, or of `wait`; return the exit status. `form` is how rows are to be written."""
    ok = answer.ok
    if "pending" in ok:
        return _pending(ok, as_json=as_json)
    if ok.get("verb") == "ssh" and "stdout" in ok:
        from kv.hot.answer import show_command

        return show_command(answer, as_json=as_json)
    if ok.get("verb") == "query" and "saved" not in ok:
        from kv.hot.answer import show_query

        return show_query(answer, as_json=as_json, form=form)
    if as_json:
        print_json({**ok, "body": as_value(answer.body, ok)})
    else:
        _plain(answer)
    status = ok.get("status")
    return UPSTREAM if fail and isinstance(status, int) and status >= _FAILED else OK


def _pending(ok: dict[str, object], *, as_json: bool) -> int:
    if as_json:
        print_json(ok)
    else:
        note(str(ok.get("say", "")))
    return PENDING


def _plain(answer: Answer) -> None:
    ok, out = answer.ok, sys.stdout.buffer
    body = answer.body
    out.write(printable(body) if sys.stdout.isatty() else body)
    if sys.stdout.isatty() and body and not body.endswith(b"\n"):
        out.write(b"\n")
    out.flush()
    facts = [f"HTTP {ok['status']}"] if "status" in ok else []
    if redactions := ok.get("redactions"):
        facts.append(counted(redactions, "redaction"))
    if ok.get("truncated"):
        facts.append("cut at the size limit")
    if isinstance(saved := ok.get("saved"), dict):
        facts.append(f"saved as {saved.get('path')}, {saved.get('bytes', 0):,} bytes")
    captured, uncaptured = ok.get("captured"), ok.get("uncaptured")
    for field, name in captured.items() if isinstance(captured, dict) else ():
        facts.append(f"{field} is {name}")
    if facts:
        note("   ".join(facts))
    if isinstance(uncaptured, dict):
        _withheld(uncaptured, ok.get("members"))


def _withheld(uncaptured: dict[str, object], members: object) -> None:
    """An answer in which a new credential was not found where it was said to be."""
    for field, why in uncaptured.items():
        note(f"no {field} was captured: {why}")
    told = ", ".join(map(str, members)) if isinstance(members, list) else ""
    note("the answer is withheld, since the new credential may stand anywhere in it; a person can revoke it there")
    note(f"members with text in it: {told or 'none that can be named'}")


def as_value(body: bytes, ok: dict[str, object]) -> object:
    """A body for `--json`: parsed if it is JSON, else text, else `{"base64": …}`."""
    if ok.get("form") == "json":
        import json

        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            pass  # cut at the size limit, or nested deeper than Python goes: then it is text
    try:
        return body.decode()
    except UnicodeDecodeError:
        from base64 import b64encode

        return {"base64": b64encode(body).decode()}


def printable(data: bytes) -> bytes:
    """`data` with every control character but newline and tab made visible as U+FFFD."""
    from kv.errors import clean

    lines = data.decode("utf-8", "replace").split("\n")
    return "\n".join(
        "\t".join(clean(part, limit=len(part) + 1) for part in line.split("\t")) for line in lines
    ).encode()


def counted(number: object, noun: str, nouns: str = "") -> str:
    """`1 secret`, `3 secrets`; `nouns` where an s does not make the plural."""
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    # Half a surrogate pair, which JSON can spell and UTF-8 cannot, is written as JSON spells it.
    print(text.encode("utf-8", "backslashreplace").decode(), flush=True)


def note(text: str) -> None:
    """A line about the result, on stderr."""
    if text:
        print(f"kv: {text}", file=sys.stderr, flush=True)
