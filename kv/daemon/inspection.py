"""A look at the role behind a database: what it may do beyond reading, and the statements that make a proper one.

Rules of this file
- It is a person's: when they make a connection, or ask for it. It takes a proof, and is recorded like a call.
- What a database says of itself is redacted like every answer.
- What was found is kept while the keeper lives, for `kv doctor`; a changed connection is a connection not looked at.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError
from brokers.personal import Inspects
from kv.daemon import record
from kv.daemon.faults import as_kv_error
from kv.errors import KvError
from kv.redact import Redaction

if TYPE_CHECKING:
    from brokers.contract import Connection
    from kv.daemon.dispatch import Answer, Exchange
    from kv.daemon.house import House
    from kv.daemon.schema import Named

_SECONDS = 15.0  # for a look: a person sits in front of it


class Inspection:
    """Looks at roles. One per keeper."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def look(self, exchange: Exchange) -> Answer:
        """`{server, warnings, script, remedy}`: what its role can do that no reader should, and what helps.

        `script` are the statements that help, and `remedy` says what they make.
        """
        house, name = self._house, cast("Named", exchange.request.args).name
        entry = house.entry(name)
        connection = entry.connection
        broker = house.broker(connection.kind)
        if not isinstance(broker, Inspects):
            raise KvError("bad-argument", argument="connection", why="only databases have a role to look at")
        told = record.act("inspect", connection.name, record.strength(exchange))
        with record.recorded(house.audit, record.merge(record.who(exchange.caller), told)):
            found = await self._found(broker, connection)
        if house.entry(name) is entry:
            house.findings[connection.name] = found
        return found, b""

    async def _found(self, broker: Inspects, connection: Connection) -> dict[str, object]:
        database = await self._house.database()
        try:
            async with asyncio.timeout(_SECONDS):
                with self._house.spend(connection) as credential:
                    found = await broker.inspect(connection, credential)
        except TimeoutError:
            raise KvError("upstream-timeout", name=connection.name, seconds=int(_SECONDS)) from None
        except BrokerError as error:
            raise as_kv_error(error, connection.name) from None
        redaction = Redaction(database, connection.secrets.values())
        server, script, *warnings = redaction.present_all([found.server, found.script, *found.warnings], "body")
        if redaction.verdict.withhold:
            raise KvError("withheld", why="it holds a guessable secret that was not lent to this call")
        return {"server": server, "script": script, "remedy": found.remedy, "warnings": warnings}
