"""A broker's failure in the words of the closed list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from brokers.contract import BrokerError

_CODES = {
    "argument": "bad-argument",
    "options": "bad-argument",
    "credential": "bad-argument",
    "dns": "upstream-dns",
    "address": "upstream-address",
    "connect": "upstream-connect",
    "tls": "upstream-tls",
    "timeout": "upstream-timeout",
    "broken": "upstream-broken",
    "encoding": "upstream-encoding",
    "login": "upstream-login",
    "refused": "upstream-refused",
    "too-large": "upstream-too-large",
    "host-key": "upstream-key",
    "missing": "driver-missing",
}


def as_kv_error(error: BrokerError, name: str) -> KvError:
    """The `KvError` for `error` on the connection `name`."""
    code, fields = _CODES[error.code], dict(error.fields)
    if code == "bad-argument":
        return KvError(code, argument=fields.pop("argument", "connection"), **fields)
    return KvError(code, name=name, **fields)
