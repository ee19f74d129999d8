"""The tools that an agent sees, as data, and the one way from a tool's arguments to a request. Pure.

Rules of this file
- No tool has a field for a value, so a model that was talked into it has nowhere to paste one.
- A tool's whole entry in `tools/list` stays within 500 characters: it is paid for in every conversation. So the schemas
  leave out types that a name makes plain; `check` knows them all.
- An argument that is not in the table is refused: what is ignored silently was meant to do something. A refusal names
  an argument of the table, never what was given, which may be a key that was pasted by mistake.
- What may be sent is judged by the keeper, as for every client; this only spells the request.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from kv.errors import KvError
from kv.hot.beneath import read_beneath

if TYPE_CHECKING:
    from collections.abc import Callable

_IN_HEADER = 64 << 10  # bytes of a body that still go into the frame's header; a longer one travels behind it
_TICKET = re.compile(r"[0-9A-Za-z]{1,16}")

# What each argument is, wherever it stands: the type that the schema shows ("" to stay short, where the name says it),
# the types that are taken, and the words of a refusal.
_KINDS: dict[str, tuple[str, tuple[type, ...], str]] = {
    "provider": ("string", (str,), "it is text: a name that kv_list shows"),
    "path": ("string", (str,), "it is text, as in /v1/charges"),
    "method": ("", (str,), "it is text, as in GET"),
    "query": ("", (dict, list), "it is an object, or a list of pairs"),
    "headers": ("object", (dict,), "it is an object of names and texts"),
    "body": ("", (object,), ""),  # any JSON, as {} says; its types by name would take kv_api past 500 characters
    "form": ("", (dict, list), "it is an object, or a list of pairs"),
    "base64": ("", (str,), "it is text: bytes in base64"),
    "capture": ("", (dict,), "it is an object: members of the answer, and the secret that each becomes"),
    "timeout": ("number", (int, float), "it is a number of seconds"),
    "max_bytes": ("", (int,), "it is a whole number of bytes"),
    "select": ("string", (str,), "it is text: a JMESPath expression"),
    "save": ("string", (str,), "it is text: a new file below the working folder"),
    "connection": ("string", (str,), "it is text: a name that kv_list shows"),
    "sql": ("string", (str,), "it is text: one statement"),
    "params": ("array", (list,), "it is a list of values"),
    "mode": ("", (str,), "it is read or write"),
    "max_rows": ("", (int,), "it is a whole number of rows"),
    "dry_run": ("boolean", (bool,), "it is true or false"),
    "schema": ("", (str,), "it is text"),
    "env": ("object", (dict,), "it is an object of names and texts"),
    "profile": ("string", (str,), "it is text: a command's name"),
    "arguments": ("object", (dict,), "it is an object of names and texts"),
    "act": ("string", (str,), "it is get, put or list"),
    "file": ("string", (str,), "it is text: a file below the working folder"),
    "overwrite": ("boolean", (bool,), "it is true or false"),
    "table": ("", (str,), "it is text"),
    "argv": ("array", (list,), "it is a list of words: a program and its arguments"),
    "secrets": ("array", (list,), "it is a list of names: NAME, or NAME=VARIABLE"),
    "cwd": ("", (str,), "it is text: a folder"),
    "stdin": ("string", (str,), "it is text"),
    "reason": ("", (str,), "it is text"),
    "prefix": ("string", (str,), "it is text"),
    "ticket": ("string", (str,), "it is text: a ticket as kv gave it"),
    "offset": ("integer", (int,), "it is a whole number, as in 'more'"),
}

_CALL = ("provider", "path", "method", "query", "headers", "body", "form", "base64")


class Tool(NamedTuple):
    """A row of `TOOLS`: the verb behind it, what it says, its arguments (`needed` first), its hints."""

    verb: str
    says: str
    arguments: tuple[str, ...]
    needed: int
    hints: dict[str, bool]

    def entry(self, name: str) -> dict[str, Any]:
        """The tool as `tools/list` shows it."""
        shown = {each: _KINDS[each][0] for each in self.arguments}
        properties = {each: {"type": kind} if kind else {} for each, kind in shown.items()}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if self.needed:
            schema["required"] = list(self.arguments[: self.needed])
        schema["additionalProperties"] = False
        return {"name": name, "description": self.says, "inputSchema": schema, "annotations": self.hints}


_LOOKS = {"readOnlyHint": True, "openWorldHint": False}

TOOLS: dict[str, Tool] = {
    "kv_api": Tool(
        "call",
        "HTTP call, the user's key",
        (*_CALL, "timeout", "max_bytes", "select", "save", "reason", "capture"),
        2,
        {"destructiveHint": True, "openWorldHint": True},
    ),
    "kv_query": Tool(
        "query",
        "One SQL statement on the user's database; mode read or write; params for $1 or ?",
        ("connection", "sql", "params", "mode", "max_rows", "max_bytes", "dry_run", "timeout", "save", "reason"),
        2,
        {"destructiveHint": True, "openWorldHint": True},
    ),
    "kv_schema": Tool(
        "schema",
        "Tables, columns, keys, indexes and row estimates of a database",
        ("connection", "table", "schema"),
        1,
        {"readOnlyHint": True, "openWorldHint": True},
    ),
    "kv_ssh": Tool(
        "ssh",
        "Run a command on the user's server; argv is words, not a shell line",
        ("connection", "argv", "stdin", "cwd", "env", "profile", "arguments", "timeout", "max_bytes", "reason"),
        1,
        {"destructiveHint": True, "openWorldHint": True},
    ),
    "kv_ssh_copy": Tool(
        "copy",
        "Copy a file from (get) or to (put) a server, or list a folder there",
        ("connection", "act", "path", "file", "overwrite", "timeout", "reason"),
        3,
        {"destructiveHint": True, "openWorldHint": True},
    ),
    "kv_explain": Tool(
        "explain",
        "What kv_api, with sql kv_query, with argv kv_ssh would do, and why",
        (*_CALL, "capture", "sql", "params", "mode", "argv"),
        1,
        _LOOKS,
    ),
    "kv_run": Tool(
        "run",
        "Run a program that needs secrets in its environment; without secrets use your own shell",
        ("argv", "secrets", "cwd", "stdin", "timeout", "reason"),
        2,
        {"destructiveHint": True, "openWorldHint": True},
    ),
    "kv_list": Tool("list", "Names of connections and secrets, never values", ("prefix",), 0, _LOOKS),
    "kv_status": Tool("status", "Whether the vault is unlocked, and what waits", (), 0, _LOOKS),
    # It looks: a call that a person approved goes on whether anybody waits for it or not.
    "kv_wait": Tool(
        "wait",
        "Result of a pending call, once; or, with the ticket and offset of 'more', the next part of a long result",
        ("ticket", "offset"),
        1,
        {"readOnlyHint": True, "openWorldHint": True},
    ),
}


class Request(NamedTuple):
    """What the keeper is asked."""

    verb: str
    args: dict[str, object]
    body: bytes = b""


def check(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of tool `name`, each of its type; null is as if left out. Raises `KvError("bad-argument")`."""
    tool = TOOLS[name]
    if not given.keys() <= set(tool.arguments):
        takes = f"takes {', '.join(tool.arguments)}" if tool.arguments else "takes none"
        raise KvError("bad-argument", argument="arguments", why=f"there is an unknown one; {name} {takes}")
    found = {each: value for each, value in given.items() if value is not None}
    if missing := [each for each in tool.arguments[: tool.needed] if each not in found]:
        raise KvError("bad-argument", argument=missing[0], why="it is missing")
    for each, value in found.items():
        _, types, words = _KINDS[each]
        is_other = isinstance(value, bool) and not {bool, object} & {*types}  # to Python, True is a number
        if is_other or not isinstance(value, types):
            raise KvError("bad-argument", argument=each, why=words)
    for each in ("argv", "secrets"):
        if not all(isinstance(word, str) for word in found.get(each, ())) or not found.get(each, ("",)):
            raise KvError("bad-argument", argument=each, why=_KINDS[each][2])
    if "ticket" in found and not _TICKET.fullmatch(found["ticket"]):
        raise KvError("bad-argument", argument="ticket", why=_KINDS["ticket"][2])
    return found


def request(name: str, found: dict[str, Any], wait: float) -> Request:
    """The request for checked arguments; a call is held for `wait` seconds. Raises `KvError`."""
    verb = TOOLS[name].verb
    return _MADE[verb](found, wait) if verb in _MADE else Request(verb, found)


def _api(found: dict[str, Any], wait: float) -> Request:
    args, body = _call(found)
    return Request("call", {**args, "wait": wait}, body)


def _explain(found: dict[str, Any], _: float) -> Request:
    if other := found.keys() & _OTHERS.keys():
        return _other(found, min(other))
    args, body = _call(found)
    return Request("explain", args, body)


def _ssh(found: dict[str, Any], wait: float) -> Request:
    stdin = str(found.pop("stdin", "")).encode()
    return Request("ssh", {**found, "wait": wait}, stdin)


# Of kv_explain: the argument that says which tool is meant, that tool's verb, and what goes with it.
_OTHERS = {"argv": ("explain-ssh", {"argv"}), "sql": ("explain-query", {"sql", "params", "mode"})}


def _other(found: dict[str, Any], what: str) -> Request:
    verb, fits = _OTHERS[what]
    if stray := found.keys() - {"provider", *fits}:
        raise KvError("bad-argument", argument=min(stray), why=f"it does not go with {what}")
    return Request(verb, {"connection": found["provider"], **{each: found[each] for each in found.keys() & fits}})


def _copy(found: dict[str, Any], wait: float) -> Request:
    act, file = found["act"], found.pop("file", "")
    if act not in {"get", "put", "list"}:
        raise KvError("bad-argument", argument="act", why=_KINDS["act"][2])
    if act == "list" and file:
        raise KvError("bad-argument", argument="file", why="it goes with get and put")
    if act != "put" and "overwrite" in found:
        raise KvError("bad-argument", argument="overwrite", why="it goes with put")
    args = {**found, "wait": wait}
    if act == "get":
        return Request("ssh", {**args, "save": file or str(found["path"]).rpartition("/")[2]})
    return Request("ssh", args, read_beneath(file) if act == "put" else b"")


def _call(found: dict[str, Any]) -> tuple[dict[str, object], bytes]:
    if stray := found.keys() & {"params", "mode"}:
        raise KvError("bad-argument", argument=min(stray), why="it goes with sql")
    if "path" not in found:
        raise KvError("bad-argument", argument="path", why="it is missing")
    method = {"method": found["method"].upper()} if "method" in found else {}
    args: dict[str, object] = {"connection": found["provider"], "path": found["path"], **method}
    args |= {each: found[each] for each in found.keys() - {"provider", "path", "method", "body", "form", "base64"}}
    given = [each for each in ("body", "form", "base64") if each in found]
    if len(given) > 1:
        raise KvError("bad-argument", argument=given[1], why="there is more than one body: give body, form or base64")
    if not given:
        return args, b""
    value = found[given[0]]
    if given == ["base64"]:
        return args, _bytes(value)
    if given == ["form"]:
        return _placed(args, "form", value, _form(value), "application/x-www-form-urlencoded")
    if isinstance(value, str):
        return _placed(args, "text", value, value.encode(), "text/plain; charset=utf-8")
    return _placed(args, "json", value, _compact(value), "application/json")


# verb of a tool: how its request is made, where it is more than its arguments
_MADE: dict[str, Callable[[dict[str, Any], float], Request]] = {
    "call": _api,
    "explain": _explain,
    "query": lambda found, wait: Request("query", {**found, "wait": wait}),
    "schema": lambda found, wait: Request("query", {**found, "act": "schema", "wait": wait}),
    "ssh": _ssh,
    "copy": _copy,
    "wait": lambda found, wait: Request("wait", {"ticket": found["ticket"], "wait": wait}),
}


def _placed(
    args: dict[str, object], name: str, value: object, data: bytes, kind: str
) -> tuple[dict[str, object], bytes]:
    """A body as an argument while it is short; else as the frame's body, with the content type that it would have."""
    if len(data) <= _IN_HEADER:
        return {**args, name: value}, b""
    headers = args.get("headers", {})
    if isinstance(headers, dict) and "content-type" not in {each.lower() for each in headers}:
        headers = {**headers, "content-type": kind}
    return {**args, "headers": headers}, data


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KvError("bad-argument", argument="base64", why="it is not base64") from None


def _form(form: dict[str, Any] | list[Any]) -> bytes:
    pairs = form.items() if isinstance(form, dict) else form
    try:
        flat = [(key, one) for key, held in pairs for one in (held if isinstance(held, list) else [held])]
        return urlencode([(key, one if isinstance(one, str) else json.dumps(one)) for key, one in flat]).encode()
    except (TypeError, ValueError):
        raise KvError("bad-argument", argument="form", why=_KINDS["form"][2]) from None


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
