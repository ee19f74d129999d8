-- What the statements of sqlite.sql are about. Run it in an empty database.
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE, country TEXT NOT NULL DEFAULT 'GB',
    profile TEXT NOT NULL DEFAULT '{}', created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), status TEXT NOT NULL DEFAULT 'open',
    total REAL NOT NULL, note TEXT, placed_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX by_customer ON orders (customer_id);
CREATE TABLE items (
    order_id INTEGER NOT NULL REFERENCES orders (id), sku TEXT NOT NULL, quantity INTEGER NOT NULL, price REAL NOT NULL,
    PRIMARY KEY (order_id, sku)
) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, kind TEXT NOT NULL, payload TEXT NOT NULL DEFAULT '{}');
CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT NOT NULL, manager_id INTEGER REFERENCES staff (id));
INSERT INTO customers (id, name, email, country, profile, created_at) VALUES
    (1, 'Ada', 'ada@example.test', 'GB', '{"age": 36, "langs": ["en", "fr"], "address": {"city": "London"}}', '2024-01-05'),
    (2, 'Grace', 'grace@example.test', 'US', '{"age": 45, "langs": ["en"]}', '2024-02-10'), (3, 'Linus', 'linus@example.test', 'FI', '{}', '2024-03-15');
INSERT INTO orders (id, customer_id, status, total, note, placed_at) VALUES
    (1, 1, 'paid', 120.50, 'a gift', '2024-03-01 10:00'), (2, 1, 'open', 9.99, NULL, '2024-03-02 11:30'),
    (3, 2, 'shipped', 55.00, 'fragile; handle with care', '2024-03-05 09:15'), (4, 3, 'cancelled', 0, NULL, '2024-04-01');
INSERT INTO items VALUES (1, 'pen', 10, 2.05), (1, 'book', 2, 50.00), (2, 'pen', 1, 9.99), (3, 'lamp', 1, 55.00);
INSERT INTO events (at, kind, payload) VALUES
    ('2024-03-01', 'login', '{"ip": "10.0.0.1", "ok": true}'),
    ('2024-03-02', 'purchase', '{"order": 1, "lines": [{"sku": "pen", "n": 10}, {"sku": "book", "n": 2}]}');
INSERT INTO staff VALUES (1, 'Root', NULL), (2, 'Branch', 1), (3, 'Leaf', 2);
CREATE VIEW paid_orders AS SELECT * FROM orders WHERE status = 'paid';
CREATE VIRTUAL TABLE notes USING fts5 (body);
INSERT INTO notes VALUES ('a gift for you'), ('fragile, handle with care');
