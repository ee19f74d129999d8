"""What a role on PostgreSQL may do beyond reading, and the SQL of one that reads alone. Pure.

Rules of this file
- A warning is a sentence of ours; the names in the script are quoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.personal import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEMBERS = {
    "pg_read_server_files": "it reads any file of the server",
    "pg_write_server_files": "it writes any file of the server",
    "pg_execute_server_program": "it starts programs on the server",
    "pg_signal_backend": "it may end other sessions",
    "pg_read_all_data": "it reads every table of every schema",
    "pg_write_all_data": "it writes every table of every schema",
    "pg_monitor": "it sees everybody's statements",
    "pg_checkpoint": "it may force checkpoints",
    "pg_create_subscription": "it may have other servers' data written here",
    "pg_maintain": "it may lock and rewrite every table",
}
_ATTRIBUTES = {
    "superuser": "it is a superuser: files and programs of the server and every database are within its reach, and a "
    "read-only transaction does not hold that back",
    "createrole": "it may make and change roles",
    "createdb": "it may make databases",
    "replication": "it may read everything that is written on the server",
    "bypassrls": "row security does not hold it back",
}
_OWNS = "it owns tables, so it may drop them and grant them to others"
_WRITES = "it may write: kv asks before it does, and a role that only reads needs no asking"
# Runs with pg_catalog alone in the search path. A role that an older server does not have is not had.
QUESTION = f"""
SELECT json_build_object('superuser', r.rolsuper, 'createrole', r.rolcreaterole, 'createdb', r.rolcreatedb,
  'replication', r.rolreplication, 'bypassrls', r.rolbypassrls,
  'member', (SELECT coalesce(json_agg(m.rolname), '[]') FROM pg_roles m
    WHERE m.rolname = ANY ('{{{",".join(_MEMBERS)}}}') AND pg_has_role(m.oid, 'MEMBER')),
  'owns', EXISTS (SELECT FROM pg_class c WHERE c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'MEMBER')),
  'writes', EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')))
FROM pg_roles r WHERE r.rolname = current_user
"""  # noqa: S608 - words of this file


def told(version: str, facts: Mapping[str, object], database: str) -> Findings:
    """What a person is told of the role."""
    return Findings(
        server=f"PostgreSQL {version}",
        warnings=tuple(warnings(facts)),
        script=grant_script("kv_reader", database),
        remedy="a role for reading alone is made by",
    )


def warnings(facts: Mapping[str, object]) -> list[str]:
    """What the role may do that no reader should, the widest first."""
    found = [says for name, says in _ATTRIBUTES.items() if facts.get(name) is True]
    if facts.get("superuser") is True:  # of whom all the rest is true
        return found
    member = facts.get("member")
    found += [says for name, says in _MEMBERS.items() if isinstance(member, list) and name in member]
    found += [_OWNS] if facts.get("owns") is True else []
    found += [_WRITES] if facts.get("writes") is True else []
    return found


def grant_script(role: str, database: str) -> str:
    """The statements that make a role which reads the schema `public` of `database` and no more."""
    whom = quoted(role)
    return (
        f"CREATE ROLE {whom} LOGIN PASSWORD '…a new password…' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;\n"
        f"ALTER ROLE {whom} SET default_transaction_read_only = on;\n"
        f"GRANT CONNECT ON DATABASE {quoted(database)} TO {whom};\n"
        f"GRANT USAGE ON SCHEMA public TO {whom};\n"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {whom};\n"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {whom};\n"
    )


def quoted(name: str) -> str:
    """An identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
