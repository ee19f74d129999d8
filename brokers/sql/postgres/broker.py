"""The broker of PostgreSQL, without psycopg until an act needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from brokers.sql.kind import Postgres
from brokers.sql.room import POSTGRES, POSTGRES_IN_ALL
from brokers.sql.served import ServedBroker

if TYPE_CHECKING:
    from brokers.declaration import Kind
    from brokers.sql.postgres.acts import Acts


class PostgresBroker(ServedBroker["Acts"]):
    """Calls on PostgreSQL."""

    kind = "postgres"
    places, places_in_all = POSTGRES, POSTGRES_IN_ALL
    dialect = "postgres"
    driver = "psycopg[binary]"
    declared: ClassVar[Kind] = Postgres()

    def _made(self) -> Acts:
        from brokers.sql.postgres.acts import Acts

        return Acts(self.resolver)
