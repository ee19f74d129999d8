"""Whether names that a read uses mean something of the database's own there, and not what kv's lists know by them.

Rules of this file
- Asked in the read's own transaction, before the statement is parsed: where it finds something it fails, and the server
  passes over all that was sent behind it. So it costs no way to the server and back.
- What an extension brought along was installed for everybody; what else somebody wrote may do anything.
- A type is asked about like a function: `f(x)` and `x.f` may convert to a type `f`, whose check may call anything.
- Every name in the question is that of the built-in schema: a search path that begins elsewhere changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from brokers.contract import Effect
from brokers.sql import own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.contract import Plan
    from brokers.sql.postgres.faults import Refusal

_MARK = "own code: "
_BAD_VALUE = "22P02"  # invalid_text_representation
# The parameters, in this order.
_KINDS = ("functions", "attributes", "operators", "types")
_FUNCTIONS, _ATTRIBUTES, _OPERATORS, _TYPES, _LISTED = (f"${number}::pg_catalog.name[]" for number in range(1, 6))
_AND = "OPERATOR(pg_catalog.||)"
_FIRST = 16384  # the first number of what was not there when the cluster was made (FirstNormalObjectId)


def _of_its_own(catalogue: str) -> str:
    return (
        f"it.oid OPERATOR(pg_catalog.>=) {_FIRST}::pg_catalog.oid AND NOT EXISTS ("
        f"SELECT FROM pg_catalog.pg_depend AS by WHERE by.classid OPERATOR(pg_catalog.=) "
        f"'pg_catalog.{catalogue}'::pg_catalog.regclass AND by.objid OPERATOR(pg_catalog.=) it.oid "
        "AND by.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog.\"char\")"
    )


def _named(catalogue: str, name: str, visible: str, names: str) -> str:
    return (
        f"SELECT {name} AS name FROM pg_catalog.{catalogue} AS it "  # noqa: S608 - as above
        f"WHERE {name} OPERATOR(pg_catalog.=) ANY ({names}) "
        f"AND pg_catalog.{visible}(it.oid) AND {_of_its_own(catalogue)}"
    )


# Other types than a table's rows, which `f(x)` does not convert to, and a list of words, which calls nothing.
_CONVERTED = (
    " AND it.typtype OPERATOR(pg_catalog.<>) 'e'::pg_catalog.\"char\" AND ("
    "it.typrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid "
    f"OR it.typname OPERATOR(pg_catalog.=) ANY ({_TYPES}))"
)
_ROWS = "typcategory OPERATOR(pg_catalog.=) 'C'::pg_catalog.\"char\""  # of rows, and of a domain over them
# `x.f` where x is a row: a domain over rows, or over such a domain.
_OVER_ROWS = f" AND it.typtype OPERATOR(pg_catalog.=) 'd'::pg_catalog.\"char\" AND it.{_ROWS}"
# `x.f` calls `f(x)` where x is a row: of its type, of a domain over it, of any type, or of as many as there are.
_OF_A_ROW = (
    " AND (it.provariadic OPERATOR(pg_catalog.<>) 0::pg_catalog.oid OR EXISTS (SELECT FROM pg_catalog.pg_type AS row "
    "WHERE row.oid OPERATOR(pg_catalog.=) it.proargtypes[0] "
    f"AND (row.typtype OPERATOR(pg_catalog.=) 'p'::pg_catalog.\"char\" OR row.{_ROWS})))"
)
# A cast is a function that no statement names; where a database has one of its own, any call and operator may use it,
# and whatever reads a table one that takes no word: a UNION casts, and what stands for a condition or a LIMIT is cast
# as by an assignment.
_CASTS = (
    "SELECT it.proname AS name FROM pg_catalog.pg_cast AS made JOIN pg_catalog.pg_proc AS it "  # noqa: S608 - as above
    "ON it.oid OPERATOR(pg_catalog.=) made.castfunc "
    f"WHERE it.proname OPERATOR(pg_catalog.<>) ALL ({_LISTED}) AND {_of_its_own('pg_proc')} "
    "AND (made.castcontext OPERATOR(pg_catalog.<>) 'e'::pg_catalog.\"char\" OR pg_catalog.cardinality("
    f"{_FUNCTIONS} {_AND} {_ATTRIBUTES} {_AND} {_OPERATORS} {_AND} {_TYPES}) OPERATOR(pg_catalog.>) 0)"
)
_FOUND = " UNION ALL ".join(
    (
        _named("pg_proc", "it.proname", "pg_function_is_visible", _FUNCTIONS),
        _named("pg_proc", "it.proname", "pg_function_is_visible", _ATTRIBUTES) + _OF_A_ROW,
        _named("pg_operator", "it.oprname", "pg_operator_is_visible", _OPERATORS),
        _named("pg_type", "it.typname", "pg_type_is_visible", f"{_FUNCTIONS} {_AND} {_TYPES}") + _CONVERTED,
        _named("pg_type", "it.typname", "pg_type_is_visible", _ATTRIBUTES) + _OVER_ROWS,
        _CASTS,
    )
)
QUESTION = (
    f"SELECT pg_catalog.int4in(pg_catalog.textout(pg_catalog.concat('{_MARK}', found.name))) "  # noqa: S608 - as above
    f"FROM ({_FOUND} LIMIT 1) AS found"
)


def asked(plan: Plan) -> list[bytes | None] | None:
    """The parameters of `QUESTION`, or None where there is nothing to ask: nothing is named, or a person said yes.

    A table is enough to ask for: a UNION, a LIMIT or a WHERE casts what it reads, and names nothing.
    """
    reach = own.names(plan)
    if not reach and not (plan.effect is Effect.READ and plan.request.get("tables")):
        return None
    listed = cast("Sequence[str]", plan.connection.target.get("functions") or ())
    return [*(_array(reach.get(kind, ())) for kind in _KINDS), _array(listed)]


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
