"""PostgreSQL, through psycopg and its libpq.

`broker` performs, `pool` keeps sessions, `session` is one of them, `login` how it comes to be; `cells`, `faults` and
`catalogue` are pure.
"""

from brokers.sql.pg.broker import PostgresBroker

__all__ = ["PostgresBroker"]
