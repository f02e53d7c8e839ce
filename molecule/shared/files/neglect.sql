-- A database nobody has looked after: run by psql in a new, empty database.
-- These read the pages themselves, so what is measured with them needs nobody's statistics.
CREATE EXTENSION pageinspect;
CREATE EXTENSION pgstattuple;

-- Autovacuum is off for each table, because on an idle test host it would mend in seconds what a busy one leaves.

-- Many dead rows, and statistics from before they died.
CREATE TABLE orders (id bigint PRIMARY KEY, customer integer NOT NULL, total numeric NOT NULL, note text)
    WITH (autovacuum_enabled = off);
INSERT INTO orders SELECT n, n % 500, n * 1.1, repeat('x', 60) FROM generate_series(1, 60000) AS n;
ANALYZE orders;
UPDATE orders SET total = total + 1 WHERE id % 2 = 0;
DELETE FROM orders WHERE id % 5 = 0;

-- An index several times the size its rows need: nine of ten rows have gone, and their pages stay.
CREATE TABLE events (id bigint, payload text) WITH (autovacuum_enabled = off);
INSERT INTO events SELECT n, md5(n::text) || md5((n + 1)::text) FROM generate_series(1, 120000) AS n;
CREATE INDEX events_payload ON events (payload);
DELETE FROM events WHERE id % 10 <> 0;
VACUUM (ANALYZE) events;

-- Addresses that occur twice: creating a unique index concurrently will fail on them and leave an invalid one behind.
CREATE TABLE customers (id integer PRIMARY KEY, email text) WITH (autovacuum_enabled = off);
INSERT INTO customers SELECT n, 'c' || n % 900 || '@example.org' FROM generate_series(1, 1000) AS n;
ANALYZE customers;
