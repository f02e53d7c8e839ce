-- A second, small database on the same server.
CREATE TABLE agents (id int PRIMARY KEY, name text NOT NULL, team text NOT NULL);
CREATE TABLE articles (id int PRIMARY KEY, title text NOT NULL, body text NOT NULL, agent_id int NOT NULL REFERENCES agents);
CREATE TABLE calls (id int PRIMARY KEY, agent_id int NOT NULL REFERENCES agents, seconds int NOT NULL, at timestamptz NOT NULL);
INSERT INTO agents SELECT n, 'Agent ' || n, (ARRAY['first line','second line'])[1 + n % 2] FROM generate_series(1, 25) n;
INSERT INTO articles SELECT n, 'How to ' || n, repeat(md5(n::text) || ' ', 20), 1 + n % 25 FROM generate_series(1, 400) n;
INSERT INTO calls SELECT n, 1 + n % 25, 30 + n * 13 % 900, timestamptz '2026-01-01Z' + n * interval '11 minutes' FROM generate_series(1, 12000) n;
CREATE INDEX calls_at_idx ON calls (at);
