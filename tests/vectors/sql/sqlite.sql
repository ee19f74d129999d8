-- Statements of SQLite and what kv says of each; see postgres.sql for the format. Harmless ones run on SQLite 3.40 with the
-- tables of sqlite.schema.sql.

-- one: read harmless
select 1 as one

-- trailing-semicolon: read harmless
SELECT id, name FROM customers ORDER BY name;

-- comments: read harmless
/* customers */ select c.name -- their name
from customers c -- all of them

-- semicolon-in-string: read harmless
select * from orders where note = 'fragile; handle with care' or note = 'it''s; fine'

-- destructive-words-in-string: read harmless
select 'DROP TABLE orders; DELETE FROM items' as advice, 'attach database' as more

-- backslash-is-a-letter: read harmless
select 'a\', 'b' as "it's"

-- quoted-names: read harmless
select "c"."name", [c].[email], `c`.`id` as [Customer Number] from "customers" as c where [c].id = 1

-- quoted-verbs: read harmless
select t."delete", t.[update] from (select 1 as "delete", 2 as [update]) as t

-- schema-qualified: read harmless
select count(*) from main.orders

-- inner-join: read harmless
select o.id, c.name from orders o join customers c on c.id = o.customer_id where o.total > 10

-- left-join-using: read harmless
select i.sku from orders o left join items i on i.order_id = o.id natural join (select 1 as one)

-- full-outer-join: read harmless
select o.id, i.sku from orders o full outer join items i on i.order_id = o.id

-- indexed-by: read harmless
select id from orders indexed by by_customer where customer_id = 1

-- not-indexed: read harmless
select id from orders not indexed where customer_id = 1

-- group-having: read harmless
select customer_id, sum(total) as spent, count(distinct status), count(*) filter (where status = 'paid') from orders group by customer_id having spent > 5 order by spent desc nulls last limit 10 offset 0

-- limit-comma: read harmless
select id from orders limit 1, 2

-- group-concat: read harmless
select order_id, group_concat(sku, ', ') from items group by order_id

-- window-running-total: read harmless
select id, sum(total) over (partition by customer_id order by placed_at rows between unbounded preceding and current row) as running from orders

-- window-frames: read harmless
select id, avg(total) over (order by placed_at range between 5 preceding and 5 following exclude current row), sum(total) over (order by id groups 1 preceding) from orders

-- window-named: read harmless
select id, row_number() over w, rank() over w, dense_rank() over w, lag(total, 1, 0) over w, lead(total) over w, ntile(4) over w, first_value(total) over w, cume_dist() over w, percent_rank() over w from orders window w as (partition by customer_id order by total desc)

-- cte: read harmless
with big as (select * from orders where total > 50), who as (select distinct customer_id from big) select c.name from customers c join who on who.customer_id = c.id

-- cte-columns-materialized: read harmless
with t (a, b) as materialized (select id, total from orders), u (n) as not materialized (select 1) select a, b, n from t, u

-- cte-recursive: read harmless
with recursive chain(id, name, depth) as (
    select id, name, 0 from staff where manager_id is null union all
    select s.id, s.name, c.depth + 1 from staff s join chain c on s.manager_id = c.id
) select printf('%*s%s', depth * 2, '', name) from chain order by depth

-- cte-recursive-counter: read harmless
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t

-- cte-recursive-limit: read harmless
with recursive days(day) as (select date('2024-03-01') union all select date(day, '+1 day') from days limit 10) select day, coalesce((select sum(total) from orders where date(placed_at) = day), 0) from days

-- cte-without-recursive: read harmless
with n(x) as (select 1 union all select x + 1 from n where x < 5) select x from n

-- json-extract: read harmless
select json_extract(profile, '$.address.city'), profile -> '$.langs', profile ->> '$.age', profile ->> 'age' from customers

-- json-each: read harmless
select c.id, j.key, j.value, j.type from customers c, json_each(c.profile) j

-- json-each-array: read harmless
select e.id, json_extract(line.value, '$.sku') from events e, json_each(e.payload, '$.lines') as line

-- json-tree: read harmless
select t.fullkey, t.atom from events, json_tree(events.payload) as t where t.atom is not null

-- json-build: read harmless
select o.id, json_group_array(json_object('sku', i.sku, 'n', i.quantity)) from orders o join items i on i.order_id = o.id group by o.id

-- json-change: read harmless
select json_set(profile, '$.age', 1), json_remove(profile, '$.age'), json_insert(profile, '$.x', 1), json_patch(profile, '{"a":1}'), json_type(profile), json_valid(profile), json_array_length(profile, '$.langs') from customers

-- date-maths: read harmless
select date('now'), datetime('now', '-7 days', 'localtime'), julianday('now') - julianday(placed_at), strftime('%Y-%m', placed_at), unixepoch(placed_at), time('12:00') from orders

-- date-keywords: read harmless
select current_date, current_time, current_timestamp

-- string-functions: read harmless
select upper(name), lower(name), length(name), trim(name), ltrim(name, 'A'), substr(name, 1, 2), substring(name, 2), replace(name, 'a', 'b'), instr(name, 'a'), hex(name), quote(name), printf('%05d', id), format('%s', name), unicode(name), char(65, 66), name || '-' || country from customers

-- like-glob: read harmless
select * from customers where name like 'A!%' escape '!' or name glob 'G*' or name not like '%x%'

-- like-function: read harmless
select like('A%', name), glob('A*', name) from customers

-- collate: read harmless
select * from customers where name = 'ada' collate nocase order by name collate binary

-- full-text: read harmless
select rowid, snippet(notes, 0, '<', '>', '…', 5), bm25(notes) from notes where notes match 'gift OR fragile' order by rank

-- full-text-highlight: read harmless
select highlight(notes, 0, '[', ']') from notes where body match 'gift'

-- full-text-as-function: unknown
select rowid from notes('gift')

-- numbers: read harmless
select round(avg(total), 2), max(1, 2, 3), min(1, 2), abs(-5), 7 % 3, 7 / 2, ~1, 5 & 3, 5 | 3, 1 << 2, 0x1F, 1e3, .5, random(), total(total), typeof(total) from orders

-- maths: read harmless
select pow(2, 10), sqrt(16), ln(2), log(10), log2(8), exp(1), pi(), sin(0), ceil(1.2), floor(1.8), trunc(1.5), mod(7, 3), sign(-1), degrees(1), radians(1)

-- case: read harmless
select case when total > 100 then 'large' when total > 10 then 'medium' else 'small' end, case status when 'open' then 1 else 0 end, iif(total > 5, 'a', 'b'), ifnull(note, ''), nullif(1, 2), coalesce(note, status) from orders

-- is-distinct: read harmless
select note is null, note isnull, note notnull, note is not 'a', note is distinct from 'a', total between 1 and 10 from orders

-- set-operations: read harmless
select id from customers union all select customer_id from orders except select 7 intersect select 8 order by 1

-- values: read harmless
values (1, 'a'), (2, 'b')

-- values-from: read harmless
select v.column1, c.name from (values (1), (2)) as v join customers c on c.id = v.column1

-- exists: read harmless
select * from customers c where exists (select 1 from orders o where o.customer_id = c.id) and c.id not in (select 99)

-- row-values: read harmless
select * from items where (order_id, sku) in (select 1, 'pen') and (quantity, price) >= (1, 1)

-- in-table: read harmless
select * from customers where id in (1, 2, 3) and country in ('GB', 'US')

-- cast: read harmless
select cast(total as integer), cast('1' as real), cast(id as text), cast(x'41' as text) from orders

-- scalar-subquery: read harmless
select (select count(*) from orders), (select max(total) from orders where customer_id = c.id) from customers c

-- min-max-bare-column: read harmless
select customer_id, max(total), note from orders group by customer_id

-- blobs: read harmless
select x'0102', zeroblob(4), hex(randomblob(4)), length(x'00')

-- schema-table: read harmless
select type, name, tbl_name, sql from sqlite_master where type in ('table', 'index') order by name

-- schema-table-new-name: read harmless
select name from sqlite_schema where name not like 'sqlite_%'

-- rowid: read harmless
select rowid, _rowid_, oid, * from orders

-- explain: read harmless
explain select * from orders where id = 1

-- explain-query-plan: read harmless
explain query plan select * from orders o join items i on i.order_id = o.id

-- explain-of-delete: read
explain query plan delete from orders where id = 1

-- explain-of-insert: read
explain insert into staff values (9, 'x', null)

-- versions: read harmless
select sqlite_version(), sqlite_source_id(), changes(), total_changes(), last_insert_rowid()

-- view: read harmless
select * from paid_orders

-- likelihood: read harmless
select * from orders where likely(total > 5) and unlikely(status = 'x') and likelihood(total > 0, 0.5)

-- double-quoted-text: read harmless
select * from customers where country = "GB"

-- distinct: read harmless
select distinct status, count(*) from orders group by 1 order by 2 desc

-- cross-join: read harmless
select count(*) from orders cross join items, staff

-- unicode: read harmless
select name as имя from customers where name <> 'Łódź → ∞'

-- empty-in: read harmless
select * from orders where id in ()

-- double-equals: read harmless
select * from orders where id == 1 and status != 'x' and not total > 1000

-- attach: refused hostile
attach database '/tmp/other.db' as other

-- attach-short: refused hostile
ATTACH '/tmp/other.db' AS o

-- attach-create: refused hostile
attach 'file:/tmp/new.db?mode=rwc' as o

-- attach-expression: refused hostile
attach '/tmp/' || 'x.db' as o

-- attach-comment: refused hostile
/* select */ attach/**/'/tmp/x'/**/as/**/o

-- attach-memory: refused hostile
attach ':memory:' as m

-- attach-explained: refused hostile
explain attach '/tmp/other.db' as o

-- detach: refused hostile
detach database main

-- vacuum-into: refused hostile
vacuum into '/tmp/copy.db'

-- vacuum-main-into: refused hostile
VACUUM main INTO '/tmp/copy.db'

-- vacuum-into-comment: refused hostile
vacuum/**/into/**/'/tmp/copy.db'

-- vacuum-into-explained: refused hostile
explain vacuum into '/tmp/copy.db'

-- pragma-query-only: refused hostile
pragma query_only = 0

-- pragma-writable-schema: refused hostile
PRAGMA writable_schema = ON

-- pragma-writable-schema-call: refused hostile
pragma writable_schema(1)

-- pragma-main: refused hostile
pragma main.journal_mode = delete

-- pragma-journal-mode: refused hostile
pragma journal_mode = wal

-- pragma-trusted-schema: refused hostile
pragma trusted_schema = 1

-- pragma-temp-store-directory: refused hostile
pragma temp_store_directory = '/tmp'

-- pragma-key: refused hostile
pragma key = 'x'

-- pragma-user-version: refused hostile
pragma user_version = 99

-- pragma-schema-version: refused hostile
pragma schema_version = 1

-- pragma-foreign-keys: refused hostile
pragma foreign_keys = off

-- pragma-integrity: refused hostile
pragma integrity_check

-- pragma-table-info: refused hostile
pragma table_info(orders)

-- pragma-wal-checkpoint: refused hostile
pragma wal_checkpoint(truncate)

-- pragma-mmap: refused hostile
pragma mmap_size = 1099511627776

-- pragma-explained: refused hostile
explain pragma journal_mode = delete

-- pragma-explained-plan: refused hostile
explain query plan pragma user_version = 5

-- pragma-function: refused hostile
select * from pragma_table_info('orders')

-- pragma-function-database-list: refused hostile
select file from pragma_database_list

-- pragma-function-quoted: refused hostile
select * from "pragma_function_list"

-- pragma-function-brackets: refused hostile
select * from [PRAGMA_module_list]

-- pragma-comment: refused hostile
-- select 1
pragma query_only = off

-- load-extension: refused hostile
select load_extension('/tmp/evil.so')

-- load-extension-entry: refused hostile
select load_extension('/tmp/evil.so', 'init')

-- load-extension-capitals: refused hostile
SELECT LOAD_EXTENSION('/tmp/evil.so')

-- load-extension-quoted: refused hostile
select "load_extension"('/tmp/evil.so')

-- load-extension-brackets: refused hostile
select [load_extension]('/tmp/evil.so')

-- load-extension-backquoted: refused hostile
select `load_extension` ('/tmp/evil.so')

-- load-extension-comment: refused hostile
select load_extension/* */('/tmp/evil.so')

-- load-extension-in-trigger: refused hostile
create temp view v as select load_extension('/tmp/evil.so')

-- readfile: unknown hostile
select readfile('/etc/passwd')

-- writefile: unknown hostile
select writefile('/tmp/x', 'y')

-- writefile-quoted: unknown hostile
select "writefile"('/tmp/x', 'y')

-- edit: unknown hostile
select edit('x', 'vi')

-- fsdir: unknown hostile
select * from fsdir('/')

-- zipfile: unknown hostile
select * from zipfile('/tmp/x.zip')

-- csv-table: unknown hostile
create virtual table temp.t using csv(filename = '/etc/passwd')

-- virtual-table: unknown hostile
create virtual table t using fts5(body)

-- virtual-table-dbpage: unknown hostile
select * from sqlite_dbpage

-- virtual-table-dbpage-quoted: unknown hostile
select data from "SQLITE_DBPAGE" where pgno = 1

-- fts3-tokenizer: unknown hostile
select fts3_tokenizer('simple')

-- fts3-tokenizer-set: unknown hostile
select fts3_tokenizer('simple', x'4141414141414141')

-- fts5-pointer: unknown hostile
select fts5(1)

-- log: unknown hostile
select sqlite_log(1, 'x')

-- eval: unknown hostile
select eval('delete from orders')

-- application-function: unknown hostile
select my_function(name) from customers

-- function-in-where: unknown hostile
select * from orders where my_function() = 1

-- function-in-order: unknown hostile
select 1 from orders order by my_function()

-- function-in-window: unknown hostile
select sum(total) filter (where my_function()) over (order by my_function()) from orders

-- function-alias-decoy: unknown hostile
select readfile('/etc/passwd') from (select 1) as readfile

-- function-cte-decoy: unknown hostile
with readfile (a) as (select 1) select readfile('/etc/passwd') from readfile

-- function-in-values: unknown hostile
values (readfile('/etc/passwd'))

-- function-explained: unknown hostile
explain select readfile('/etc/passwd')

-- function-newline: unknown hostile
select readfile
('/etc/passwd')

-- function-as-table: unknown hostile
select * from generate_series(1, 1000000000000)

-- begin: refused hostile
begin

-- begin-immediate: refused hostile
BEGIN IMMEDIATE

-- begin-exclusive: refused hostile
begin exclusive transaction

-- commit: refused hostile
commit

-- end: refused hostile
end transaction

-- rollback: refused hostile
rollback

-- savepoint: refused hostile
savepoint a

-- release: refused hostile
release a

-- two-statements: refused hostile
select 1; delete from orders

-- two-statements-comment: refused hostile
select 1 -- ;
; drop table orders

-- two-statements-block: refused hostile
select 1 /* ' */ ; drop table orders /* ' */

-- two-statements-backslash: refused hostile
select '\'; delete from orders; --'

-- two-statements-brackets: refused hostile
select [']; delete from orders; --']

-- two-statements-nested-comment: refused hostile
select 1 /* /* */ ; delete from orders -- */

-- two-statements-carriage-return: refused hostile
select 1 -- x⟨U+000D⟩
; delete from orders

-- unclosed-comment: refused hostile
select 1 /* delete from orders

-- unclosed-name: refused hostile
select [abc

-- vertical-tab: refused hostile
delete⟨U+000B⟩from orders

-- form-feed: refused hostile
delete⟨U+000C⟩from orders

-- no-break-space: refused hostile
attach⟨U+00A0⟩'/tmp/x' as o

-- nul: refused hostile
select 1⟨U+0000⟩; delete from orders

-- byte-order-mark: refused hostile
⟨U+FEFF⟩attach '/tmp/x' as o

-- dot-command: refused hostile
.shell id

-- cte-delete: destroy hostile
with t as (select 1 as id) delete from orders where id in (select id from t)

-- cte-update: write hostile
with t as (select 1 as id) update orders set note = 'x' where id in (select id from t)

-- cte-insert: write hostile
with t as (select 9 as id) insert into staff (id, name) select id, 'x' from t

-- cte-replace: destroy hostile
with t as (select 1 as id) replace into staff (id, name) select id, 'x' from t

-- schema-update: write hostile
update sqlite_master set sql = 'x' where name = 'orders'

-- schema-insert: write hostile
insert into sqlite_schema values ('view', 'v', 'v', 0, 'create view v as select 1')

-- full-text-command: unknown hostile
insert into notes (notes) values ('optimize')

-- temp-trigger: refused hostile
create temp trigger t after insert on orders begin delete from items; end

-- temp-view: write hostile
create temp view v as select * from orders

-- create-table-as-function: unknown hostile
create table t as select readfile('/etc/passwd')

-- table-default-function: unknown hostile
create table t (a default (readfile('/etc/passwd')))

-- returning-delete: destroy hostile
delete from orders where id = 1 returning *

-- explain-of-attach-name: read
explain select 'attach' as attach_

-- empty: refused
-- nothing

-- delete-all: destroy
delete from orders

-- drop-table: destroy
drop table if exists orders

-- drop-trigger: mint
drop trigger if exists t

-- update-one: write
update orders set note = 'x', total = total * 1.1 where id = 1

-- update-from: write
update orders set note = c.name from customers c where c.id = orders.customer_id

-- update-all: destroy
update orders set note = null

-- update-where-true: destroy
update orders set note = null where 1

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

-- update-or-replace: destroy
update or replace orders set id = 2 where id = 1

-- insert: write
insert into customers (id, name) values (4, 'Edsger'), (5, 'Barbara')

-- insert-or-ignore: write
insert or ignore into customers (id, name) values (1, 'Ada')

-- insert-or-replace: destroy
insert or replace into customers (id, name) values (1, 'Ada')

-- insert-on-conflict: write
insert into customers (id, name) values (1, 'Ada') on conflict (id) do update set name = excluded.name

-- insert-default-values: write
insert into events default values

-- replace: destroy
replace into customers (id, name) values (1, 'Ada')

-- create-table: write
create table if not exists invoices (id integer primary key autoincrement, order_id integer references orders (id) on delete cascade, total numeric(12, 2) default 0 check (total >= 0)) strict

-- create-index: write
create unique index if not exists i on orders (lower(note)) where note is not null

-- create-view: write
create view big as select * from orders where total > 100

-- insert-a-command: unknown
insert into main.notes("NOTES") values ('delete-all')

-- insert-a-command-by-an-alias: unknown
insert into 'notes' as n (rowid, notes) values (?1, 'delete')

-- insert-a-text-like-the-table: write
insert into orders (id, note) values (9, 'orders')

-- alter-add: write
alter table orders add column paid_at text

-- alter-drop: destroy
alter table orders drop column note

-- alter-rename: write
alter table orders rename to orders_old

-- reindex: write
reindex orders

-- analyze: write
analyze

-- vacuum: write
vacuum

-- nonsense: unknown
frobnicate the orders

-- broken-select: unknown
select from where

-- digit-of-another-script: refused hostile
SELECT ٣(1)

-- digit-of-another-width: refused hostile
SELECT ５(1)
