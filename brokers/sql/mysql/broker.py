"""The broker of MySQL and MariaDB, without PyMySQL until an act needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from brokers.sql.kind import Mysql
from brokers.sql.room import MYSQL, THREADS
from brokers.sql.served import ServedBroker

if TYPE_CHECKING:
    from brokers.declaration import Kind
    from brokers.sql.mysql.acts import Acts


class MysqlBroker(ServedBroker["Acts"]):
    """Calls on MySQL and MariaDB."""

    kind = "mysql"
    places, places_in_all = MYSQL, THREADS
    dialect = "mysql"
    driver = "kv-secrets[mysql]"
    declared: ClassVar[Kind] = Mysql()

    def _made(self) -> Acts:
        from brokers.sql.mysql.acts import Acts

        return Acts(self.resolver)
