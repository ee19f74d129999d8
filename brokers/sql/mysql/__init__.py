"""MySQL and MariaDB, through PyMySQL: an optional package, which only a performed call needs.

`broker` is there without a driver and hands over to `acts`. A `call` holds a `session` out of the `pool`; `driver` is
the protocol's edge. `catalogue` and `role` ask the server about itself. The rest is pure.
"""

from brokers.sql.mysql.broker import MysqlBroker

__all__ = ["MysqlBroker"]
