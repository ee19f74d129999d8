-- What the statements of mysql.sql are about. Run it in an empty database.
CREATE TABLE customers (
    id int PRIMARY KEY, name varchar(100) NOT NULL, email varchar(200) UNIQUE, country char(2) NOT NULL DEFAULT 'GB',
    profile json, created_at datetime NOT NULL DEFAULT current_timestamp
);
CREATE TABLE orders (
    id int PRIMARY KEY, customer_id int NOT NULL, status enum('open', 'paid', 'shipped', 'cancelled') NOT NULL DEFAULT 'open',
    total decimal(12, 2) NOT NULL, note text, placed_at datetime NOT NULL DEFAULT current_timestamp,
    KEY by_customer (customer_id), FULLTEXT KEY words (note), FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE TABLE items (
    order_id int NOT NULL, sku varchar(40) NOT NULL, quantity int NOT NULL, price decimal(12, 2) NOT NULL,
    PRIMARY KEY (order_id, sku), FOREIGN KEY (order_id) REFERENCES orders (id)
);
CREATE TABLE events (
    id bigint AUTO_INCREMENT PRIMARY KEY, at datetime NOT NULL DEFAULT current_timestamp, kind varchar(40) NOT NULL, payload json,
    place point, address inet6
);
CREATE TABLE staff (id int PRIMARY KEY, name varchar(100) NOT NULL, manager_id int);
CREATE SEQUENCE ticket;
INSERT INTO customers (id, name, email, country, profile, created_at) VALUES
    (1, 'Ada', 'ada@example.test', 'GB', '{"age": 36, "langs": ["en", "fr"], "address": {"city": "London"}}', '2024-01-05'),
    (2, 'Grace', 'grace@example.test', 'US', '{"age": 45, "langs": ["en"]}', '2024-02-10'), (3, 'Linus', 'linus@example.test', 'FI', '{}', '2024-03-15');
INSERT INTO orders (id, customer_id, status, total, note, placed_at) VALUES
    (1, 1, 'paid', 120.50, 'a gift', '2024-03-01 10:00'), (2, 1, 'open', 9.99, NULL, '2024-03-02 11:30'),
    (3, 2, 'shipped', 55.00, 'fragile; handle with care', '2024-03-05 09:15'), (4, 3, 'cancelled', 0, NULL, '2024-04-01');
INSERT INTO items VALUES (1, 'pen', 10, 2.05), (1, 'book', 2, 50.00), (2, 'pen', 1, 9.99), (3, 'lamp', 1, 55.00);
INSERT INTO events (at, kind, payload, place, address) VALUES
    ('2024-03-01', 'login', '{"ip": "10.0.0.1", "ok": true}', POINT(1, 2), '::1'),
    ('2024-03-02', 'purchase', '{"order": 1, "lines": [{"sku": "pen", "n": 10}, {"sku": "book", "n": 2}]}', NULL, NULL);
INSERT INTO staff VALUES (1, 'Root', NULL), (2, 'Branch', 1), (3, 'Leaf', 2);
CREATE VIEW paid_orders AS SELECT * FROM orders WHERE status = 'paid';
-- What a careless owner leaves lying about: code that writes, behind a name that reads.
CREATE FUNCTION wipe() RETURNS int MODIFIES SQL DATA RETURN NEXT VALUE FOR ticket;
CREATE PROCEDURE tidy() DELETE FROM events;
