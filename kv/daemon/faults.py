"""A broker's failure in the words of the closed list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from brokers.contract import BrokerError

# broker's code: (kv's code, its fields). A field that the broker did not fill is "unknown".
_CODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "argument": ("bad-argument", ("argument", "why")),
    "options": ("bad-argument", ("why",)),
    "credential": ("bad-argument", ("why",)),
    "dns": ("upstream-dns", ()),
    "address": ("upstream-address", ("kind",)),
    "connect": ("upstream-connect", ()),
    "tls": ("upstream-tls", ("why",)),
    "timeout": ("upstream-timeout", ("seconds",)),
    "broken": ("upstream-broken", ()),
    "encoding": ("upstream-encoding", ("why",)),
    "login": ("upstream-login", ("why",)),
    "refused": ("upstream-refused", ("why",)),
    "too-large": ("upstream-too-large", ("limit",)),
    "host-key": ("upstream-key", ("pinned", "found")),
    "missing": ("driver-missing", ("what",)),
}


def as_kv_error(error: BrokerError, name: str) -> KvError:
    """The `KvError` for `error` on the connection `name`."""
    code, wanted = _CODES[error.code]
    fields: dict[str, str | int] = {field: error.fields.get(field, "unknown") for field in wanted}
    if code == "bad-argument":
        return KvError(code, argument=fields.pop("argument", "connection"), **fields)
    return KvError(code, name=name, **fields)
