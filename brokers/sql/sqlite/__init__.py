"""SQLite, through the standard library: one file, opened for each call as that call needs it and no further.

`broker` says what is done, `call` does it in threads; `file` opens and bounds, `guard` is the authorizer, `cells` and
`catalogue` say what is in it.
"""

from brokers.sql.sqlite.broker import SqliteBroker

__all__ = ["SqliteBroker"]
