"""What a role on PostgreSQL may do beyond reading, and the SQL of one that reads alone.

Rules of this file
- A warning is a sentence of ours; the names in the script are quoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Each column is a fact; a role that does not exist on an older server is not had.
FACTS = """
SELECT current_setting('server_version') AS version, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
  {members},
  EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writes
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
_MEMBERS = {
    "pg_read_server_files": "it reads any file of the server",
    "pg_write_server_files": "it writes any file of the server",
    "pg_execute_server_program": "it starts programs on the server",
    "pg_signal_backend": "it may end other sessions",
    "pg_read_all_data": "it reads every table of every schema",
    "pg_write_all_data": "it writes every table of every schema",
    "pg_checkpoint": "it may force checkpoints",
    "pg_monitor": "it sees everybody's statements",
}
_ATTRIBUTES = {
    "rolsuper": "it is a superuser: files and programs of the server, every database and role are within its reach, "
    "and a read-only transaction does not hold that back",
    "rolcreaterole": "it may make and change roles",
    "rolcreatedb": "it may make databases",
    "rolreplication": "it may read everything that is written on the server",
    "rolbypassrls": "row security does not hold it back",
}


_IS_MEMBER = """coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_catalog.pg_roles r WHERE r.rolname = '{name}'),
    false) AS {name}"""


def question() -> str:
    """The statement that asks for the facts."""
    members = ",\n  ".join(_IS_MEMBER.format(name=name) for name in _MEMBERS)
    return FACTS.format(members=members)


def told(facts: Mapping[str, str], database: str) -> dict[str, object]:
    """`{server, warnings, script}`."""
    found = [says for name, says in _ATTRIBUTES.items() if facts.get(name) == "t"]
    if facts.get("rolsuper") != "t":  # of whom all the rest is true
        found += [says for name, says in _MEMBERS.items() if facts.get(name) == "t"]
        if facts.get("writes") == "t":
            found.append("it may write: kv asks before it does, and a role that only reads needs no asking")
    return {
        "server": f"PostgreSQL {facts.get('version', '')}",
        "warnings": found,
        "script": grant_script(database),
    }


def grant_script(database: str, role: str = "kv_reader", schema: str = "public") -> str:
    """The statements that make a role which reads one schema of `database` and nothing else."""
    name, whom, where = (f'"{text.replace(chr(34), chr(34) * 2)}"' for text in (database, role, schema))
    return (
        f"CREATE ROLE {whom} LOGIN PASSWORD '…a new password…' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;\n"
        f"ALTER ROLE {whom} SET default_transaction_read_only = on;\n"
        f"GRANT CONNECT ON DATABASE {name} TO {whom};\n"
        f"GRANT USAGE ON SCHEMA {where} TO {whom};\n"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {where} TO {whom};\n"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {where} GRANT SELECT ON TABLES TO {whom};\n"
        f"-- to write as well: GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {where} TO {whom};\n"
    )
