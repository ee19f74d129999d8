"""Places at a database: how many calls are at work at once, on one connection and in all. A further one waits."""

POSTGRES = 16  # on one connection: servers take a hundred in all, and other programs need some
POSTGRES_IN_ALL = 64
MYSQL = 10  # on one connection: small servers take a hundred of everybody's
SQLITE = 16  # on one file
THREADS = 32  # of a driver that blocks, and so of MySQL and of SQLite in all
