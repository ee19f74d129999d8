"""Whether names that a read uses mean something of the database's own there, and not what kv's lists know by them.

Rules of this file
- Asked in the read's own transaction, before the statement is parsed: where it finds something it fails, and the server
  passes over all that was sent behind it. So it costs no way to the server and back.
- What an extension brought along was installed for everybody; what else somebody wrote may do anything.
- Every name in the question is that of the built-in schema: a search path that begins elsewhere changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.sql import own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.contract import Plan
    from brokers.sql.postgres.faults import Refusal

_MARK = "own code: "
_BAD_VALUE = "22P02"  # invalid_text_representation
_FIRST = 16384  # the first number of what was not there when the cluster was made (FirstNormalObjectId)


def _own(catalogue: str, name: str, visible: str, number: int) -> str:
    return (
        f"SELECT {name} AS name FROM pg_catalog.{catalogue} AS it "  # noqa: S608 - words of this file
        f"WHERE {name} OPERATOR(pg_catalog.=) ANY (${number}::pg_catalog.name[]) "
        f"AND it.oid OPERATOR(pg_catalog.>=) {_FIRST}::pg_catalog.oid AND pg_catalog.{visible}(it.oid) AND NOT EXISTS ("
        f"SELECT FROM pg_catalog.pg_depend AS by WHERE by.classid OPERATOR(pg_catalog.=) "
        f"'pg_catalog.{catalogue}'::pg_catalog.regclass AND by.objid OPERATOR(pg_catalog.=) it.oid "
        "AND by.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog.\"char\")"
    )


_OF_A_ROW = (
    " AND it.pronargs OPERATOR(pg_catalog.=) 1::pg_catalog.int2 AND EXISTS (SELECT FROM pg_catalog.pg_type AS row "
    "WHERE row.oid OPERATOR(pg_catalog.=) it.proargtypes[0] "
    "AND row.typtype OPERATOR(pg_catalog.=) 'c'::pg_catalog.\"char\")"
)
_FOUND = " UNION ALL ".join(
    (
        _own("pg_proc", "it.proname", "pg_function_is_visible", 1),
        _own("pg_proc", "it.proname", "pg_function_is_visible", 2) + _OF_A_ROW,
        _own("pg_operator", "it.oprname", "pg_operator_is_visible", 3),
    )
)
QUESTION = (
    f"SELECT pg_catalog.int4in(pg_catalog.textout(pg_catalog.concat('{_MARK}', found.name))) "  # noqa: S608 - as above
    f"FROM ({_FOUND} LIMIT 1) AS found"
)


def asked(plan: Plan) -> list[bytes | None] | None:
    """The parameters of `QUESTION`, or None where there is nothing to ask: nothing is named, or a person said yes."""
    reach = own.names(plan)
    return [_array(reach[kind]) for kind in ("functions", "attributes", "operators")] if reach else None


def _array(names: Sequence[str]) -> bytes:
    """An array as the server reads it, every element in quotes."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return ("{" + ",".join(f'"{name}"' for name in quoted) + "}").encode()


def check(refusal: Refusal, plan: Plan) -> None:
    """Raise `BrokerError("refused")` where it is the question's answer, with the name as the statement has it."""
    if refusal.state != _BAD_VALUE or _MARK not in refusal.message:
        return
    found = (name for names in own.names(plan).values() for name in names)
    raise own.refusal(name for name in found if f'{_MARK}{name}"' in refusal.message)
