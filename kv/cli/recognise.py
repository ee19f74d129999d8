"""Which connection a new secret gets by itself: told by its name and the shape of its value.

Rules of this file
- A key sent to the wrong service is a key given away: in doubt there is no connection, and a person is asked.
- A connection that exists is never turned to another secret here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from kv.errors import KvError

if TYPE_CHECKING:
    from brokers.http.pack import Pack


class Guess(NamedTuple):
    """A provider that was recognised: the name its connection gets, and whether a person must still name the host.

    `open` are the options that a person must still give.
    """

    connection: str
    provider: str
    title: str
    host_needed: bool
    open: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Nothing has to be said of it any more."""
        return not self.host_needed and not self.open


def guess(name: str, value: bytes) -> Guess | None:
    """The provider of a secret, or None. The connection stands beside it: `dev/STRIPE_KEY` makes `dev/stripe`."""
    catalogue = import_module("brokers.http.catalogue")
    pack: Pack | None = catalogue.recognise(name, value)
    if pack is None:
        return None
    return Guess(beside(name, pack.name), pack.name, pack.title, pack.origin_needed, pack.open)


def dsn(value: bytes) -> dict[str, object] | None:
    """What a database's URL states of its connection: kind, host, port, database, user. None for other values.

    Raises `KvError("usage")` for one that begins as a DSN does and is none.
    """
    from brokers.contract import BrokerError
    from brokers.sql.dsn import looks_like
    from brokers.sql.kind import declared

    if not looks_like(value):
        return None
    try:
        kind, members = declared(value)
    except BrokerError as error:
        raise KvError("usage", why=f"this DSN is not taken: {error.fields['why']}") from None
    return {"kind": kind, **members}


def beside(secret: str, connection: str) -> str:
    """The full name of a connection in the same place as a secret."""
    folder, slash, _ = secret.rpartition("/")
    return f"{folder}{slash}{connection}"


def default_name(secret: str) -> str:
    """A connection's name made of a secret's: `demo/API_KEY` gives `demo/api`."""
    plain = secret.rpartition("/")[2].lower()
    for ending in (
        "_url",
        "_dsn",
        "_uri",
        "_secret_key",
        "_api_key",
        "_access_token",
        "_auth_token",
        "_token",
        "_key",
        "_secret",
        "_password",
    ):
        plain = plain.removesuffix(ending) or plain
    return beside(secret, plain)
