"""`kv login`: a person logs in at the service's own page, and what the service gives for it becomes a secret.

Rules of this file
- It is a person's act: it takes a proof, and is recorded. The code that the service shows is told to that person alone.
- What comes of it is stored as a new revision of the secret that the connection declares for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError
from brokers.personal import LogsIn
from kv.daemon import record
from kv.daemon.faults import as_kv_error
from kv.errors import KvError, clean

if TYPE_CHECKING:
    from brokers.personal import Prompt
    from kv.daemon.dispatch import Answer, Exchange
    from kv.daemon.entry import Entry
    from kv.daemon.house import House
    from kv.daemon.schema import Named


async def login(house: House, exchange: Exchange) -> Answer:
    """`{name, secrets}`: the names of what was stored. Raises `KvError`."""
    entry = house.entry(cast("Named", exchange.request.args).name)
    connection = entry.connection
    broker = house.broker(connection.kind)
    if not isinstance(broker, LogsIn) or not broker.takes_login(connection):
        raise KvError("bad-argument", argument="connection", why="nobody logs in to it: it has a secret of its own")
    if house.vault.read_only:
        raise KvError("vault-older", found=house.vault.generation, seen=house.vault.seen or 0)

    async def show(prompt: Prompt) -> None:
        told = {"code": prompt.code, "address": prompt.address, "complete": prompt.complete}
        shown: dict[str, object] = {name: clean(text, limit=2000) for name, text in told.items()}
        await exchange.say({"event": "login", **shown, "seconds": int(prompt.seconds)})

    await house.database()
    act = record.act("login", connection.name, record.strength(exchange))
    with record.recorded(house.audit, record.merge(record.who(exchange.caller), act)):
        try:
            with house.spend(connection) as credential:
                found = await broker.login(connection, credential, show)
            _still(house, entry)
            for slot, secret in found.items():
                house.safe.store(connection.name, connection.secrets[slot], secret)
        except BrokerError as error:
            raise as_kv_error(error, connection.name) from None
    return {"name": connection.name, "secrets": sorted(connection.secrets[slot] for slot in found)}, b""


def _still(house: House, entry: Entry) -> None:
    """Raise `KvError` where the connection is another one by now: half an hour is long."""
    if house.entry(entry.connection.name) is not entry:
        why = "the connection changed meanwhile"
        raise KvError("denied", rule="a login is for the connection as it was", why=why, help="log in again")
