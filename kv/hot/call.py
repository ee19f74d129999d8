"""The arguments of an HTTP request, from a command line: what `kv api` and `kv explain` share.

Rules of this file
- It only spells the request; what may be sent is judged by the keeper, by the same function for every client.
- Exactly one body: JSON, raw bytes or a form.
"""

from __future__ import annotations

from kv.errors import KvError
from kv.hot.request import Call, read_input, shared, stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kv.hot.arguments import Arguments, Table

OPTIONS: Table = {
    "--json-body": ("json_body", "TEXT|@FILE|-", "JSON body; @FILE reads a file, - standard input"),
    "-d": ("data", "TEXT|@FILE|-", "raw body, likewise"),
    "--data": ("data", "TEXT|@FILE|-", ""),
    "-f": ("form", "KEY=VALUE…", "form field; repeat for more"),
    "-q": ("query", "KEY=VALUE…", "query parameter; repeat for more"),
    "-H": ("header", "'NAME: VALUE'…", "request header; credentials are kv's to add"),
    "--select": ("select", "JMESPATH", "print only this part of a JSON answer"),
    "--capture": ("capture", "FIELD=NAME…", "a new credential in the answer: into the vault as NAME"),
    "--save": ("save", "FILE", "write the body to a new file below this folder instead"),
    **shared("read at most N bytes of the answer", "give up on the other side after this long"),
    "--fail": ("fail", "", "exit with status 8 when the answer is HTTP 400 or more"),
}

_IN_HEADER = 64 << 10  # bytes of JSON that still go into the frame's header; more travels as its body


def build(found: Arguments) -> Call:
    """The call that the command line spells. Raises `KvError("usage" | "too-large")`."""
    connection, method, path = _target(found.words)
    args: dict[str, object] = {"connection": connection, "method": method, "path": path}
    if pairs := found.all("query"):
        args["query"] = [_pair(pair, "=", "-q") for pair in pairs]
    if pairs := found.all("header"):
        args["headers"] = _headers(pairs)
    if pairs := found.all("capture"):
        args["capture"] = _once(_pair(pair, "=", "--capture") for pair in pairs)
    args |= stated(found, "select", "save")
    return Call(args, _body(found, args))


def _target(words: list[str]) -> tuple[str, str, str]:
    if len(words) == 2:  # noqa: PLR2004 - CONNECTION PATH: a GET, as with curl
        return words[0], "GET", words[1]
    if len(words) != 3:  # noqa: PLR2004 - CONNECTION METHOD PATH
        raise KvError("usage", why="say what to call: CONNECTION METHOD PATH; kv api --help shows how")
    return words[0], words[1].upper(), words[2]


def _pair(text: str, mark: str, option: str) -> list[str]:
    key, found, value = text.partition(mark)
    if not found or not key:
        raise KvError("usage", why=f"{option} takes KEY{mark}VALUE")
    return [key.strip(), value.strip()] if mark == ":" else [key, value]


def _once(pairs: Iterable[list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, name in pairs:
        if field in found:
            raise KvError("usage", why="--capture names a member of the answer once")
        found[field] = name
    return found


def _headers(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in pairs:
        name, value = _pair(text, ":", "-H")
        if name.lower() in {known.lower() for known in found}:
            raise KvError("usage", why="a header is given twice")
        found[name] = value
    return found


def _body(found: Arguments, args: dict[str, object]) -> bytes:
    given = [name for name in ("json_body", "data", "form") if (found.all(name) if name == "form" else found.get(name))]
    if len(given) > 1:
        raise KvError("usage", why="give one body: --json-body, --data or -f")
    if not given:
        return b""
    if given == ["form"]:
        args["form"] = [_pair(pair, "=", "-f") for pair in found.all("form")]
        return b""
    data = read_input(found.get(given[0]) or "")
    return data if given == ["data"] else _json(data, args)


def _json(data: bytes, args: dict[str, object]) -> bytes:
    import json

    try:
        value = json.loads(data)
    except ValueError:
        raise KvError("usage", why="--json-body is not JSON") from None
    if len(data) <= _IN_HEADER:
        args["json"] = value
        return b""
    headers = args.setdefault("headers", {})
    if isinstance(headers, dict) and "content-type" not in {str(name).lower() for name in headers}:
        headers["content-type"] = "application/json"
    return data
