-- Statements of PostgreSQL and what kv says of each: `-- id: effect [harmless|hostile]`, then the statement up to the next
-- header. A harmless one is what a developer writes, and must be a read. A hostile one is a way round read-only. The
-- tables are those of postgres.schema.sql; ⟨U+000B⟩ stands for a character that an editor would not show.

-- rows-of-a-call-beside-a-table: read harmless
select orders.id, orders.total from orders, generate_series(1, 2)

-- one: read harmless
select 1 as one

-- trailing-semicolon: read harmless
SELECT id, name FROM customers ORDER BY name;

-- comments: read harmless
/* the customers
   /* that spend */ */
select c.name -- their name
from customers c

-- line-comment-at-end: read harmless
select count(*) from orders -- all of them

-- semicolon-in-string: read harmless
select * from orders where note = 'fragile; handle with care'

-- destructive-words-in-string: read harmless
select 'DROP TABLE orders; DELETE FROM items' as advice, 'insert into x' as more

-- quoted-names: read harmless
select "c"."name" as "Customer Name" from "customers" as "c" where "c"."id" = 1

-- escape-string: read harmless
select E'line\nnext', E'it\'s', 'it''s'

-- dollar-string: read harmless
select $$it's; fine$$, $tag$another $$ one$tag$

-- inner-join: read harmless
select o.id, c.name from orders o join customers c on c.id = o.customer_id where o.total > 10

-- left-join-using: read harmless
select * from orders left join items on items.order_id = orders.id where items.sku is null

-- group-having: read harmless
select customer_id, sum(total) as spent, count(*) filter (where status = 'paid') as paid
from orders group by customer_id having sum(total) > 5 order by spent desc nulls last limit 10 offset 0

-- window-running-total: read harmless
select id, total, sum(total) over (partition by customer_id order by placed_at rows between unbounded preceding and current row) as running
from orders

-- window-named: read harmless
select id, rank() over w, dense_rank() over w, lag(total, 1) over w, lead(total) over w, ntile(4) over w, first_value(total) over w
from orders window w as (partition by customer_id order by total desc)

-- percentile-cont: read harmless
select percentile_cont(0.5) within group (order by total) as median,
       percentile_disc(array[0.25, 0.75]) within group (order by total) as quartiles, mode() within group (order by status)
from orders

-- cte: read harmless
with big as (select * from orders where total > 50), who as (select distinct customer_id from big)
select c.name from customers c join who on who.customer_id = c.id

-- cte-columns-materialized: read harmless
with t (a, b) as materialized (select id, total from orders), u (n) as not materialized (select 1) select a, b, n from t, u

-- cte-recursive: read harmless
with recursive chain(id, name, depth) as (
    select id, name, 0 from staff where manager_id is null
    union all
    select s.id, s.name, c.depth + 1 from staff s join chain c on s.manager_id = c.id
) select * from chain order by depth

-- cte-recursive-counter: read harmless
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t

-- lateral: read harmless
select c.name, last.total from customers c
left join lateral (select total from orders o where o.customer_id = c.id order by placed_at desc limit 1) last on true

-- lateral-function: read harmless
select c.name, tag from customers c cross join lateral unnest(c.tags) as tag

-- unnest-ordinality: read harmless
select t.tag, t.nr from customers c, unnest(c.tags) with ordinality as t(tag, nr)

-- unnest-alias-without-as: read harmless
select u.a, u.b from unnest(array[1, 2], array['x', 'y']) u(a, b)

-- rows-from: read harmless
select * from rows from (generate_series(1, 3), unnest(array['a', 'b'])) as t(n, s)

-- json-operators: read harmless
select profile->'address'->>'city', profile#>>'{address,city}', profile #> '{langs,0}', profile @> '{"age": 36}', profile ? 'age', profile ?| array['a', 'b']
from customers

-- json-path: read harmless
select id, jsonb_path_query(payload, '$.lines[*].sku'), payload @? '$.lines[*] ? (@.n > 5)', payload @@ '$.order == 1' from events

-- json-elements: read harmless
select e.id, line->>'sku' as sku, (line->>'n')::int as n
from events e, jsonb_array_elements(e.payload->'lines') as line

-- json-each: read harmless
select c.id, kv.key, kv.value from customers c, jsonb_each(c.profile) kv

-- json-record: read harmless
select x.sku, x.n from events e, jsonb_to_recordset(e.payload->'lines') as x(sku text, n int) where e.kind = 'purchase'

-- json-build: read harmless
select jsonb_build_object('id', o.id, 'items', jsonb_agg(jsonb_build_object('sku', i.sku, 'n', i.quantity) order by i.sku))
from orders o join items i on i.order_id = o.id group by o.id

-- json-row: read harmless
select row_to_json(c), to_jsonb(c) - 'email' from customers c

-- json-aggregate-subquery: read harmless
select json_agg(t) from (select id, total from orders order by id) t

-- json-composite-field: read harmless
select (jsonb_each_text(profile)).key from customers

-- string-agg: read harmless
select order_id, string_agg(sku, ', ' order by sku) from items group by order_id

-- array-functions: read harmless
select array_agg(distinct country), array_length(array_agg(id), 1), array_position(array['a', 'b'], 'b'), cardinality(array[1, 2]) from customers

-- array-operators: read harmless
select * from customers where tags && array['vip'] or tags @> '{early}' or 'vip' = any (tags) or id <> all ('{7,8}'::int[])

-- array-subscript-slice: read harmless
select tags[1], tags[1:2], (array[1, 2, 3])[2] from customers

-- array-of-subquery: read harmless
select c.name, array(select o.id from orders o where o.customer_id = c.id order by 1) as orders from customers c

-- generate-series-days: read harmless
select d::date, coalesce(sum(o.total), 0)
from generate_series('2024-03-01'::date, '2024-03-10'::date, interval '1 day') as d
left join orders o on o.placed_at::date = d::date group by 1 order by 1

-- generate-series-column: read harmless
select day, extract(isodow from day) from generate_series(timestamp '2024-01-01', timestamp '2024-01-07', '1 day') as g(day)

-- date-maths: read harmless
select now() - interval '7 days', date_trunc('month', placed_at), extract(epoch from placed_at), age(now(), placed_at),
       placed_at at time zone 'UTC', to_char(placed_at, 'YYYY-MM'), make_date(2024, 1, 31), date_part('dow', placed_at) from orders

-- date-literals: read harmless
select date '2024-01-01' + 1, timestamp with time zone '2024-01-01 00:00+00', interval '1' day, time '10:00', current_date - 7, localtimestamp, current_time(0)

-- between-symmetric: read harmless
select * from orders where total between symmetric 100 and 10 and placed_at between '2024-01-01' and '2025-01-01'

-- regexes: read harmless
select name ~ '^A', name ~* 'a$', name !~ 'x', regexp_replace(name, '[aeiou]', '*', 'g'), regexp_match(email, '@(.*)$'), substring(email from '@(.*)$')
from customers where name similar to '(A|G)%' or name ilike '%u%' escape '!'

-- regex-split: read harmless
select regexp_split_to_table('a, b,c', ',\s*'), (regexp_match('abc123', '\d+'))[1]

-- string-functions: read harmless
select upper(name), lower(name), length(name), trim(both ' ' from name), position('a' in name), overlay(name placing 'X' from 1 for 1),
       left(name, 1), right(name, 1), split_part(email, '@', 2), format('%s <%s>', name, email), lpad(id::text, 5, '0'), md5(name), concat_ws('-', name, country) from customers

-- full-text: read harmless
select id, ts_rank(to_tsvector('english', note), q) from orders, to_tsquery('english', 'gift | fragile') q
where to_tsvector('english', note) @@ q

-- full-text-headline: read harmless
select ts_headline('english', note, websearch_to_tsquery('english', 'handle -break')) from orders where to_tsvector('simple', note) @@ plainto_tsquery('simple', 'gift')

-- ranges: read harmless
select id, during && tstzrange('2024-03-01', '2024-03-05', '[)'), lower(during), upper_inf(during), isempty(during), int4range(1, 5) * int4range(3, 8) from events

-- network: read harmless
select address << inet '10.0.0.0/8', host(address), masklen(address), network(address) from events where address is not null

-- numbers: read harmless
select round(avg(total), 2), stddev(total), greatest(1, 2, 3), least(1, 2), 7 % 3, 2 ^ 10, |/ 16, @ -5, !! 'a'::tsquery, ceil(1.2), width_bucket(5, 0, 10, 5), random() from orders

-- numbers-2: refused
select 1_000abc

-- case: read harmless
select case when total > 100 then 'large' when total > 10 then 'medium' else 'small' end as size, case status when 'open' then 1 else 0 end from orders

-- distinct-on: read harmless
select distinct on (customer_id) customer_id, id, total from orders order by customer_id, placed_at desc

-- grouping-sets: read harmless
select status, customer_id, grouping(status), sum(total) from orders group by grouping sets ((status), (customer_id), ())

-- rollup-cube: read harmless
select status, customer_id, sum(total) from orders group by rollup (status, customer_id) union all select null, null, sum(total) from orders group by cube (status)

-- set-operations: read harmless
(select id from customers) union all (select customer_id from orders) except select 7 intersect select 8 order by 1

-- values: read harmless
values (1, 'a'), (2, 'b')

-- values-from: read harmless
select v.id, c.name from (values (1), (2)) as v(id) join customers c on c.id = v.id

-- table-command: read harmless
table customers

-- table-in-cte: read harmless
with t as (table orders) select count(*) from t

-- exists: read harmless
select * from customers c where exists (select from orders o where o.customer_id = c.id) and not exists (select 1 from staff where false)

-- in-subquery-row: read harmless
select * from items where (order_id, sku) in (select 1, 'pen') and row(quantity, price) >= (1, 1)


-- cast-forms: read harmless
select cast(total as integer), total::numeric(10, 1)::text, '5'::int, 'a'::char(3), 1::double precision, '1'::character varying(5), '2024-01-01'::timestamp(0) without time zone, 'x'::pg_catalog.text from orders

-- cast-regclass: read harmless
select 'orders'::regclass::oid, to_regclass('public.orders'), pg_typeof(1)

-- limit-with-ties: read harmless
select id, total from orders order by total desc fetch first 2 rows with ties

-- tablesample: read harmless
select * from orders tablesample bernoulli (50) repeatable (7)

-- collate: read harmless
select name from customers order by name collate "C", lower(name) collate "und-x-icu" desc

-- natural-full-join: read harmless
select count(*) from orders natural join items full join staff on staff.id = orders.id

-- is-distinct: read harmless
select note is distinct from 'a', note is not null, (total > 5) is true, note isnull from orders

-- system-columns: read harmless
select ctid, xmin, tableoid::regclass, * from orders

-- information-schema: read harmless
select table_name, column_name, data_type from information_schema.columns where table_schema = 'public' order by 1, ordinal_position

-- catalogue-tables: read harmless
select n.nspname, c.relname, c.reltuples::bigint, pg_size_pretty(pg_total_relation_size(c.oid)), obj_description(c.oid, 'pg_class')
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and pg_catalog.pg_table_is_visible(c.oid)

-- catalogue-operator: read harmless
SELECT c.oid, c.relname FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(orders)$' COLLATE pg_catalog.default

-- catalogue-indexes: read harmless
select indexrelid::regclass, pg_get_indexdef(indexrelid), indisunique from pg_index where indrelid = 'orders'::regclass

-- catalogue-constraints: read harmless
select conname, contype, pg_get_constraintdef(oid, true) from pg_constraint where conrelid = 'orders'::regclass

-- catalogue-activity: read harmless
select pid, state, wait_event_type, query_start from pg_stat_activity where datname = current_database()

-- catalogue-statistics: read harmless
select relname, n_live_tup, n_dead_tup, last_autovacuum, seq_scan, idx_scan from pg_stat_user_tables order by n_dead_tup desc

-- catalogue-locks: read harmless
select locktype, mode, granted, relation::regclass from pg_locks where not granted

-- catalogue-settings: read harmless
select name, setting, unit from pg_settings where name like 'work%'

-- explain: read harmless
explain select * from orders where id = 1

-- explain-options: read harmless
explain (verbose, costs off, format json) select * from orders o join items i on i.order_id = o.id

-- explain-analyze-read: read harmless
explain (analyze, buffers, timing off) select count(*) from orders

-- explain-analyze-old: read harmless
EXPLAIN ANALYZE VERBOSE SELECT 1

-- explain-analyze-false: read harmless
explain (analyze false) delete from orders

-- explain-of-delete: read harmless
explain delete from orders where id = 1

-- explain-of-update: read harmless
explain update orders set note = upper(note) where id = 1

-- show-setting: read harmless
show server_version

-- show-all: read harmless
show all

-- show-time-zone: read harmless
show time zone

-- session-facts: read harmless
select version(), current_user, session_user, current_database(), current_schema, current_schemas(true), pg_backend_pid()

-- view: read harmless
select * from paid_orders

-- view-materialised: read harmless
select day, total from daily where day > '2024-01-01'

-- column-called-like-a-verb: read harmless
select t.update, t."delete" from (select 1 as update, 2 as "delete") as t

-- scalar-subquery: read harmless
select (select count(*) from orders), (select max(total) from orders where customer_id = c.id) from customers c

-- uuid-and-clock: read harmless
select gen_random_uuid(), clock_timestamp(), timeofday(), statement_timestamp()

-- bytes: read harmless
select encode('abc'::bytea, 'hex'), decode('YWJj', 'base64'), sha256('abc'), '\xdeadbeef'::bytea, b'1010' | b'0101', x'1f'

-- xml: read harmless
select xmlelement(name line, xmlattributes(sku as sku), quantity), xmlforest(sku, price) from items

-- geometry: read harmless
select point(1, 2) <-> point '(3,4)', box '((0,0),(1,1))' @> point '(0.5,0.5)'

-- enum: unknown
select * from orders where status = 'paid'::order_status

-- unicode: read harmless
select name as имя from customers where name <> 'Łódź → ∞'

-- user-function: unknown hostile
select wipe()

-- user-function-qualified: unknown hostile
select public.wipe()

-- user-function-spaced: unknown hostile
select wipe /* a comment */
  ()

-- user-function-quoted-case: unknown hostile
select "LOWER"(name) from customers

-- user-function-in-where: unknown hostile
select 1 from orders where wipe() = 1

-- user-function-in-order: unknown hostile
select 1 from orders order by wipe()

-- user-function-in-limit: unknown hostile
select 1 from orders limit wipe()

-- user-function-in-from: unknown hostile
select * from wipe()

-- user-function-rows-from: unknown hostile
select * from rows from (wipe()) as t(a)

-- user-function-lateral: unknown hostile
select * from orders o cross join lateral wipe() as w(a)

-- user-function-after-distinct-on: unknown hostile
select distinct on (id) wipe() from orders

-- user-function-alias-decoy: unknown hostile
select wipe() from (values (1)) as wipe(a)

-- user-function-alias-decoy-distinct-on: unknown hostile
select distinct on (1) wipe() from (values (1)) as wipe(a)

-- function-hidden-by-continued-string: refused hostile
select E'a'
'\'', wipe() --'

-- user-function-cte-decoy: unknown hostile
with wipe (a) as (select 1) select wipe() from wipe

-- user-function-in-default-cte: unknown hostile
with t as (select wipe() as a) select 1 from t

-- user-function-in-filter: unknown hostile
select count(*) filter (where wipe() = 1) from orders

-- user-function-in-window: unknown hostile
select sum(total) over (order by wipe()) from orders

-- user-function-in-values: unknown hostile
values (wipe())

-- user-function-explain: unknown hostile
explain analyze select wipe()

-- user-function-in-cast: unknown hostile
select cast(wipe() as text)

-- user-function-in-array: unknown hostile
select array[wipe()], (row(wipe()))

-- user-function-as-attribute: unknown hostile
select (o).wipe_row from (select orders from orders) as t(o)

-- attribute-on-literal: unknown hostile
select ('/etc/hostname'::text).pg_read_file

-- attribute-on-alias: unknown hostile
select x.pg_read_file from cast('/etc/hostname' as text) x

-- attribute-on-number: unknown hostile
select (0.2::float8).pg_sleep

-- attribute-on-subscript: unknown hostile
select (array['/etc/hostname'])[1].pg_read_file

-- attribute-on-function-alias: unknown hostile
select s.pg_sleep from generate_series(0, 0) g, float8(0.1) as s

-- attribute-quoted: unknown hostile
select (1::float8)."pg_sleep"

-- sleep: unknown hostile
select pg_sleep(1)

-- sleep-qualified: unknown hostile
select pg_catalog.pg_sleep(0.1)

-- sleep-quoted: unknown hostile
select "pg_catalog"."pg_sleep"(0.1)

-- sleep-capitals: unknown hostile
SELECT PG_SLEEP(0.1)

-- sleep-for: unknown hostile
select pg_sleep_for('1 second'), pg_sleep_until(now())

-- sleep-comment: unknown hostile
select pg_sleep/**/(0.1)

-- sleep-line-comment: unknown hostile
select pg_sleep--
(0.1)

-- unicode-escape-name: refused hostile
select U&"pg\005Fsleep"(0.1)

-- file-read: unknown hostile
select pg_read_file('/etc/passwd')

-- file-read-binary: unknown hostile
select encode(pg_read_binary_file('/etc/passwd'), 'base64')

-- file-list: unknown hostile
select * from pg_ls_dir('/')

-- file-stat: unknown hostile
select (pg_stat_file('/etc/passwd')).size

-- file-log-list: unknown hostile
select * from pg_ls_logdir(), pg_ls_waldir()

-- file-hba: unknown hostile
select * from pg_hba_file_rules

-- file-large-object-import: unknown hostile
select lo_import('/etc/passwd')

-- file-large-object-export: unknown hostile
select lo_export(1, '/tmp/out')

-- large-object-create: unknown hostile
select lo_create(0)

-- large-object-write: unknown hostile
select lo_from_bytea(0, 'x'), lowrite(0, 'x')

-- large-object-unlink: unknown hostile
select lo_unlink(1)

-- copy-to-file: refused hostile
copy orders to '/tmp/orders.csv'

-- copy-query-to-file: refused hostile
copy (select * from orders) to '/tmp/orders.csv' with (format csv)

-- copy-to-program: refused hostile
copy (select 1) to program 'touch /tmp/pwned'

-- copy-from-program: refused hostile
COPY orders FROM PROGRAM 'id'

-- copy-from-file: refused hostile
copy orders from '/etc/passwd'

-- copy-to-stdout: refused hostile
copy orders to stdout

-- copy-from-stdin: refused hostile
copy orders from stdin

-- copy-binary-old: refused hostile
copy binary orders to '/tmp/x'

-- copy-delete-returning: refused hostile
copy (delete from orders returning *) to stdout

-- copy-comment: refused hostile
/* harmless */ copy/**/orders to '/tmp/x'

-- dblink: unknown hostile
select * from dblink('dbname=postgres', 'select 1') as t(a int)

-- dblink-exec: unknown hostile
select dblink_exec('dbname=postgres', 'delete from orders')

-- dblink-decoy-columns: unknown hostile
select * from orders, dblink(note) as (select_ int)

-- dblink-connect: unknown hostile
select dblink_connect('c', 'host=10.0.0.1 dbname=x')

-- fdw-create: mint hostile
create foreign table f (a int) server s options (filename '/etc/passwd')

-- fdw-server: mint hostile
create server s foreign data wrapper postgres_fdw options (host '10.0.0.1')

-- fdw-mapping: mint hostile
create user mapping for current_user server s options (user 'u', password 'p')

-- fdw-import: mint hostile
import foreign schema public from server s into public

-- sql-as-text-xml: unknown hostile
select query_to_xml('delete from orders returning *', true, true, '')

-- sql-as-text-table-xml: unknown hostile
select table_to_xml('pg_authid', true, true, '')

-- sql-as-text-cursor-xml: unknown hostile
select cursor_to_xml('c', 1, true, true, '')

-- sql-as-text-database-xml: unknown hostile
select database_to_xml(true, true, ''), schema_to_xml('public', true, true, '')

-- sql-as-text-stat: unknown hostile
select * from ts_stat('select to_tsvector(wipe()::text)')

-- sql-as-text-rewrite: unknown hostile
select ts_rewrite('a & b'::tsquery, 'select ''a''::tsquery, ''c''::tsquery from events')

-- settings-set-config: unknown hostile
select set_config('transaction_read_only', 'off', false)

-- settings-set-config-local: unknown hostile
select set_config('default_transaction_read_only', 'off', true)

-- settings-current: unknown hostile
select current_setting('app.jwt_secret')

-- settings-show-custom: unknown hostile
show app.jwt_secret

-- set: refused hostile
set transaction_read_only = off

-- set-transaction: refused hostile
set transaction read write

-- set-session-characteristics: refused hostile
set session characteristics as transaction read write

-- set-role: refused hostile
set role postgres

-- set-session-authorization: refused hostile
set session authorization postgres

-- set-local: refused hostile
set local statement_timeout = 0

-- set-after-comment: refused hostile
/* select 1 */ -- select
SET transaction read write

-- set-constraints: refused hostile
set constraints all deferred

-- reset: refused hostile
reset all

-- discard: refused hostile
discard all

-- begin: refused hostile
begin

-- begin-read-write: refused hostile
BEGIN READ WRITE

-- start-transaction: refused hostile
start transaction read write

-- commit: refused hostile
commit

-- commit-and-chain: refused hostile
commit and chain

-- end: refused hostile
END

-- rollback: refused hostile
rollback

-- abort: refused hostile
abort

-- savepoint: refused hostile
savepoint a

-- release-savepoint: refused hostile
release savepoint a

-- prepare-transaction: refused hostile
prepare transaction 'x'

-- commit-prepared: refused hostile
commit prepared 'x'

-- prepare: refused hostile
prepare p as delete from orders

-- execute: refused hostile
execute p

-- explain-execute: refused hostile
explain analyze execute p

-- create-table-as-execute: refused hostile
create table x as execute p

-- deallocate: refused hostile
deallocate all

-- declare-cursor: refused hostile
declare c cursor with hold for select wipe()

-- fetch: refused hostile
fetch all from c

-- move: refused hostile
move next in c

-- close: refused hostile
close all

-- listen: refused hostile
listen channel

-- unlisten: refused hostile
unlisten *

-- notify: refused hostile
notify channel, 'payload'

-- notify-function: unknown hostile
select pg_notify('channel', 'payload')

-- lock-table: refused hostile
lock table orders in access exclusive mode

-- load: refused hostile
load '/tmp/evil.so'

-- checkpoint: refused hostile
checkpoint

-- two-statements: refused hostile
select 1; delete from orders

-- two-statements-commit: refused hostile
COMMIT; DELETE FROM orders

-- two-statements-comment: refused hostile
select 1 /* ; */ ; /* */ drop table orders

-- two-statements-line-comment: refused hostile
select 1 --
; drop table orders

-- two-statements-carriage-return: refused hostile
select 1 -- comment⟨U+000D⟩; drop table orders

-- two-statements-after-dollar: refused hostile
select $a$ $b$ $a$; delete from orders; select $b$ x $b$

-- two-statements-after-escape: refused hostile
select E'\''; delete from orders; --'

-- two-statements-after-plain-backslash: refused hostile
select '\'; delete from orders; --'

-- two-statements-nested-comment: refused hostile
/* /* */ select 1 */ select 2; delete from orders

-- two-statements-continued-string: refused hostile
select E'a'
'\'; delete from orders; --'

-- two-selects: refused hostile
select 1; select 2

-- unclosed-comment: refused hostile
select 1 /* /* */ delete from orders

-- unclosed-string: refused hostile
select 'abc

-- unclosed-dollar: refused hostile
select $x$ abc $y$

-- vertical-tab: refused hostile
explain⟨U+000B⟩analyze delete from orders

-- form-feed: refused hostile
delete⟨U+000C⟩from orders

-- no-break-space: refused hostile
delete⟨U+00A0⟩from orders

-- zero-width-space: refused hostile
sel⟨U+200B⟩ect 1

-- byte-order-mark: refused hostile
⟨U+FEFF⟩delete from orders

-- bidi-override: refused hostile
select 1 ⟨U+202E⟩ from orders

-- nul: refused hostile
select 1 ⟨U+0000⟩; delete from orders

-- empty: refused
;

-- only-a-comment: refused
-- nothing here

-- cte-delete: destroy hostile
with gone as (delete from orders returning *) select * from gone

-- cte-update: write hostile
with changed as (update orders set total = 0 where id = 1 returning *) select * from changed

-- cte-update-all: destroy hostile
with changed as (update orders set total = 0 returning *) select * from changed

-- cte-insert: write hostile
with added as (insert into events (kind) values ('x') returning id) select id from added

-- cte-delete-nested: destroy hostile
select * from (with gone as (delete from orders returning *) select * from gone) t

-- cte-delete-unused: destroy hostile
with a as (select 1), gone as (delete from items) select * from a

-- cte-delete-comment: destroy hostile
with/**/gone/**/as(/**/delete/**/from/**/orders/**/returning/**/1)select/**/1

-- cte-delete-quoted-decoy: destroy hostile
with "select" as (delete from orders returning 1) select 1 from "select"

-- cte-merge: destroy hostile
with x as (merge into orders o using items i on i.order_id = o.id when matched then delete returning 1) select 1

-- select-into: write hostile
select * into copy_of_orders from orders

-- select-into-temp: write hostile
select id into temporary table t from orders

-- select-into-from-with: write hostile
with a as (select 1 as n) select n into b from a

-- create-table-as: write hostile
create table t as select * from orders

-- create-table-as-function: unknown hostile
create table t as select pg_read_file('/etc/passwd')

-- create-temp-table: write hostile
create temp table t (a int)

-- for-update: write hostile
select * from orders for update

-- for-update-of: write hostile
select * from orders o join items i on i.order_id = o.id for update of o nowait

-- for-no-key-update: write hostile
select * from orders where id = 1 for no key update skip locked

-- for-share: write hostile
select * from orders for share

-- for-key-share: write hostile
select 1 from (select * from orders for key share) t

-- for-update-in-cte: write hostile
with t as (select * from orders for update) select * from t

-- explain-analyze-delete: destroy hostile
explain analyze delete from orders

-- explain-analyze-insert: unknown hostile
explain analyze insert into events (kind) values ('x')

-- explain-analyze-option-delete: destroy hostile
explain (costs off, analyze) delete from orders

-- explain-analyze-option-on: destroy hostile
explain (analyze on, verbose) delete from orders where id = 1

-- explain-analyze-option-twice: destroy hostile
explain (analyze false, analyze true) delete from orders

-- explain-analyze-option-quoted: destroy hostile
explain ("analyze" true) delete from orders

-- explain-analyze-cte: destroy hostile
explain analyze with gone as (delete from orders returning *) select * from gone

-- explain-analyze-create: unknown hostile
explain analyze create table t as select 1

-- explain-analyze-for-update: unknown hostile
explain analyze select * from orders for update

-- explain-with-function: unknown hostile
explain select wipe()

-- explain-explain: unknown hostile
explain explain select 1

-- explain-declare: refused hostile
explain declare c cursor for select 1

-- do-block: unknown hostile
do $$ begin delete from orders; end $$

-- do-language: unknown hostile
DO LANGUAGE plpgsql 'begin perform wipe(); end'

-- call: unknown hostile
call tidy()

-- advisory-lock: unknown hostile
select pg_advisory_lock(1)

-- advisory-lock-try: unknown hostile
select pg_try_advisory_lock(1), pg_advisory_xact_lock(2)

-- show-own-quoted: unknown hostile
show "app.key"

-- settings-of-roles: unknown hostile
select setconfig from pg_db_role_setting

-- mapping-options: unknown hostile
select option_name, option_value from information_schema.user_mapping_options

-- own-operator: unknown hostile
select 1 <!> 2

-- own-domain-record: unknown hostile
select * from json_to_record('{"a":"x"}') as x(a mydomain)

-- own-domain-rows-from: unknown hostile
select * from rows from (json_to_record('{"a":"x"}') as (a mydomain))

-- own-domain-odd-name: unknown hostile
select * from json_to_record('{}') as (update mydomain)

-- own-domain-returning: unknown hostile
select json_value(doc, '$' returning mydomain) from documents

-- signs-of-numbers: read harmless
select 1=-1, 2*-1, 3+-1, 4 - -4

-- operators-of-documents: read harmless
select '{"a":[1]}'::jsonb -> 'a' @> '[1]', '{"a":1}'::jsonb ? 'a', '[1]'::jsonb #>> '{0}'

-- declared-columns: read harmless
select * from jsonb_to_recordset('[{"id":1}]') as t(id int, name text, n numeric(10,2), at timestamp with time zone, l int[])

-- windows-named: read harmless
select sum(id) over w from customers window w as (partition by name order by id)

-- default-reads-file: unknown hostile
alter table customers add column z text default pg_read_file('/etc/hostname')

-- create-default-reads-file: unknown hostile
create table leak (z text default pg_read_file('/etc/hostname'))

-- check-calls: unknown hostile
alter table customers add constraint c check (pg_sleep(3) is not null)

-- index-calls: unknown hostile
create index leak on customers (spoil(name))

-- default-calls-own: unknown hostile
alter table customers alter column name set default spoil(1)

-- generated-calls: unknown hostile
create table leak (a int, b int generated always as (spoil(a)) stored)

-- type-using: destroy hostile
alter table customers alter column name type int using 0

-- terminate: unknown hostile
select pg_terminate_backend(pid) from pg_stat_activity

-- cancel: unknown hostile
select pg_cancel_backend(1)

-- reload: unknown hostile
select pg_reload_conf()

-- rotate-log: unknown hostile
select pg_rotate_logfile()

-- switch-wal: unknown hostile
select pg_switch_wal()

-- restore-point: unknown hostile
select pg_create_restore_point('x')

-- logical-message: unknown hostile
select pg_logical_emit_message(false, 'x', 'y')

-- replication-slot: unknown hostile
select pg_create_physical_replication_slot('x')

-- replication-slot-drop: unknown hostile
select pg_drop_replication_slot('x')

-- export-snapshot: unknown hostile
select pg_export_snapshot()

-- statistics-reset: unknown hostile
select pg_stat_reset(), pg_stat_reset_shared('bgwriter')

-- statistics-of-a-table-made-up: unknown hostile
select pg_restore_relation_stats('schemaname', 'public', 'relname', 'orders', 'reltuples', 777::real)

-- statistics-of-a-column-forgotten: unknown hostile
select pg_clear_attribute_stats('public', 'orders', 'id', false)

-- statistics-of-a-session-reset: unknown hostile
select pg_stat_reset_backend_stats(pg_backend_pid())

-- replication-slots-synchronised: unknown hostile
select pg_sync_replication_slots()

-- merge-that-returns-within-a-query: destroy hostile
with gone as (merge into events using (select 1 as id) as s on events.id = s.id when matched then delete returning events.id)
select * from gone

-- backup: unknown hostile
select pg_backup_start('x'), pg_start_backup('x')

-- promote: unknown hostile
select pg_promote()

-- transaction-number: unknown hostile
select txid_current(), pg_current_xact_id()

-- nextval: unknown hostile
select nextval('ticket')

-- setval: unknown hostile
select setval('ticket', 1000)

-- currval: unknown hostile
select lastval(), currval('ticket')

-- gin-maintenance: unknown hostile
select gin_clean_pending_list('x'::regclass), brin_summarize_new_values('y'::regclass)

-- server-address: unknown hostile
select inet_server_addr(), inet_server_port()

-- passwords: unknown hostile
select rolname, rolpassword from pg_authid

-- passwords-shadow: unknown hostile
select * from pg_catalog.pg_shadow

-- passwords-behind-cte-name: unknown hostile
with pg_authid as (select * from pg_authid) select * from pg_authid

-- passwords-table-command: unknown hostile
table pg_authid

-- passwords-of-servers: unknown hostile
select * from pg_user_mappings, pg_foreign_server

-- large-object-pages: unknown hostile
select * from pg_largeobject

-- operator-of-schema: unknown hostile
select 1 operator(public.+) 2

-- cast-to-domain: unknown hostile
select 'x'::public.evil_domain

-- cast-call-to-domain: unknown hostile
select cast('x' as evil_domain)

-- cast-to-the-grammars-name-in-quotes: unknown hostile
select 1::"bigint"

-- cast-to-the-grammars-name-by-cast: unknown hostile
select cast(1 as "integer")

-- column-of-the-grammars-name: unknown hostile
select * from json_to_recordset('[{"a": 1}]') as r (a "int")

-- conversion-to-a-type-in-text: unknown hostile
select pg_input_is_valid('1', 'order_number')

-- columns-of-a-row-as-types: unknown hostile
select json_populate_record(o, '{"id": 5}') from orders o

-- conversion-to-a-type-in-text-with-its-error: unknown hostile
select * from pg_input_error_info('1', 'order_number')

-- attribute-of-a-word-that-calls: unknown hostile
select g.wipe_name from user g

-- attribute-of-a-word-that-calls-with-a-namesake: unknown hostile
select g.wipe_day from current_date as g where exists (select from orders g)

-- attribute-of-a-call-with-a-namesake: unknown hostile
select generate_series.wipe_number from generate_series(1, 2) where exists (select from orders generate_series)

-- typed-literal-of-domain: unknown hostile
select evil_domain 'x'

-- hint: unknown hostile
/*+ Set(statement_timeout 0) */ select 1

-- xpath-table: unknown hostile
select * from xpath_table('id', 'doc', 'events', '/a', 'true') as t(id int)

-- tablefunc: unknown hostile
select * from crosstab('delete from orders returning 1, 2, 3') as t(a int, b int)

-- lo-get: unknown hostile
select lo_get(16400)

-- psql-command: refused hostile
\! id

-- psql-gexec: refused hostile
select 'drop table orders' \gexec

-- delete-all: destroy
delete from orders

-- delete-one: destroy
delete from orders where id = 1 returning *

-- delete-using: destroy
delete from items using orders where orders.id = items.order_id and orders.status = 'cancelled'

-- truncate: destroy
truncate table orders, items restart identity cascade

-- drop-table: destroy
drop table if exists orders cascade

-- drop-function: destroy
drop function wipe()

-- drop-owned: destroy
drop owned by shop_app

-- update-one: write
update orders set note = 'x', total = total * 1.1 where id = 1

-- update-from: write
update orders o set note = c.name from customers c where c.id = o.customer_id

-- update-all: destroy
update orders set note = null

-- update-where-true: destroy
update orders set note = null where true

-- update-where-itself: destroy
update orders set note = null where id = id

-- update-where-itself-qualified: destroy
update orders set note = null where orders.id = ID

-- update-where-or-true: destroy
update orders set note = null where id = 1 or 1 = 1

-- update-where-either: destroy
update orders set note = null where total > 0 or total <= 0

-- update-where-either-null: destroy
update orders set note = null where note is null or note is not null

-- update-where-not-false: destroy
update orders set note = null where not (id = 1 and false)

-- update-where-both-true: destroy
update orders set note = null where id = id and not total <> total

-- update-where-elsewhere: destroy
update orders set note = null where exists (select 1 from customers where country = 'GB')

-- update-where-in-elsewhere: destroy
update orders set note = null where 1 in (select c.id from customers c)

-- update-where-and-true: write
update orders set note = null where id = 1 and 1 = 1

-- update-where-or-false: write
update orders set note = null where id = 1 or false

-- update-where-two: write
update orders set note = null where id < 2 or id > 3

-- update-where-correlated: write
update orders set note = null where exists (select 1 from customers c where c.id = orders.customer_id)

-- update-where-in-query: write
update orders set note = null where customer_id in (select id from customers where country = 'GB')

-- update-from-unrelated: destroy
update orders set note = c.name from customers c where c.id = 1

-- delete-where-itself: destroy
delete from orders where id = id

-- update-where-one: destroy
update orders set note = null where 1 = 1

-- update-function: unknown
update orders set note = wipe()::text where id = 1

-- insert: write
insert into customers (id, name) values (4, 'Edsger'), (5, 'Barbara') returning id

-- insert-select: write
insert into events (kind, payload) select 'order', to_jsonb(o) from orders o

-- insert-on-conflict: write
insert into customers (id, name) values (1, 'Ada') on conflict (id) do update set name = excluded.name where customers.name <> excluded.name

-- insert-default: write
insert into events (kind, payload) values ('x', default)

-- insert-nextval: unknown
insert into staff (id, name) values (nextval('ticket'), 'x')

-- merge: write
merge into customers c using (values (1, 'Ada')) as v(id, name) on c.id = v.id
when matched then update set name = v.name when not matched then insert (id, name) values (v.id, v.name)

-- merge-delete: destroy
merge into orders o using customers c on c.id = o.customer_id when matched and o.total = 0 then delete when matched then do nothing

-- create-table: write
create table invoices (id int primary key, order_id int references orders (id) on delete cascade, total numeric(12, 2) default 0 check (total >= 0))

-- create-index: write
create unique index concurrently on orders (lower(note)) where note is not null

-- create-view: write
create or replace view big as select * from orders where total > 100

-- create-materialised-view: write
create materialized view m as select count(*) from orders

-- create-function: mint
create function f() returns int language sql as 'select 1'

-- create-function-definer: mint
create or replace function f() returns int language sql security definer as 'select 1'

-- create-procedure: mint
create procedure p() language sql as 'delete from orders'

-- create-trigger: mint
create trigger t before insert on orders for each row execute function f()

-- create-event-trigger: mint
create event trigger t on ddl_command_start execute function f()

-- create-rule: mint
create rule r as on insert to orders do instead delete from items

-- create-extension: mint
create extension dblink

-- create-role: mint
create role admin superuser login password 'x'

-- create-policy: mint
create policy p on orders using (true)

-- create-publication: mint
create publication p for all tables

-- create-subscription: mint
create subscription s connection 'host=10.0.0.1' publication p

-- create-schema-authorization: mint
create schema s authorization admin

-- create-language: mint
create trusted language plperl

-- create-cast: mint
create cast (text as int) with function f(text)

-- create-aggregate: mint
create aggregate agg(int) (sfunc = f, stype = int)

-- alter-add-column: write
alter table orders add column paid_at timestamptz

-- alter-rename: write
alter table orders rename column note to remark

-- alter-drop-column: destroy
alter table orders drop column note

-- alter-type-without-using: destroy
alter table orders alter column placed_at set data type date

-- alter-a-column-called-type: write
alter table orders add column type text, alter type set not null

-- alter-owner: mint
alter table orders owner to postgres

-- alter-disable-trigger: mint
alter table orders disable trigger all

-- alter-row-security: mint
alter table orders disable row level security

-- alter-default-privileges: mint
alter default privileges in schema public grant all on tables to public

-- alter-role: mint
alter role app superuser

-- alter-system: mint
alter system set archive_command = 'id'

-- alter-database: mint
alter database shop set default_transaction_read_only = off

-- alter-function: mint
alter function wipe() security definer

-- drop-role: mint
drop role admin

-- drop-policy: mint
drop policy p on orders

-- grant: mint
grant all on orders to public

-- grant-role: mint
grant pg_read_server_files to app

-- revoke: mint
revoke select on orders from app

-- reassign: mint
reassign owned by app to postgres

-- security-label: mint
security label on table orders is 'x'

-- comment: write
comment on table orders is 'all orders; even old ones'

-- refresh: write
refresh materialized view concurrently daily

-- reindex: write
reindex table orders

-- vacuum: write
vacuum full orders

-- analyze: write
analyze orders

-- cluster: write
cluster orders using orders_pkey

-- nonsense: unknown
frobnicate the orders

-- broken-select: unknown
select from where

-- digit-of-another-script: refused hostile
SELECT ٣(1)

-- digit-of-another-width: refused hostile
SELECT ５(1)

-- capital-that-some-databases-fold: refused hostile
select * from pg_authİd

-- capital-that-some-databases-fold-in-an-attribute: refused hostile
select o.WÎPE from orders o

-- capital-in-quotes: read harmless
select id as "Übersicht", name as größe from customers
