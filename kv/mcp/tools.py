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
from typing import Any, NamedTuple
from urllib.parse import urlencode

from kv.errors import KvError

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
    "timeout": ("number", (int, float), "it is a number of seconds"),
    "max_bytes": ("integer", (int,), "it is a whole number of bytes"),
    "select": ("string", (str,), "it is text: a JMESPath expression"),
    "save": ("string", (str,), "it is text: a new file below the working folder"),
    "argv": ("array", (list,), "it is a list of words: a program and its arguments"),
    "secrets": ("array", (list,), "it is a list of names: NAME, or NAME=VARIABLE"),
    "cwd": ("string", (str,), "it is text: a folder"),
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
        "HTTP call with the user's key",
        (*_CALL, "timeout", "max_bytes", "select", "save", "reason"),
        2,
        {"destructiveHint": True, "openWorldHint": True},
    ),
    "kv_explain": Tool("explain", "What kv_api would do, and which rule decides", _CALL, 2, _LOOKS),
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
    for each in tool.arguments[: tool.needed]:
        if each not in found:
            raise KvError("bad-argument", argument=each, why="it is missing")
    for each, value in found.items():
        _, types, words = _KINDS[each]
        if not isinstance(value, types) or (isinstance(value, bool) and int in types):  # to Python, True is a number
            raise KvError("bad-argument", argument=each, why=words)
    for each in ("argv", "secrets"):
        if not all(isinstance(word, str) for word in found.get(each, ())) or not found.get(each, ("",)):
            raise KvError("bad-argument", argument=each, why=_KINDS[each][2])
    if "ticket" in found and not _TICKET.fullmatch(found["ticket"]):
        raise KvError("bad-argument", argument="ticket", why=_KINDS["ticket"][2])
    return found


def request(name: str, found: dict[str, Any], wait: float) -> Request:
    """The request for checked arguments; a call is held for `wait` seconds. Raises `KvError`."""
    tool = TOOLS[name]
    if tool.verb in {"call", "explain"}:
        args, body = _call(found)
        return Request(tool.verb, {**args, "wait": wait} if tool.verb == "call" else args, body)
    if tool.verb == "wait":
        return Request("wait", {"ticket": found["ticket"], "wait": wait})
    return Request(tool.verb, found)


def _call(found: dict[str, Any]) -> tuple[dict[str, object], bytes]:
    args: dict[str, object] = {"connection": found["provider"], "path": found["path"]}
    if "method" in found:
        args["method"] = found["method"].upper()
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
