"""PostgreSQL, through psycopg's libpq: the protocol's own calls, so that nothing is sent that is not meant.

`broker` performs, `acts` says how, `pool` keeps sessions, `session` is one of them, `gate` is what stands between libpq
and the network; `login` makes a session; `cells`, `faults` and `catalogue` are pure.
"""

from brokers.sql.postgres.broker import PostgresBroker

__all__ = ["PostgresBroker"]
