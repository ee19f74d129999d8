"""From options to a connection's declaration, as the keeper takes it.

Rules of this file
- It spells, the keeper checks: only what cannot be spelled at all is refused here.
- What an option does not say is left out, so that a connection that exists keeps it; an empty word takes it back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from kv.cli.kinds import kind_of
from kv.errors import KvError
from kv.registry import AUTH, DEFAULT_KIND, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokers.contract import AuthScheme

_CA_MAX = 64 << 10  # bytes: a bundle of a few certificates


@dataclass(frozen=True, slots=True)
class Server:
    """What is said of a server that is reached by ssh, beyond its address and its key; files are read by their names.

    None means that nothing was said, and empty that it is taken back.
    `profiles` is a JSON or TOML file of named commands, `certificate` one as ssh-keygen writes it.
    """

    jump: str | None = None
    profiles: str | None = None
    allow: Sequence[str] | None = None
    roots: Sequence[str] | None = None
    cwd: str | None = None
    env: Sequence[str] | None = None
    certificate: str | None = None
    principals: Sequence[str] | None = None
    source_address: str | None = None

    def stated(self) -> dict[str, object]:
        """The declaration's members. Raises `KvError`: `usage`, `disk`."""
        found: dict[str, object] = {}
        for member in ("jump", "cwd", "source_address"):
            if (value := getattr(self, member)) is not None:
                found[member] = value
        for member in ("allow", "roots", "env", "principals"):
            if (values := getattr(self, member)) is not None:
                found[member] = list(values)
        if self.profiles is not None:
            found["profiles"] = _read_profiles(self.profiles)
        if self.certificate is not None:
            found["certificate"] = _read_text(self.certificate, _CA_MAX).strip()
        return found


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options of `kv set` and `kv connect` say of a connection; the defaults mean that nothing was said."""

    kind: str | None = None
    host: str | None = None
    user: str | None = None
    database: str | None = None
    path: str | None = None
    tls: str | None = None
    functions: Sequence[str] | None = None
    ssh: str | None = None
    host_keys: Sequence[str] = ()
    server: Server | None = None
    auth: str | None = None
    options: Sequence[str] = ()
    provider: str | None = None
    ca: str | None = None
    addresses: Sequence[str] | None = None
    admission: str | None = None
    insecure_loopback: bool = False
    encoded_slash: bool | None = None
    preset: str | None = None
    rules: Sequence[tuple[str, str]] | None = None
    calls_per_hour: int | None = None
    secrets: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Nothing was said at all."""
        return self == Wish()

    def over(self, other: Wish) -> Wish:
        """Both: no option belongs to two groups, so what one says the other leaves out."""
        nothing = Wish()
        said = {name: value for name in self.__slots__ if (value := getattr(other, name)) != getattr(nothing, name)}
        return replace(self, **said)

    def declaration(self, name: str) -> dict[str, object]:
        """The wire's `declaration`. Raises `KvError`: `usage`, `disk`."""
        return {"name": name, **self._stated(), **self._where(), **self._how()}

    def _stated(self) -> dict[str, object]:
        """What is passed on as it was said."""
        said = {member: getattr(self, member) for member in _AS_SAID}
        return {member: value for member, value in said.items() if value is not None}

    def _where(self) -> dict[str, object]:
        """Where it leads, and by which addresses."""
        found: dict[str, object] = {}
        if self.host is not None and (kind := kind_of(self.kind)) is not None and "port" in kind.members:
            found |= _host_and_port(self.host)
        if self.ssh is not None:
            found |= {"kind": "ssh", "host": self.ssh}
        if self.host_keys:
            found["host_key"] = list(self.host_keys)
        if self.path is not None:
            found["path"] = os.path.realpath(self.path)
        if self.ca is not None:
            found["ca"] = _read_ca(self.ca)
        if self.addresses is not None:
            found["addresses"] = list(self.addresses)
        if self.insecure_loopback:
            found["insecure_loopback"] = True
        return found

    def _how(self) -> dict[str, object]:
        """How it may be used: who logs in with what, and what is allowed."""
        found: dict[str, object] = {}
        if self.auth is not None:
            found["auth"] = {"scheme": self.auth} if self._has_schemes else parse_auth(self.auth)
        if self.options:
            found["options"] = _options(self.options)
        if self.functions is not None:
            found["functions"] = list(self.functions)
        if self.server is not None:
            found |= self.server.stated()
        if self.rules is not None:
            found["rules"] = [list(rule) for rule in self.rules]
        if self.secrets:
            found["secrets"] = dict(_slot(text) for text in self.secrets)
        return found

    @property
    def _has_schemes(self) -> bool:
        """It is said to be of a kind with ways of its own to authenticate, or of none that is known here."""
        kind = kind_of(DEFAULT_KIND if self.kind is None else self.kind)
        return self.ssh is not None or kind is None or bool(kind.schemes)


_AS_SAID = (
    *("kind", "host", "user", "database", "tls", "provider", "encoded_slash", "admission", "preset", "calls_per_hour"),
)


def _host_and_port(text: str) -> dict[str, object]:
    """`db.example.com`, `db.example.com:5433`, `[::1]:5433`. Raises `KvError("usage")`."""
    host, mark, port = text.rpartition(":")
    if not mark or (":" in host and not host.endswith("]")):
        return {"host": text.strip("[]")}
    if not port.isascii() or not port.isdigit():
        raise KvError("usage", why="--host of a database is HOST or HOST:PORT")
    return {"host": host.strip("[]"), "port": int(port)}


def schemes() -> str:
    """How each auth scheme is written, for questions and refusals."""
    *most, last = (_scheme(name).spelling for name in AUTH)
    return f"{', '.join(most)} or {last}"


def parse_auth(text: str) -> dict[str, object]:
    """`bearer`, `basic:USER`, `header:NAME`, … as scheme and options. Raises `KvError("usage")`."""
    from brokers.contract import BrokerError

    name, colon, rest = text.partition(":")
    if name not in AUTH or (colon and not rest):
        raise KvError("usage", why=f"--auth is one of {schemes()}")
    try:
        return {"scheme": name, "options": _scheme(name).parse(rest)}
    except BrokerError:
        raise KvError("usage", why=f"this scheme is written {_scheme(name).spelling}") from None


def spell_auth(scheme: str, options: Mapping[str, str]) -> str:
    """Scheme and options as `--auth` takes them: the inverse of `parse_auth`."""
    rest = _scheme(scheme).spell(options)
    return f"{scheme}:{rest}" if rest else scheme


def _scheme(name: str) -> AuthScheme:
    return cast("AuthScheme", load(AUTH, name)())


def _options(texts: Sequence[str]) -> dict[str, str]:
    """What a provider leaves open, `NAME=VALUE` each. Raises `KvError("usage")`."""
    pairs = [text.partition("=") for text in texts]
    if not all(mark and name for name, mark, _ in pairs) or len({name for name, _, _ in pairs}) != len(pairs):
        raise KvError("usage", why="--option is written NAME=VALUE, each name once")
    return {name: value for name, _, value in pairs}


def _slot(text: str) -> tuple[str, str]:
    """`NAME`, or `SLOT=NAME` where a scheme takes several secrets."""
    slot, mark, name = text.partition("=")
    return (slot, name) if mark else ("secret", slot)


def _read_text(path: str, most: int) -> str:
    """The file's text, or "" where it is none. Raises `KvError("disk")`."""
    if not path:
        return ""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(most + 1)
    except OSError as error:
        raise KvError("disk", act="read", path=path, why=os.strerror(error.errno or 0)) from None
    except UnicodeDecodeError:
        return ""


def _read_profiles(path: str) -> dict[str, object]:
    """Named commands, from JSON or TOML: `{"restart": {"argv": […], "arguments": {…}, "effect": "write"}}`."""
    import json
    import tomllib

    text = _read_text(path, _CA_MAX)
    try:
        found = tomllib.loads(text) if path.endswith(".toml") or not path else json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise KvError("usage", why="--profiles takes a JSON or TOML file: a table of commands by their names")
    return found


def _read_ca(path: str) -> str:
    text = _read_text(path, _CA_MAX)
    if not path:
        return ""
    if "-----BEGIN CERTIFICATE-----" not in text or len(text) > _CA_MAX:
        raise KvError("usage", why="--ca takes a PEM file of certificates, at most 64 KiB")
    if "PRIVATE KEY-----" in text:
        raise KvError("usage", why="the --ca file holds a private key; give the certificates alone")
    return text
