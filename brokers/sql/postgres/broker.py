"""The broker of PostgreSQL: which act is performed by what, without the driver until one is.

Rules of this file
- Declaring and planning work without psycopg, which takes as long to load as a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from brokers.contract import BrokerError
from brokers.resolver import system_resolver
from brokers.sql.broker import SqlBroker
from brokers.sql.kind import Postgres
from brokers.sql.room import POSTGRES, POSTGRES_IN_ALL

if TYPE_CHECKING:
    from brokers.contract import Connection, Credential, Outcome, Plan
    from brokers.declaration import Kind
    from brokers.resolver import Resolver
    from brokers.sql.postgres.acts import Acts


class PostgresBroker(SqlBroker):
    """Calls on PostgreSQL."""

    kind = "postgres"
    places, places_in_all = POSTGRES, POSTGRES_IN_ALL
    dialect = "postgres"
    declared: ClassVar[Kind] = Postgres()

    def __init__(self, resolver: Resolver = system_resolver) -> None:
        super().__init__(resolver)
        self._loaded: Acts | None = None

    @property
    def _acts(self) -> Acts:
        if self._loaded is None:
            try:
                from brokers.sql.postgres.acts import Acts
            except ImportError:
                raise BrokerError("missing", what="psycopg[binary]") from None
            self._loaded = Acts(self.resolver)
        return self._loaded

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.query(plan, credential)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.estimate(plan, credential)

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.schema(plan, credential)

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.load(plan, credential)

    async def inspect(self, connection: Connection, credential: Credential) -> dict[str, object]:
        """`{server, warnings, script, facts}`: what the role may do that no reader should, the SQL of a proper one."""
        return await self._acts.inspect(connection, credential)

    async def aclose(self) -> None:
        """Close every session."""
        if self._loaded is not None:
            await self._loaded.aclose()
