-- What the statements of postgres.sql are about. Run it in an empty database.
CREATE TYPE order_status AS ENUM ('open', 'paid', 'shipped', 'cancelled');
CREATE TABLE customers (
    id integer PRIMARY KEY, name text NOT NULL, email text UNIQUE, country char(2) NOT NULL DEFAULT 'GB',
    tags text[] NOT NULL DEFAULT '{}', profile jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE orders (
    id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers (id), status order_status NOT NULL DEFAULT 'open',
    total numeric(12, 2) NOT NULL, note text, placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE items (
    order_id integer NOT NULL REFERENCES orders (id), sku text NOT NULL, quantity integer NOT NULL, price numeric(12, 2) NOT NULL,
    PRIMARY KEY (order_id, sku)
);
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}', during tstzrange, address inet
);
CREATE TABLE staff (id integer PRIMARY KEY, name text NOT NULL, manager_id integer REFERENCES staff (id));
CREATE SEQUENCE ticket;
INSERT INTO customers (id, name, email, country, tags, profile, created_at) VALUES
    (1, 'Ada', 'ada@example.test', 'GB', '{vip,early}', '{"age": 36, "langs": ["en", "fr"], "address": {"city": "London"}}', '2024-01-05'),
    (2, 'Grace', 'grace@example.test', 'US', '{early}', '{"age": 45, "langs": ["en"]}', '2024-02-10'),
    (3, 'Linus', 'linus@example.test', 'FI', '{}', '{}', '2024-03-15');
INSERT INTO orders (id, customer_id, status, total, note, placed_at) VALUES
    (1, 1, 'paid', 120.50, 'a gift', '2024-03-01 10:00+00'), (2, 1, 'open', 9.99, NULL, '2024-03-02 11:30+00'),
    (3, 2, 'shipped', 55.00, 'fragile; handle with care', '2024-03-05 09:15+00'), (4, 3, 'cancelled', 0, NULL, '2024-04-01 00:00+00');
INSERT INTO items VALUES (1, 'pen', 10, 2.05), (1, 'book', 2, 50.00), (2, 'pen', 1, 9.99), (3, 'lamp', 1, 55.00);
INSERT INTO events (at, kind, payload, during, address) VALUES
    ('2024-03-01', 'login', '{"ip": "10.0.0.1", "ok": true}', '[2024-03-01,2024-03-02)', '10.0.0.1'),
    ('2024-03-02', 'purchase', '{"order": 1, "lines": [{"sku": "pen", "n": 10}, {"sku": "book", "n": 2}]}', NULL, NULL);
INSERT INTO staff VALUES (1, 'Root', NULL), (2, 'Branch', 1), (3, 'Leaf', 2);
CREATE VIEW paid_orders AS SELECT * FROM orders WHERE status = 'paid';
CREATE MATERIALIZED VIEW daily AS SELECT placed_at::date AS day, sum(total) AS total FROM orders GROUP BY 1;
-- What a careless owner leaves lying about: code that writes, behind a name that reads.
CREATE FUNCTION wipe() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM events; SELECT 1';
CREATE FUNCTION wipe_row(orders) RETURNS integer LANGUAGE sql AS 'DELETE FROM events; SELECT 1';
CREATE FUNCTION "LOWER"(text) RETURNS text LANGUAGE sql AS 'DELETE FROM events; SELECT $1';
CREATE PROCEDURE tidy() LANGUAGE sql AS 'DELETE FROM events';
CREATE FUNCTION wipe_name(name) RETURNS integer LANGUAGE sql AS 'DELETE FROM events; SELECT 1';
CREATE FUNCTION wipe_day(date) RETURNS integer LANGUAGE sql AS 'DELETE FROM events; SELECT 1';
CREATE FUNCTION wipe_number(integer) RETURNS integer LANGUAGE sql AS 'DELETE FROM events; SELECT 1';
CREATE DOMAIN order_number AS integer CHECK (wipe_number(value) = 1);
CREATE DOMAIN "bigint" AS integer CHECK (wipe_number(value) = 1);
