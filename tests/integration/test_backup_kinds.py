# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a database can hold, backed up and restored, by hand and by us: the same schema, the same contents.

By hand is the page of shell in the role's README, on another server. There, our own restore replaces what that made,
and makes one database that is not there.
"""

from __future__ import annotations

import re

import pytest
from support.backups import AgeKey, backups_of, rewrite
from support.by_hand import restore_by_hand
from support.modules import run_module
from support.postgres import PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import contents

pytestmark = pytest.mark.contrib

LONGEST = "ü" * 31 + "x"  # 63 bytes, the most that PostgreSQL keeps of a name
EVERYTHING = '''
CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw;
CREATE SCHEMA "Odd Schema";
CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE point3 AS (x int, y int, z int);
CREATE COLLATION reversed (provider = libc, locale = 'C');
CREATE SEQUENCE counter START 41; SELECT nextval('counter');
CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE reversed NOT NULL,
  tags hstore, twice int GENERATED ALWAYS AS (length(name) * 2) STORED, m mood DEFAULT 'happy', p point3,
  d positive, hole bytea);
INSERT INTO customers (name, tags, p, d, hole)
  SELECT 'c' || g || chr(228 + g % 20), hstore('k', g::text), format('(%s,2,3)', g)::point3, g,
    decode(repeat('00ff', g), 'hex')
  FROM generate_series(1, 300) g;
CREATE INDEX ON customers USING gin (name gin_trgm_ops); CREATE INDEX ON customers (lower(name)) WHERE d > 7;
CREATE STATISTICS correlated ON d, name FROM customers;
CREATE TABLE "Odd Schema"."%%LONGEST%%" ("%%LONGEST%%" int, "a ""b""" text, EXCLUDE USING btree ("a ""b""" WITH =));
INSERT INTO "Odd Schema"."%%LONGEST%%" VALUES (1, E'tab\\t\\\\ new\\nline'), (NULL, NULL), (3, '');
CREATE TABLE orders (id int, day date, state text DEFAULT 'new') PARTITION BY RANGE (day);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2026-07-01') PARTITION BY LIST (state);
CREATE TABLE orders_1_new PARTITION OF orders_1 FOR VALUES IN ('new');
CREATE TABLE orders_2 PARTITION OF orders DEFAULT;
INSERT INTO orders SELECT g, date '2026-01-01' + g FROM generate_series(0, 300) g;
ALTER TABLE orders_2 ADD CONSTRAINT late CHECK (id > 100) NOT VALID;
CREATE TABLE parent (id int); CREATE TABLE child (more text) INHERITS (parent); INSERT INTO child VALUES (1, 'x');
CREATE UNLOGGED TABLE fast (id int); INSERT INTO fast VALUES (1);
CREATE TABLE secrets (owner name DEFAULT current_user, v text);
INSERT INTO secrets VALUES ('other', 'hidden'), (current_user, 'seen');
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; ALTER TABLE secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets TO app USING (owner = current_user);
GRANT SELECT (v) ON secrets TO app; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app;
CREATE VIEW looked AS SELECT id, name FROM customers; CREATE MATERIALIZED VIEW counted AS SELECT count(*) n FROM orders;
CREATE RULE nowhere AS ON INSERT TO looked DO INSTEAD NOTHING;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.v := NEW.v || '!'; RETURN NEW; END$$;
CREATE TRIGGER noting BEFORE INSERT ON secrets FOR EACH ROW EXECUTE FUNCTION noted();
CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE EVENT TRIGGER watching ON ddl_command_start EXECUTE FUNCTION watched();
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid', dbname 'x');
CREATE USER MAPPING FOR app SERVER elsewhere OPTIONS (user 'u', password 'it''s');
CREATE FOREIGN TABLE far (id int) SERVER elsewhere;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE lines (line text) SERVER files OPTIONS (filename '/etc/hostname');
CREATE PUBLICATION everything FOR TABLE customers, secrets;
COMMENT ON TABLE customers IS 'it''s; -- no comment'; COMMENT ON COLUMN customers.name IS E'a\\nb';
SELECT lo_from_bytea(4711, decode('00ff10', 'hex')), lo_put(lo_create(4712), 5000, 'after a hole');
GRANT SELECT ON LARGE OBJECT 4711 TO app; COMMENT ON LARGE OBJECT 4711 IS 'large';
'''.replace("%%LONGEST%%", LONGEST)

# Tables that every database of another encoding has; the text is of its own characters.
ENCODED = "CREATE TABLE t (v text); INSERT INTO t SELECT chr({first} + g) || g FROM generate_series(0, 20) g"
RAW = "CREATE TABLE t (v text); INSERT INTO t VALUES (E'\\xff\\xfe no UTF-8'), ('plain')"
QUOTED = 'odd/../na\'me "x" ü=1'


def locales(major):
    """Databases that do not sort as the system does, by what this version offers."""
    found = {"sorted_by_icu": "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'"} if major >= 15 else {}
    if major >= 16:
        found["with_rules"] = "LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES $$&a < g &b < '*'$$"
    if major >= 17:
        found["builtin_one"] = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
    return found


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        running.run_sql('CREATE ROLE app LOGIN PASSWORD \'top;secret\'; CREATE ROLE "Odd ""Role"""')
        running.run_sql("CREATE DATABASE shop OWNER app CONNECTION LIMIT 7")
        running.run_sql(
            "COMMENT ON DATABASE shop IS 'the ''shop'''; GRANT CONNECT ON DATABASE shop TO \"Odd \"\"Role\"\"\""
        )
        running.run_sql(
            "ALTER DATABASE shop SET work_mem = '8MB'; ALTER ROLE app IN DATABASE shop SET DateStyle = 'German'"
        )
        running.run_sql(EVERYTHING, "shop")
        for name, encoding, sql in (
            ("western", "LATIN1", ENCODED.format(first=228)),
            ("bytes", "SQL_ASCII", RAW),
            (LONGEST, "UTF8", ENCODED.format(first=0x1F600)),
            (QUOTED, "UTF8", ENCODED.format(first=65)),
        ):
            running.run_sql(
                f"CREATE DATABASE {quoted(name)} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
            )
            running.run_sql(sql, name)
        for name, locale in locales(running.major).items():
            running.run_sql(
                f"CREATE DATABASE {name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' {locale} TEMPLATE template0"
            )
            running.run_sql(ENCODED.format(first=228), name)
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def databases_of(server):
    return ["shop", "western", "bytes", LONGEST, QUOTED, *locales(server.major)]


def schema(server, database):
    """All of pg_dump's words, without those that differ from run to run."""
    socket = ["-h", server.socket_dir, "-p", str(server.port), "-U", server.superuser]
    quiet = "user='" + server.superuser + "' dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"
    text = server.program("pg_dump", "--schema-only", "--create", *socket[:4], "-d", quiet)
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def contents_of(server, database):
    conn = server.connect(database)
    try:
        cursor = conn.cursor()
        # The contents of a database that a policy hides are contents, too.
        cursor.execute("SET search_path = ''; SET row_security = off; SET client_encoding = 'SQL_ASCII'; BEGIN")
        cursor.execute("SELECT schemaname, matviewname FROM pg_catalog.pg_matviews ORDER BY 1, 2")
        tables = contents.measure(conn, [*contents.tables(conn), *cursor.fetchall()], checksums=True)
        return [table.to_dict() for table in tables], contents.large_objects_checksum(conn)
    finally:
        conn.close()


@pytest.mark.parametrize("how", ["directory", "encrypted"])
def test_everything_survives(server, backups, tmp_path, how):
    key = AgeKey(tmp_path)
    recipients = [key.public] if how == "encrypted" else []
    made = backups.back_up(recipients=recipients, content_checksums=True)
    assert not made["failed"], made
    # The throwaway server compares it first: rows, contents, properties, extensions, constraints.
    proved = backups.verify(identity_file=str(key.path))
    assert not proved["failed"], proved
    directories = {entry["name"]: entry["directory"] for entry in backups.manifest()["databases"]}
    with PrivatePostgres(server.bin_dir, own_cluster=True) as other:
        databases = databases_of(server)
        expected = {database: (schema(server, database), contents_of(server, database)) for database in databases}

        def found():
            return {database: (schema(other, database), contents_of(other, database)) for database in databases}

        for database in databases:
            restore_by_hand(other, backups.sets()[0], directories[database], tmp_path, str(key.path))
        assert found() == expected
        roles = "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1"
        admin = server.superuser
        assert [row for row in other.run_sql(roles) if row[0] != admin] == [
            row for row in server.run_sql(roles) if row[0] != admin
        ]
        other.run_sql("DROP DATABASE shop")
        again = databases if how == "directory" else ["shop"]
        for database in [*again, "shop"]:
            restore_by_module(other, backups, database, tmp_path, str(key.path))
        assert found() == expected


def restore_by_module(other, backups, database, tmp_path, key):
    """Beside what is there, and in its place; the old one goes away."""
    places = {"path": str(backups.path), "state_dir": str(tmp_path / "state"), "scratch_path": str(backups.scratch)}
    given = {**other.login_arguments, **places, "bin_dir": other.bin_dir, "identity_file": key}
    answer = run_module("postgres_restore", {**given, "database": database})
    assert not answer["failed"], answer
    # Two are not valid in the original either; nothing else is to be said.
    assert {finding["id"] for finding in answer["findings"]} <= {"restore-not-validated"}
    if answer["kept"]:
        other.run_sql(f"DROP DATABASE {quoted(answer['kept'])}")


def test_icu_and_builtin_locales_are_recorded(server, backups):
    assert backups.back_up()["verdict"] == "ok"
    entries = {entry["name"]: entry for entry in backups.manifest()["databases"]}
    told = {
        name: [entries[name][key] for key in ("locale_provider", "locale", "icu_rules")]
        for name in locales(server.major)
    }
    wanted = {
        "sorted_by_icu": ["i", "de-AT", None],
        "with_rules": ["i", "und", "&a < g &b < '*'"],
        "builtin_one": ["b", "C.UTF-8", None],
    }
    assert told == {name: wanted[name] for name in locales(server.major)}
    if "sorted_by_icu" not in entries:
        return
    # A verification compares what the original had, and tells when the library sorts in another version.
    rewrite(backups, lambda body: sorted_by_icu(body).update(collation_version="1.2.3"))
    proved = backups.verify()
    assert [finding["id"] for finding in proved["findings"]] == ["backup-collation-version"], proved
    assert "1.2.3" in proved["findings"][0]["message"]
    rewrite(backups, lambda body: sorted_by_icu(body).update(icu_rules="&z < a"))
    assert "icu_rules is None instead of '&z < a'" in backups.verify(force=True)["reason"]


def test_rules_that_icu_does_not_take_are_refused_before_anything_is_touched(server, backups, tmp_path):
    if server.major < 16:
        assert "with_rules" not in locales(server.major)
        return
    backups.back_up(databases=["with_rules"])
    rewrite(backups, lambda body: body["databases"][0].update(icu_rules="&&& no rules"))
    oid = "SELECT oid FROM pg_database WHERE datname LIKE 'with_rules%'"
    before = server.run_sql(oid)
    places = {"path": str(backups.path), "state_dir": str(tmp_path / "state"), "bin_dir": server.bin_dir}
    given = {**server.login_arguments, **places, "database": "with_rules", "allow_unverified": True}
    answer = run_module("postgres_restore", given)
    assert answer["verdict"] == "failed", answer
    assert "the server's ICU does not take the locale und with the rules &&& no rules" in answer["reason"]
    assert server.run_sql(oid) == before


def sorted_by_icu(body):
    return next(entry for entry in body["databases"] if entry["name"] == "sorted_by_icu")


def test_damage_stops_the_page_of_shell(server, backups, tmp_path):
    """Its first step says so, and sh -e ends there."""
    backups.back_up(databases=["western"])
    spoiled = backups.sets()[0] / "globals.sql"
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    with pytest.raises(AssertionError, match=r"globals\.sql: FAILED"):
        restore_by_hand(server, backups.sets()[0], "western", tmp_path)
