"""What tables a PostgreSQL database has, asked of its catalogue in one go. Pure.

Rules of this file
- The statements are ours and take names as parameters. What the role may not see, it is not shown.
"""

from __future__ import annotations

MAX_TABLES = 500  # in one answer: more is asked for by schema or by name

# Names and texts of one table after the other, as JSON by the server itself.
TABLES = """
SELECT json_build_object(
  'schema', n.nspname, 'name', c.relname,
  'kind', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END,
  'rows', CASE WHEN c.reltuples >= 0 AND c.relkind IN ('r', 'm', 'p') THEN c.reltuples::bigint END,
  'comment', obj_description(c.oid, 'pg_class'),
  'columns', (SELECT json_agg(json_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
      'default', CASE WHEN a.attidentity <> '' THEN 'identity'
        WHEN a.attgenerated <> '' THEN 'generated' ELSE pg_get_expr(d.adbin, d.adrelid) END,
      'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'primary_key', (SELECT json_agg(a.attname ORDER BY array_position(k.conkey, a.attnum))
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
    WHERE k.conrelid = c.oid AND k.contype = 'p'),
  'unique', (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname)
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'u'),
  'foreign_keys', (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname)
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'),
  'checks', (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname)
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'),
  'indexes', (SELECT json_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid)
    FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND NOT i.indisprimary))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND has_schema_privilege(n.oid, 'USAGE')
  AND ($1 = '' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' OR n.nspname = $1)
  AND ($2 = '' OR c.relname = $2)
ORDER BY n.nspname, c.relname LIMIT 501
"""  # one more than MAX_TABLES
# Names of types that are not built in, and of what an array is made of.
TYPES = "SELECT oid, typname, CASE WHEN typcategory = 'A' THEN typelem END FROM pg_catalog.pg_type WHERE oid = $1::oid"
