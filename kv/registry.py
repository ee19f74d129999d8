"""THE PAGE: everything pluggable, by name. A new member is one new file and one line here.

Rules of this file
- Literal tables, name to "module:attribute"; nothing is imported before it is asked for by name, since a broker
  brings a driver of tens of megabytes.
- A provider needs no line: it is one TOML file in `brokers/http/providers/`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

# kind of connection: the broker that performs its calls
BROKERS = {
    "http": "brokers.http.broker:HttpBroker",
}

# auth scheme of an http connection: how the credential enters a request
AUTH = {
    "basic": "brokers.http.auth.basic:Basic",
    "bearer": "brokers.http.auth.bearer:Bearer",
    "header": "brokers.http.auth.header:Header",
    "path": "brokers.http.auth.path:Path",
    "query": "brokers.http.auth.query:Query",
    "several": "brokers.http.auth.several:Several",
}


def load(table: dict[str, str], name: str) -> type:
    """The class that `table` names. Raises `KeyError` for a name it does not have."""
    return _attribute(table[name])


@cache
def _attribute(place: str) -> type:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, type):
        raise TypeError(place)
    return found
