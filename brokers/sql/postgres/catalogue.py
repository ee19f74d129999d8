"""What PostgreSQL's catalogue knows: tables with all that belongs to them, types, and the planner's estimate. Pure.

Rules of this file
- The statements are ours, take names as parameters, and run with pg_catalog alone in the search path.
- A table that the role may not touch in any way is not shown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_TABLES = 2000  # in one answer: the rest is asked for by schema or by name

# One table after the other, as JSON by the server itself. $1 and $2 are the schema and the table, "" for any.
TABLES = """
SELECT json_build_object(
  'schema', n.nspname, 'name', c.relname,
  'kind', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END,
  'rows', CASE WHEN c.reltuples >= 0 AND c.relkind IN ('r', 'm', 'p') THEN c.reltuples::int8 END,
  'comment', obj_description(c.oid, 'pg_class'),
  'columns', (SELECT json_agg(json_strip_nulls(json_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
      'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
      'comment', col_description(c.oid, a.attnum))) ORDER BY a.attnum)
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'primary_key', COALESCE((SELECT json_agg(a.attname ORDER BY array_position(k.conkey, a.attnum))
    FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
    WHERE k.conrelid = c.oid AND k.contype = 'p'), '[]'),
  'foreign_keys', COALESCE((SELECT json_agg(json_build_object('name', k.conname,
      'columns', (SELECT json_agg(a.attname ORDER BY array_position(k.conkey, a.attnum)) FROM pg_attribute a
        WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)),
      'schema', tn.nspname, 'table', t.relname,
      'references', (SELECT json_agg(a.attname ORDER BY array_position(k.confkey, a.attnum)) FROM pg_attribute a
        WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)),
      'definition', pg_get_constraintdef(k.oid)) ORDER BY k.conname)
    FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
    WHERE k.conrelid = c.oid AND k.contype = 'f'), '[]'),
  'constraints', COALESCE((SELECT json_agg(json_build_object('name', k.conname,
      'definition', pg_get_constraintdef(k.oid)) ORDER BY k.conname)
    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('u', 'c', 'x')), '[]'),
  'indexes', COALESCE((SELECT json_agg(json_build_object('name', x.relname, 'unique', i.indisunique,
      'columns', (SELECT json_agg(pg_get_indexdef(x.oid, n, false) ORDER BY n)
        FROM generate_series(1, i.indnkeyatts::int4) n),
      'definition', pg_get_indexdef(i.indexrelid)) ORDER BY x.relname)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND NOT i.indisprimary), '[]'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND ($1::text = '' AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    OR n.nspname = $1)
  AND ($2::text = '' OR c.relname = $2)
  AND has_schema_privilege(n.oid, 'USAGE')
  AND (pg_has_role(c.relowner, 'USAGE')
    OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
    OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
ORDER BY n.nspname, c.relname
"""
# Names of types that are not built in; of an array the type of its elements, and what parts them.
TYPES = (
    "SELECT t.oid, t.typname, CASE WHEN t.typlen = -1 THEN t.typelem ELSE 0 END, e.typdelim FROM pg_catalog.pg_type t "
    "LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) t.typelem "
    "WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[]) AND t.typcategory OPERATOR(pg_catalog.=) 'A' "
    "OR t.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])"
)


def tables(found: Iterable[bytes], most: int) -> bytes:
    """The document `{"tables": […], "truncated": …}` within bounds: it ends between two tables."""
    parts, size, cut = list[bytes](), 0, False
    for told in found:
        size += len(told) + 1
        if size > most or len(parts) >= MAX_TABLES:
            cut = True
            break
        parts.append(told)
    return b'{"tables":[' + b",".join(parts) + b'],"truncated":' + (b"true}" if cut else b"false}")


def estimate(told: bytes) -> bytes:
    """`{"rows": N}`: what the planner expects to go into the nodes that change something, or out of the topmost."""
    try:
        top = json.loads(told)[0]["Plan"]
        changing = list(_changing(top))
        counted = [str(each["Plan Rows"]) for each in changing or [top]]
        rows = int(sum([min(float(count), 1e15) for count in counted]))
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return b'{"rows":null}'
    return json.dumps({"rows": rows}).encode()


def _changing(node: Mapping[str, object]) -> Iterable[Mapping[str, object]]:
    below = node.get("Plans")
    for each in below if isinstance(below, list) else []:
        if node.get("Node Type") == "ModifyTable" and each.get("Parent Relationship") in {"Outer", "Member"}:
            yield each
        yield from _changing(each)
