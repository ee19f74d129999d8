-- Statements of MariaDB and MySQL and what kv says of each; see postgres.sql for the format. Harmless ones run on MariaDB
-- 10.11 with the tables of mysql.schema.sql.

-- one: read harmless
select 1 as one

-- trailing-semicolon: read harmless
SELECT id, name FROM customers ORDER BY name;

-- comments: read harmless
/* customers */ select c.name # their name
from customers c -- all of them

-- minus-minus: read harmless
select 3--1 as four

-- semicolon-in-string: read harmless
select * from orders where note = 'fragile; handle with care' or note = "it's \"quoted\"; yes"

-- destructive-words-in-string: read harmless
select 'DROP TABLE orders; DELETE FROM items' as advice, "insert into x" as more, 'into outfile' as file

-- backslash-string: read harmless
select 'it\'s', 'a\\', 'b''c', 'line\nnext'

-- backquotes: read harmless
select `c`.`name` as `Customer Name` from `customers` as `c` where `c`.`id` = 1

-- backquoted-verb: read harmless
select t.`delete`, t.`update` from (select 1 as `delete`, 2 as `update`) as t

-- schema-qualified: read harmless
select count(*) from shop.orders

-- inner-join: read harmless
select o.id, c.name from orders o join customers c on c.id = o.customer_id where o.total > 10

-- left-join: read harmless
select o.* from orders o left join items i on i.order_id = o.id where i.sku is null
-- join-using: read harmless
select o.id from orders o straight_join customers c on c.id = o.customer_id

-- index-hints: read harmless
select o.id from orders o use index (by_customer) where o.customer_id = 1

-- force-index: read harmless
select id from orders force index for order by (by_customer) ignore index (words) order by customer_id

-- group-having: read harmless
select customer_id, sum(total) as spent, count(distinct status) from orders group by customer_id having spent > 5 order by spent desc limit 10

-- limit-offset: read harmless
select id from orders order by id limit 1, 2

-- group-rollup: read harmless
select status, sum(total) from orders group by status with rollup

-- group-concat: read harmless
select order_id, group_concat(distinct sku order by sku desc separator ', ') from items group by order_id

-- window-running-total: read harmless
select id, sum(total) over (partition by customer_id order by placed_at rows between unbounded preceding and current row) as running from orders

-- window-named: read harmless
select id, row_number() over w, rank() over w, lag(total, 1) over w, ntile(4) over w, first_value(total) over w from orders window w as (partition by customer_id order by total desc)

-- percentile: read harmless
select distinct customer_id, percentile_cont(0.5) within group (order by total) over (partition by customer_id) as median from orders

-- median: read harmless
select median(total) over (partition by status) from orders

-- cte: read harmless
with big as (select * from orders where total > 50), who as (select distinct customer_id from big) select c.name from customers c join who on who.customer_id = c.id

-- cte-columns: read harmless
with t (a, b) as (select id, total from orders), u (n) as (select 1) select a, b, n from t, u

-- cte-recursive: read harmless
with recursive chain(id, name, depth) as (
    select id, name, 0 from staff where manager_id is null union all
    select s.id, s.name, c.depth + 1 from staff s join chain c on s.manager_id = c.id
) select * from chain order by depth

-- cte-recursive-days: read harmless
WITH RECURSIVE d AS (SELECT DATE('2024-03-01') AS day UNION ALL SELECT day + INTERVAL 1 DAY FROM d WHERE day < '2024-03-10')
SELECT d.day, COALESCE(SUM(o.total), 0) FROM d LEFT JOIN orders o ON DATE(o.placed_at) = d.day GROUP BY d.day

-- derived-table: read harmless
select c.name, last.total from customers c join (select customer_id, max(total) as total from orders group by customer_id) last on last.customer_id = c.id

-- json-extract: read harmless
select json_extract(profile, '$.address.city'), json_unquote(json_extract(profile, '$.langs[0]')), json_value(profile, '$.age') from customers

-- json-tests: read harmless
select id from customers where json_contains(profile, '"en"', '$.langs') and json_length(profile, '$.langs') > 1 and json_exists(profile, '$.age')

-- json-build: read harmless
select o.id, json_arrayagg(json_object('sku', i.sku, 'n', i.quantity)) from orders o join items i on i.order_id = o.id group by o.id

-- json-table: read harmless
select e.id, l.sku, l.n from events e, json_table(e.payload, '$.lines[*]' columns (nr for ordinality, sku varchar(40) path '$.sku', n int path '$.n' default '0' on empty)) as l

-- json-keys: read harmless
select json_keys(profile), json_type(profile), json_valid(profile), json_search(profile, 'one', 'fr'), json_pretty(profile), json_depth(profile) from customers

-- date-maths: read harmless
select now() - interval 7 day, date_add(placed_at, interval 1 month), date_sub(placed_at, interval '1:30' hour_minute), datediff(now(), placed_at), timestampdiff(hour, placed_at, now()), last_day(placed_at) from orders

-- date-parts: read harmless
select year(placed_at), month(placed_at), dayofweek(placed_at), extract(year_month from placed_at), date_format(placed_at, '%Y-%m-%d'), str_to_date('01,5,2024', '%d,%m,%Y'), unix_timestamp(placed_at), from_unixtime(0) from orders

-- date-literals: read harmless
select date '2024-01-01', timestamp '2024-01-01 00:00:00', time '10:00:00', current_date, current_timestamp, curdate() + interval 1 day, utc_timestamp(), sysdate()

-- string-functions: read harmless
select upper(name), lower(name), char_length(name), trim(both ' ' from name), locate('a', name), position('a' in name), substring_index(email, '@', -1), left(name, 1), right(name, 1), lpad(id, 5, '0'), md5(name), concat_ws('-', name, country), replace(name, 'a', 'b'), insert(name, 1, 1, 'X'), repeat('a', 3), substring(name from 1 for 2) from customers

-- conversions: read harmless
select cast(total as signed), cast(total as char(10)), convert(total, decimal(10, 1)), convert(note using utf8mb4), cast('2024-01-01' as date), binary 'a' = 'A', cast(1 as unsigned), hex('a'), unhex('61') from orders

-- introducers: read harmless
select _utf8mb4'abc' collate utf8mb4_bin, N'abc', x'4D', 0x4D, b'101', 0b101

-- regexes: read harmless
select name regexp '^A', name rlike 'a$', name not regexp 'x', regexp_replace(name, '[aeiou]', '*'), regexp_substr(email, '@.*'), regexp_instr(name, 'a') from customers

-- like-escape: read harmless
select * from customers where name like 'A!%%' escape '!' or name not like '%x%'

-- full-text: read harmless
select id, match (note) against ('gift') as score from orders where match (note) against ('+gift -fragile' in boolean mode)

-- numbers: read harmless
select round(avg(total), 2), stddev_pop(total), greatest(1, 2), least(1, 2), 7 div 2, 7 mod 3, 7 % 3, pow(2, 10), truncate(1.234, 1), format(1234.5, 2), rand(), 1 xor 0, ~1, 5 & 3, 5 | 3, 5 ^ 3, 1 << 2, !0 from orders

-- case: read harmless
select case when total > 100 then 'large' when total > 10 then 'medium' else 'small' end, case status when 'open' then 1 else 0 end, if(total > 5, 'a', 'b'), ifnull(note, ''), nullif(1, 2), elt(1, 'x'), field('b', 'a', 'b') from orders

-- null-safe: read harmless
select * from orders where note <=> null or note is not null and total is true

-- set-operations: read harmless
(select id from customers) union all (select customer_id from orders) order by 1 limit 5

-- except-intersect: read harmless
select id from customers except select 7 intersect select 8

-- values: read harmless
values (1, 'a'), (2, 'b')

-- exists: read harmless
select * from customers c where exists (select 1 from orders o where o.customer_id = c.id) and c.id not in (select 99)

-- row-comparison: read harmless
select * from items where (order_id, sku) in (select 1, 'pen') and (quantity, price) >= (1, 1)

-- quantified: read harmless
select * from orders where total > all (select 1) and total >= any (select 2) and total = some (select 9.99)

-- sql-calc: read harmless
select sql_no_cache distinct high_priority status from orders

-- select-from-dual: read harmless
select 1 from dual where 1 = 1

-- partition-clause: read harmless
select count(*) from information_schema.partitions where table_schema = database()

-- information-schema: read harmless
select table_name, column_name, data_type, column_key from information_schema.columns where table_schema = database() order by 1, ordinal_position

-- information-schema-sizes: read harmless
select table_name, table_rows, round((data_length + index_length) / 1024 / 1024, 1) as mib from information_schema.tables where table_schema = 'shop'

-- information-schema-keys: read harmless
select constraint_name, column_name, referenced_table_name from information_schema.key_column_usage where referenced_table_name is not null

-- show-tables: read harmless
show tables

-- show-full-tables: read harmless
show full tables from shop like 'ord%'

-- show-create: read harmless
show create table orders

-- show-columns: read harmless
show full columns from orders where `Null` = 'NO'

-- show-index: read harmless
show index from orders

-- show-variables: read harmless
show global variables like 'max_%'

-- show-status: read harmless
show session status like 'Threads%'

-- show-processlist: read harmless
show full processlist

-- show-grants: unknown hostile
show grants

-- show-grants-for: unknown hostile
show grants for current_user()

-- show-table-status: read harmless
show table status like 'orders'

-- show-warnings: read harmless
show warnings limit 5

-- show-triggers: read harmless
show triggers

-- describe: read harmless
describe orders

-- describe-column: read harmless
desc orders total

-- explain-table: read harmless
explain orders

-- explain: read harmless
explain select * from orders where id = 1

-- explain-format: read harmless
explain format = json select * from orders o join items i on i.order_id = o.id

-- explain-extended: read harmless
explain extended select * from orders

-- explain-delete: read
explain delete from orders where id = 1

-- analyze-read: read harmless
analyze select count(*) from orders

-- analyze-format-read: read harmless
analyze format=json select count(*) from orders

-- session-facts: read harmless
select version(), database(), user(), current_user(), current_user, connection_id(), last_insert_id(), found_rows(), row_count()

-- system-variables: read harmless
select @@version, @@global.max_connections, @@session.sql_mode, @@`autocommit`

-- user-variable-read: read harmless
select @never_set

-- view: read harmless
select * from paid_orders

-- uuid-and-hash: read harmless
select uuid(), sha2('a', 256), to_base64('a'), from_base64('YQ=='), crc32('a'), compress('a'), inet_aton('10.0.0.1'), inet6_ntoa(inet6_aton('::1'))

-- geometry: read harmless
select st_astext(place), st_x(place), st_distance(place, point(0, 0)), st_within(place, st_geomfromtext('POLYGON((0 0, 0 9, 9 9, 9 0, 0 0))')) from events

-- unicode: read harmless
select name as имя from customers where name <> 'Łódź → ∞'

-- limit-rows: read harmless
select id from orders order by id offset 1 rows fetch next 2 rows only

-- lateral-of-eight: read
select c.name, last.total from customers c, lateral (select total from orders o where o.customer_id = c.id limit 1) last

-- arrows-of-eight: read
select profile->'$.age', profile->>'$.address.city' from customers

-- table-of-eight: read
table orders order by id limit 5

-- values-row-of-eight: read
values row (1, 2), row (3, 4)

-- member-of-eight: read
select 'en' member of (profile->'$.langs') from customers

-- grouping-of-eight: read
select status, grouping(status), any_value(note) from orders group by status with rollup

-- conditional-comment: refused hostile
select 1 /*! into outfile '/tmp/x' */

-- conditional-comment-version: refused hostile
/*!50000 delete from orders */

-- conditional-comment-mariadb: refused hostile
/*M! delete from orders */

-- conditional-comment-mariadb-version: refused hostile
/*M!100100 delete from orders */

-- conditional-comment-inside-word: refused hostile
select 1 from orders where id = 1 /*!or sleep(1)*/

-- conditional-comment-nested: refused hostile
select 1 /* a /*! b */ delete from orders */

-- conditional-comment-split: refused hostile
/*!50000 del*//*!50000 ete from orders*/

-- conditional-comment-in-string: refused hostile
select '\'/*! union select 1 */'

-- conditional-comment-unclosed: refused hostile
select 1 /*!99999 ; delete from orders

-- hint-set-var: refused hostile
select /*+ SET_VAR(sql_mode = 'ANSI_QUOTES') */ 1

-- hint-execution-time: refused hostile
select /*+ MAX_EXECUTION_TIME(0) */ * from orders

-- into-outfile: refused hostile
select * from orders into outfile '/tmp/orders.csv'

-- into-outfile-early: refused hostile
select * into outfile '/tmp/orders.csv' fields terminated by ',' from orders

-- into-outfile-comment: refused hostile
select 1 into/**/outfile '/tmp/x'

-- into-outfile-newline: refused hostile
select 1 into
outfile '/tmp/x'

-- into-outfile-hash: refused hostile
select 1 into # comment
outfile '/tmp/x'

-- into-outfile-union: refused hostile
select 1 union select '<?php' into outfile '/var/www/x.php'

-- into-outfile-subquery: refused hostile
(select 1 into outfile '/tmp/x')

-- into-outfile-cte: refused hostile
with t as (select 1) select * from t into outfile '/tmp/x'

-- into-outfile-lines: refused hostile
select 1 limit 0, 1 into outfile '/tmp/x' lines terminated by 0x3c3f

-- into-dumpfile: refused hostile
select 0x7f454c46 into dumpfile '/usr/lib/mysql/plugin/udf.so'

-- into-outfile-insert: refused hostile
insert into orders (id) select 1 into outfile '/tmp/x'

-- into-variable: refused hostile
select 1 into @a

-- into-variables: refused hostile
select id, total from orders limit 1 into @id, @total

-- into-local: refused hostile
select 1 into a

-- values-into: refused hostile
values (1) into outfile '/tmp/x'

-- explain-into: refused hostile
explain format = json into @plan select 1

-- user-variable-set: unknown hostile
select @a := 1

-- user-variable-set-in-where: unknown hostile
select * from orders where (@a := id) > 0

-- user-variable-counter: unknown hostile
select @n := @n + 1, id from orders, (select @n := 0) x

-- set: refused hostile
set @a = 1

-- set-transaction: refused hostile
set transaction read write

-- set-session: refused hostile
SET SESSION TRANSACTION READ WRITE

-- set-global: refused hostile
set global general_log_file = '/tmp/x'

-- set-statement: refused hostile
set statement max_statement_time = 0 for select 1

-- set-password: refused hostile
set password = password('x')

-- set-role: refused hostile
set role admin

-- set-names: refused hostile
set names gbk

-- begin: refused hostile
begin

-- begin-work: refused hostile
BEGIN WORK

-- begin-not-atomic: refused hostile
begin not atomic delete from orders; end

-- start-transaction: refused hostile
start transaction read write

-- commit: refused hostile
commit

-- rollback: refused hostile
rollback and no chain

-- savepoint: refused hostile
savepoint a

-- release: refused hostile
release savepoint a

-- xa: refused hostile
xa start 'a'

-- prepare: refused hostile
prepare p from 'delete from orders'

-- execute: refused hostile
execute p

-- execute-immediate: refused hostile
execute immediate 'delete from orders'

-- deallocate: refused hostile
deallocate prepare p

-- drop-prepare: refused hostile
drop prepare p

-- lock-tables: refused hostile
lock tables orders write

-- unlock-tables: refused hostile
unlock tables

-- use: refused hostile
use mysql

-- handler-open: refused hostile
handler orders open

-- handler-read: refused hostile
handler orders read first

-- flush: refused hostile
flush tables with read lock

-- flush-privileges: refused hostile
FLUSH PRIVILEGES

-- kill: refused hostile
kill 1

-- kill-query: refused hostile
kill query id 5

-- shutdown: refused hostile
shutdown

-- reset-master: refused hostile
reset master

-- purge: refused hostile
purge binary logs before now()

-- change-master: refused hostile
change master to master_host = '10.0.0.1'

-- start-slave: refused hostile
start slave

-- stop-slave: refused hostile
stop slave

-- binlog: refused hostile
binlog 'abc'

-- show-binlog: refused hostile
show binlog events

-- cache-index: refused hostile
cache index orders in hot

-- install-plugin: refused hostile
install plugin x soname 'x.so'

-- install-soname: refused hostile
install soname 'ha_connect'

-- load-data: refused hostile
load data infile '/etc/passwd' into table orders

-- load-data-local: refused hostile
load data local infile '/etc/passwd' into table orders

-- load-xml: refused hostile
load xml infile '/tmp/x' into table orders

-- load-index: refused hostile
load index into cache orders

-- get-diagnostics: refused hostile
get diagnostics @a = number

-- signal: refused hostile
signal sqlstate '45000'

-- delimiter: refused hostile
delimiter //

-- source: refused hostile
source /tmp/x.sql

-- backslash-command: refused hostile
\! id

-- if-block: refused hostile
if 1 then delete from orders; end if

-- load-file: unknown hostile
select load_file('/etc/passwd')

-- load-file-capitals: unknown hostile
SELECT LOAD_FILE(0x2F6574632F706173737764)

-- load-file-space: unknown hostile
select load_file  ('/etc/passwd')

-- load-file-comment: unknown hostile
select load_file/**/('/etc/passwd')

-- load-file-hash-comment: unknown hostile
select load_file # x
('/etc/passwd')

-- load-file-backquoted: unknown hostile
select `load_file`('/etc/passwd')

-- load-file-double-quoted: unknown hostile
select "load_file"('/etc/passwd')

-- load-file-in-union: unknown hostile
select note from orders union select load_file('/etc/passwd')

-- load-file-in-subquery: unknown hostile
select * from orders where note = (select load_file('/etc/passwd'))

-- load-file-in-insert: unknown hostile
insert into events (kind) values (load_file('/etc/passwd'))

-- load-file-in-show: unknown hostile
show tables where load_file('/etc/passwd') is not null

-- load-file-alias-decoy: unknown hostile
select load_file('/etc/passwd') from (select 1) as load_file

-- sleep: unknown hostile
select sleep(1)

-- sleep-in-where: unknown hostile
select * from orders where id = 1 and sleep(1)

-- sleep-in-order: unknown hostile
select * from orders order by if(1, sleep(1), 1)

-- sleep-in-limit-subquery: unknown hostile
select (select sleep(1)) from orders

-- sleep-in-explain: unknown hostile
explain select sleep(1)

-- sleep-in-show: unknown hostile
show variables where sleep(1) = 0

-- sleep-in-cte: unknown hostile
with sleep (a) as (select 1) select sleep(1) from sleep

-- sleep-in-json-table: unknown hostile
select * from json_table(concat('[', sleep(1), ']'), '$[*]' columns (a int path '$')) as t

-- minus-minus-hides-nothing: unknown hostile
select 1--1, sleep(1)

-- benchmark: unknown hostile
select benchmark(1000000000, md5('a'))

-- get-lock: unknown hostile
select get_lock('a', 10)

-- release-lock: unknown hostile
select release_lock('a'), release_all_locks(), is_free_lock('a'), is_used_lock('a')

-- master-wait: unknown hostile
select master_pos_wait('x', 4), source_pos_wait('x', 4), master_gtid_wait('0-1-1')

-- sequence-nextval: unknown hostile
select nextval(ticket)

-- sequence-next-value: unknown hostile
select next value for ticket

-- sequence-setval: unknown hostile
select setval(ticket, 100)

-- sequence-lastval: unknown hostile
select lastval(ticket)

-- user-function: unknown hostile
select wipe()

-- user-function-qualified: unknown hostile
select shop.wipe()

-- user-function-qualified-backquoted: unknown hostile
select `shop`.`wipe`()

-- user-function-qualified-like-a-builtin: unknown hostile
select shop.lower('a')

-- user-function-in-group: unknown hostile
select count(*) from orders group by wipe()

-- udf-system: unknown hostile
select sys_exec('id'), sys_eval('id')

-- udf-create: mint hostile
create function sys_exec returns int soname 'udf.so'

-- procedure-analyse: unknown hostile
select * from orders procedure analyse(extractvalue(1, wipe()))

-- system-accounts: unknown hostile
select user, host, authentication_string from mysql.user

-- system-accounts-mariadb: unknown hostile
select * from mysql.global_priv

-- system-servers: unknown hostile
select * from mysql.servers

-- system-accounts-capitals: unknown hostile
select * from `mysql`.`user` as orders

-- show-create-user: unknown hostile
show create user root@localhost

-- default-sleeps: unknown hostile
create table leak (a int default (sleep(10)))

-- default-sleeps-before-query: unknown hostile
create table leak (a int default (sleep(10))) as select 1 as b

-- check-sleeps: unknown hostile
alter table customers add constraint c check (sleep(10) = 0)

-- key-prefix: write
alter table customers add key by_name (name(10), id)

-- show-create-server: unknown hostile
show create server elsewhere

-- show-where-query: unknown hostile
show variables where variable_name = 'port' and (select 1 from mysql.global_priv where user = 'app') = 1

-- show-where-nested: unknown hostile
show status where ((select count(*) from mysql.user)) > 0

-- show-where-exists: unknown hostile
show tables where exists (table mysql.user)

-- show-where-variable: unknown hostile
show status where (@a := 1) and variable_name = 'Uptime'

-- show-where-sequence: unknown hostile
show tables where (next value for numbers) > 0

-- show-where-list: read harmless
show variables where variable_name in ('port', 'version')

-- show-explain-for: unknown hostile
show explain for 1

-- explain-for-connection: unknown hostile
explain for connection 1

-- explain-analyze-delete: destroy hostile
explain analyze delete from orders

-- explain-analyze-tab: destroy hostile
explain	analyze delete from orders

-- analyze-delete: destroy hostile
analyze delete from orders where id = 1

-- analyze-update: unknown hostile
analyze update orders set note = 'x' where id = 1

-- analyze-format-delete: destroy hostile
analyze format = json delete from orders

-- analyze-insert: unknown hostile
analyze insert into events (kind) values ('x')

-- analyze-function: unknown hostile
analyze select wipe()

-- vertical-tab: refused hostile
explain⟨U+000B⟩analyze delete from orders

-- form-feed: refused hostile
delete⟨U+000C⟩from orders

-- no-break-space: refused hostile
delete⟨U+00A0⟩from orders

-- nul: refused hostile
select 1 ⟨U+0000⟩; delete from orders

-- two-statements: refused hostile
select 1; delete from orders

-- two-statements-hash: refused hostile
select 1 # ;
; delete from orders

-- two-statements-backslash: refused hostile
select '\\'; delete from orders; -- '

-- two-statements-double-quote: refused hostile
select "'"; delete from orders; -- "'"

-- two-statements-backquote: refused hostile
select `'`; delete from orders; -- `'`

-- two-statements-minus-minus: refused hostile
select 1 --; delete from orders

-- two-statements-comment: refused hostile
select 1 /* /* */; delete from orders /* */

-- unclosed-comment: refused hostile
select 1 /* delete from orders

-- unclosed-string: refused hostile
select 'a\'

-- empty: refused
/* nothing */

-- for-update: write hostile
select * from orders for update

-- for-update-skip: write hostile
select * from orders where id = 1 for update skip locked

-- for-share: write hostile
select * from orders for share

-- lock-in-share-mode: write hostile
select * from orders lock in share mode

-- for-update-derived: write hostile
select * from (select * from orders for update) t

-- do: unknown hostile
do sleep(1)

-- call: unknown hostile
call tidy()

-- call-qualified: unknown hostile
call shop.tidy()

-- cte-delete: destroy hostile
with t as (select 1 as id) delete from orders where id in (select id from t)

-- cte-update: write hostile
with t as (select 1 as id) update orders set note = 'x' where id in (select id from t)

-- create-event: mint hostile
create event e on schedule every 1 day do delete from orders

-- create-definer-view: mint hostile
create definer = root@localhost sql security definer view v as select * from mysql.user

-- create-federated: unknown hostile
create table f (a int) engine = federated connection = 'mysql://u:p@10.0.0.1/x/y'

-- create-connect: unknown hostile
create table f engine = connect table_type = dos file_name = '/etc/passwd'

-- create-directory: unknown hostile
create table f (a int) data directory = '/tmp'

-- import-table: refused hostile
import table from '/tmp/x.sdi'

-- create-server: mint hostile
create server s foreign data wrapper mysql options (host '10.0.0.1')

-- delete-all: destroy
delete from orders

-- delete-one: destroy
delete low_priority from orders where id = 1 limit 1

-- delete-multi: destroy
delete o, i from orders o join items i on i.order_id = o.id where o.id = 1

-- truncate: destroy
truncate table orders

-- truncate-short: destroy
truncate orders

-- drop-table: destroy
drop table if exists orders, items

-- drop-index: destroy
drop index by_customer on orders

-- update-one: write
update orders set note = 'x', total = total * 1.1 where id = 1 order by id limit 1

-- update-join: write
update orders o join customers c on c.id = o.customer_id set o.note = c.name where c.id = 1

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

-- delete-where-itself: destroy
delete from orders where id = id

-- insert: write
insert into customers (id, name) values (4, 'Edsger'), (5, 'Barbara')

-- insert-without-into: write
insert ignore customers (id, name) values (4, 'Edsger')

-- insert-set: write
insert into customers set id = 4, name = 'Edsger'

-- insert-select: write
insert into events (kind, payload) select 'order', json_object('id', id) from orders

-- insert-duplicate: write
insert into customers (id, name) values (1, 'Ada') on duplicate key update name = values(name)

-- replace: destroy
replace into customers (id, name) values (1, 'Ada')

-- create-table: write
create table invoices (id int auto_increment primary key, order_id int, total decimal(12, 2) default 0, key (order_id)) engine = innodb default charset = utf8mb4

-- create-table-like: write
create table orders_copy like orders

-- create-table-select: write
create table t select * from orders

-- create-or-replace-table: destroy
create or replace table t (a int)

-- create-table-select-function: unknown
create table t select load_file('/etc/passwd')

-- create-index: write
create index by_note on orders (note(10))

-- create-view: write
create view big as select * from orders where total > 100

-- create-function: mint
create function f() returns int return 1

-- create-procedure: mint
create procedure p() delete from orders

-- create-trigger: mint
create trigger t before insert on orders for each row set new.note = 'x'

-- create-user: mint
create user 'evil'@'%' identified by 'x'

-- create-role: mint
create role admin

-- alter-add: write
alter table orders add column paid_at datetime, add index (status)

-- create-connect-quoted: unknown
create table f (a int) engine 'CONNECT' table_type = dos file_name = '/etc/passwd'

-- create-federated-in-backticks: unknown
create table f (a int) engine = `federated`

-- create-engine-of-a-partition: unknown
create table f (a int) partition by range (a) (partition p values less than (5) engine spider)

-- create-engine-in-memory: write
create table f (engine varchar(10), a int) engine = memory

-- alter-engine: write
alter table orders engine = InnoDB, add engine varchar(10)

-- alter-engine-that-keeps-nothing: unknown
alter table orders engine = "blackhole"

-- alter-engine-in-memory: unknown
alter table orders engine memory

-- alter-ignore: destroy
alter ignore table orders add unique (customer_id)

-- alter-modify: write
alter table orders modify note longtext

-- alter-drop: destroy
alter table orders drop column note

-- alter-user: mint
alter user root@localhost identified by ''

-- alter-event: mint
alter event e enable

-- rename-table: write
rename table orders to orders_old

-- rename-user: mint
rename user a@b to c@d

-- drop-user: mint
drop user app@localhost

-- grant: mint
grant all on *.* to 'evil'@'%' with grant option

-- grant-file: mint
grant file on *.* to app@localhost

-- revoke: mint
revoke select on shop.* from app@localhost

-- optimize: write
optimize table orders

-- analyze-table: write
analyze table orders

-- check-table: write
check table orders

-- checksum-table: write
checksum table orders

-- repair-table: write
repair table orders

-- nonsense: unknown
frobnicate the orders

-- broken-select: unknown
select from where

-- digit-of-another-script: refused hostile
SELECT ٣(1)

-- digit-of-another-width: refused hostile
SELECT ５(1)
