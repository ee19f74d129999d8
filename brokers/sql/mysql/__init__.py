"""MySQL and MariaDB, through PyMySQL: an optional package, which only a performed call needs.

`broker` performs, `pool` keeps connections, `session` is one of them, `driver` the protocol's edge; `literal` and
`cells` are pure.
"""

from brokers.sql.mysql.broker import MysqlBroker

__all__ = ["MysqlBroker"]
