"""What an agent may say of a call over SSH: every argument decoded strictly into one `Draft`. Pure.

Rules of this file
- What all brokers ask of arguments stands in `brokers.arguments`; here is what a command's and a copy's are.
- A reference (`{{kv:…}}`) is refused everywhere, stdin included: the connection knows where its credential goes.
- A command is given word by word, or by a profile's name and its arguments. Never as one line to be taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brokers.arguments import REFERENCE, check_known, limits, refuse, text
from brokers.ssh import command, remote

if TYPE_CHECKING:
    from brokers.contract import Limits

MAX_STDIN = 16 << 20  # bytes: what a frame carries; a file to put is the same
MAX_TIMEOUT = 600.0  # seconds: an upgrade of packages, as long as a caller may wait at all
MAX_ENV = 32  # variables
_COMMON = {"timeout", "max_bytes", "act"}
_EXEC = frozenset({"argv", "profile", "arguments", "cwd", "env", *_COMMON})
_COPY = frozenset({"path", "overwrite", *_COMMON})
COPIES = ("get", "put", "list")


@dataclass(frozen=True, slots=True)
class Draft:
    """A decoded call. `act` is "exec" or one of `COPIES`; what the act does not have is empty."""

    act: str
    limits: Limits
    body: bytes = b""
    argv: tuple[str, ...] = ()
    profile: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    overwrite: bool = False


def decode(arguments: Mapping[str, object], body: bytes) -> Draft:
    """The arguments of a call, whole and checked. Raises `BrokerError("argument")`."""
    act = arguments.get("act", "exec")
    if len(body) > MAX_STDIN:
        refuse("body", "at most 16 MiB")
    if REFERENCE.encode() in body:
        refuse("body", "references are refused")
    if act == "exec":
        return _exec(arguments, body)
    if isinstance(act, str) and act in COPIES:
        return _copy(act, arguments, body)
    return refuse("act", "it is exec, get, put or list")


def _exec(arguments: Mapping[str, object], body: bytes) -> Draft:
    check_known(arguments, _EXEC)
    given, profile = arguments.get("argv"), arguments.get("profile")
    if (given is None) == (profile is None):
        refuse("argv", "a call has argv or a profile")
    if given is None and "arguments" not in arguments:
        arguments = {**arguments, "arguments": {}}
    if given is not None and arguments.get("arguments") is not None:
        refuse("arguments", "they go with a profile")
    argv: tuple[str, ...] = ()
    if given is not None:
        if not isinstance(given, list | tuple) or len(given) > command.MAX_WORDS:
            refuse("argv", "one to 256 words")
        argv = tuple(_text(word, "argv") for word in given)
        command.check(argv)
    return Draft(
        "exec",
        limits(arguments, MAX_TIMEOUT),
        body,
        argv,
        "" if profile is None else _text(profile, "profile"),
        _mapping(arguments.get("arguments"), "arguments"),
        _path(arguments, "cwd") if arguments.get("cwd") is not None else "",
        _mapping(arguments.get("env"), "env"),
    )


def _copy(act: str, arguments: Mapping[str, object], body: bytes) -> Draft:
    check_known(arguments, _COPY)
    overwrite = arguments.get("overwrite", False)
    if not isinstance(overwrite, bool) or (overwrite and act != "put"):
        refuse("overwrite", "true or false, and only where a file is put")
    if body and act != "put":
        refuse("body", "only a file that is put has one")
    return Draft(act, limits(arguments, MAX_TIMEOUT), body, path=_path(arguments, "path"), overwrite=overwrite)


def _text(value: object, argument: str) -> str:
    word = text(value, argument)
    command.check_word(word, argument)
    return word


def _path(arguments: Mapping[str, object], argument: str) -> str:
    path = _text(arguments.get(argument), argument)
    if not remote.canonical(path):
        refuse(argument, "an absolute path without '.' and '..', a slash at its end or characters that do not show")
    return path


def _mapping(value: object, argument: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_ENV:
        refuse(argument, "a mapping of names to text, at most 32")
    found = {_text(name, argument): _text(held, argument) for name, held in value.items()}
    if sum(len(name.encode()) + len(held.encode()) for name, held in found.items()) > command.MAX_BYTES:
        refuse(argument, "at most 16 KiB together")
    return found
