"""What a role on MySQL or MariaDB may do beyond reading, and the SQL of one that reads alone.

Rules of this file
- `SHOW GRANTS` of MariaDB shows hashes of passwords: it is read, and nothing of it is passed on.
- A warning is a sentence of ours; the privileges in it are words of this file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.personal import Findings
from brokers.sql.mysql import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.mysql.session import Session

_GRANT = re.compile(r"GRANT (.+?) ON (?:TABLE |FUNCTION |PROCEDURE )?(\S+) TO ", re.DOTALL)
# Of the whole server: what each gives to whoever writes the statement.
_SERVER = {
    "ALL PRIVILEGES": "it may do everything on the whole server",
    "SUPER": "it may change the server's settings and end anybody's session",
    "FILE": "it reads and writes files of the server",
    "PROCESS": "it sees everybody's statements",
    "SHUTDOWN": "it may stop the server",
    "RELOAD": "it may flush logs and privileges",
    "CREATE USER": "it may make and change users",
    "SYSTEM_USER": "it may change users that others may not",
    "SYSTEM_VARIABLES_ADMIN": "it may change the server's settings",
    "CONNECTION ADMIN": "it may end anybody's session",
    "CONNECTION_ADMIN": "it may end anybody's session",
    "SET USER": "it may make programs that run as another user",
    "SET_USER_ID": "it may make programs that run as another user",
    "SET_ANY_DEFINER": "it may make programs that run as another user",
    "REPLICATION SLAVE": "it may read everything that is written on the server",
    "BINLOG MONITOR": "it sees the server's logs",
}
_WRITING = frozenset(
    (
        *("ALL_PRIVILEGES", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "TRIGGER"),
        *("EVENT", "REFERENCES", "CREATE_ROUTINE", "ALTER_ROUTINE", "CREATE_VIEW", "EXECUTE"),
        *("LOCK_TABLES", "DELETE_HISTORY"),
    )
)


def look(session: Session) -> tuple[str, list[str]]:
    """The server's version, and the role's grants."""
    grants = [(row[0] or b"").decode("utf-8", "replace") for row in session.fetch("SHOW GRANTS")]
    return session.version, grants


def told(version: str, grants: Sequence[str], database: str) -> Findings:
    """What a person is told of the role."""
    maria = "MariaDB" in version
    number = re.sub(r"^5\.5\.5-", "", version).partition("-")[0]
    return Findings(
        server=f"{'MariaDB' if maria else 'MySQL'} {number}",
        warnings=tuple(warnings(grants)),
        script=grant_script(database),
        remedy="a role for reading alone is made by",
    )


def warnings(grants: Sequence[str]) -> list[str]:
    """What the role may do that no reader should, the widest first."""
    found: dict[str, None] = {}
    writes = False
    for grant in grants:
        match = _GRANT.match(grant)
        if match is None:
            continue
        names = [re.sub(r"\s*\(.*?\)", "", name).strip().upper() for name in re.split(r",(?![^(]*\))", match[1])]
        if match[2] == "*.*":
            found |= {_SERVER[name]: None for name in names if name in _SERVER}
        if "WITH GRANT OPTION" in grant:
            found["it may give its privileges to others"] = None
        if re.match(r"`?mysql`?\.", match[2]):
            found["it reaches the server's own tables, with everybody's password hashes"] = None
        writes = writes or any(name.replace(" ", "_") in _WRITING for name in names)
    if writes:
        found["it may write: kv asks before it does, and a role that only reads needs no asking"] = None
    return list(found)


def grant_script(database: str, user: str = "kv_reader") -> str:
    """The statements that make a role which reads `database` and nothing else."""
    who = f"'{user}'@'%'"
    # In the name of a database that a GRANT takes, both are wildcards.
    name = literal.column(database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))
    return (
        f"CREATE USER {who} IDENTIFIED BY '…a new password…';\n"
        f"GRANT SELECT, SHOW VIEW ON {name}.* TO {who};\n"
        f"-- to write as well: GRANT INSERT, UPDATE, DELETE ON {name}.* TO {who};\n"
    )
