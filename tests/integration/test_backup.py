# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a real server, and what it says of itself."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from support.backups import backups_of
from support.postgres import PrivatePostgres

ODD = 'odd/../na\'me "x" ü=1'

SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, name text UNIQUE, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO customers SELECT g, 'c' || g FROM generate_series(1, 2000) g;
CREATE TABLE "Odd ""Table" ("from" int);
INSERT INTO "Odd ""Table" VALUES (1);
CREATE TABLE nothing ();
CREATE TABLE orders (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
INSERT INTO orders SELECT g, date '2026-01-01' + g FROM generate_series(1, 300) g;
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3);
CREATE UNLOGGED TABLE fast (id int); INSERT INTO fast VALUES (1);
CREATE MATERIALIZED VIEW stale AS SELECT count(*) AS n FROM customers;
DELETE FROM customers WHERE id > 1900;
CREATE TABLE secret (owner name DEFAULT current_user);
INSERT INTO secret DEFAULT VALUES; INSERT INTO secret VALUES ('other');
ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL SECURITY;
SELECT lo_from_bytea(0, 'large');
"""


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        running.run_sql("CREATE ROLE app LOGIN PASSWORD 'top;secret'; COMMENT ON ROLE app IS 'a; b'")
        running.run_sql("CREATE ROLE readers; GRANT readers TO app; ALTER ROLE app SET work_mem = '5MB'")
        running.run_sql("CREATE DATABASE shop OWNER app CONNECTION LIMIT 7")
        running.run_sql("COMMENT ON DATABASE shop IS 'the ''shop'''; ALTER DATABASE shop SET work_mem = '8MB'")
        running.run_sql("ALTER ROLE app IN DATABASE shop SET statement_timeout = '1min'")
        running.run_sql('CREATE DATABASE "' + ODD.replace('"', '""') + '"')
        running.run_sql(SCHEMA, "shop")
        for extension in ("hstore", "pg_trgm", "amcheck"):
            if running.has_extension(extension):
                running.run_sql(f"CREATE EXTENSION {extension}", "shop")
        running.run_sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)", ODD)
        running.run_sql("ALTER DATABASE shop SET default_transaction_read_only = on")
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def test_round_trip(server, backups):
    made = backups.back_up()
    assert not made["failed"], made
    assert made["verdict"] == "ok"
    assert made["changed"]
    assert made["coverage"] == {"looked": 3, "of": 3}
    manifest = backups.manifest()
    entries = {entry["name"]: entry for entry in manifest["databases"]}
    assert set(entries) == {"postgres", "shop", ODD}
    rows = {table["name"]: table["rows"] for table in entries["shop"]["stored_tables"]}
    assert rows == {
        "customers": 1900, 'Odd "Table': 1, "nothing": 0, "orders_1": 180, "orders_2": 120, "parent": 1, "child": 2,
        "fast": 1, "secret": 2,
    }  # fmt: skip
    shop = entries["shop"]
    assert (shop["owner"], shop["connection_limit"], shop["comment"]) == ("app", 7, "the 'shop'")
    assert ["", "work_mem=8MB"] in shop["settings"]
    assert ["app", "statement_timeout=1min"] in shop["settings"]
    assert shop["large_objects"] == 1
    assert shop["lsn"]
    assert shop["extensions"]["plpgsql"]
    assert {"app", "readers"} <= set(manifest["roles"])
    assert manifest["server"]["version_number"] // 10000 == server.major

    proved = backups.verify()
    assert not proved["failed"], proved
    assert proved["changed"]
    assert proved["figures"]["restored_tables"] == 10
    assert proved["figures"]["restored_rows"] == 2208
    assert proved["figures"]["restore_seconds"] > 0
    assert proved["figures"]["rpo_seconds"] >= 0
    checked = server.has_extension("amcheck")
    assert proved["verdict"] == ("ok" if checked else "findings")
    assert (proved["figures"]["checked_indexes"] > 0) == checked
    assert proved["coverage"] == {"looked": 6 if checked else 3, "of": 6}
    assert os.listdir(str(backups.scratch)) == []


def test_the_second_run_changes_nothing(backups):
    first = [backups.back_up(), backups.verify()]
    before = backups.tree()
    again = [backups.back_up(), backups.verify()]
    assert [answer["changed"] for answer in first + again] == [True, True, False, False]
    assert [answer["verdict"] for answer in again] == ["ok", "ok"]
    assert "no backup needed" in again[0]["summary"]
    assert again[0]["backup"] == again[1]["backup"] == str(backups.sets()[0])
    assert backups.tree() == before
    assert backups.back_up(force=True)["changed"]
    assert backups.verify(older_every="")["changed"]
    assert backups.verify(older_every="", force=True)["changed"]
    assert len(backups.sets()) == 2


def test_check_mode_foretells_and_writes_nothing(backups):
    answer = backups.back_up(check=True)
    assert answer["changed"]
    assert [one["database"] for one in answer["planned"]] == [ODD, "postgres", "shop"]
    assert {one["reason"] for one in answer["planned"]} == {"there is no backup yet"}
    assert all(one["estimate"]["bytes"] >= 0 for one in answer["planned"])
    assert "a new backup of" in answer["diff"]["after"]
    assert not backups.path.exists()
    skipped = backups.verify(check=True)
    assert skipped["verdict"] == "skipped"
    backups.back_up()
    before = backups.tree()
    answer = backups.back_up(check=True, force=True)
    assert all("seconds" in one["estimate"] for one in answer["planned"])
    answer = backups.verify(check=True)
    assert answer["changed"]
    assert answer["planned"][0]["reason"] == "it was never verified"
    assert backups.tree() == before
    assert os.listdir(str(backups.scratch)) == []


def test_a_new_database_is_a_need(server, backups):
    backups.back_up()
    server.run_sql("CREATE DATABASE newcomer")
    try:
        answer = backups.back_up()
        assert answer["changed"]
        assert answer["planned"][0]["reason"] == "database 'newcomer' is in no backup yet"
    finally:
        server.run_sql("DROP DATABASE newcomer")


def test_chosen_databases(backups):
    refused = backups.back_up(databases=["shpo"])
    assert refused["verdict"] == "failed"
    assert refused["reason"] == "databases: unknown database 'shpo'; did you mean 'shop'?"
    assert not backups.path.exists()
    assert backups.back_up(databases=["template1"])["verdict"] == "failed"
    assert backups.back_up(databases=["shop"])["changed"]
    assert [entry["name"] for entry in backups.manifest()["databases"]] == ["shop"]
    assert not backups.back_up(databases=["shop"])["changed"]
    assert backups.verify()["figures"]["restored_databases"] == 1


def test_a_database_that_refuses_connections_is_told(server, backups):
    server.run_sql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    try:
        answer = backups.back_up()
        assert answer["verdict"] == "findings"
        assert [finding["subject"] for finding in answer["findings"]] == ["closed"]
    finally:
        server.run_sql("DROP DATABASE closed")


def test_files_are_closed_to_others(backups):
    backups.back_up()
    backups.verify()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in backups.path.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in [backups.path, *backups.sets()]} == {0o700}


def test_what_root_writes_belongs_to_the_owner_of_the_directory(server, backups):
    if os.geteuid() != 0:
        assert server.account is None
        return
    backups.path.mkdir()
    os.chown(str(backups.path), 12345, 12345)
    assert not backups.back_up()["failed"]
    assert not backups.verify()["failed"]
    assert {path.stat().st_uid for path in backups.path.rglob("*")} == {12345}


@pytest.mark.parametrize("compression", ["auto", "zstd", "lz4", "gzip", "none"])
def test_compressions(backups, compression):
    answer = backups.back_up(databases=["shop"], compression=compression)
    if answer["failed"]:
        assert compression in ("zstd", "lz4"), answer
        assert f"compression {compression} is not possible" in answer["reason"]
        assert backups.sets() == []
        return
    assert backups.manifest()["compression"] in ([compression] if compression != "auto" else ["zstd", "gzip"])
    assert not backups.verify()["failed"]


def test_rows_are_counted_in_the_snapshot_that_is_dumped(server, backups):
    """Somebody writes all the time; each count is that of the dump, not of a moment later."""
    server.run_sql("CREATE DATABASE busy")
    server.run_sql(
        "CREATE TABLE t (id serial, v text); INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 50000)", "busy"
    )
    done = threading.Event()

    def write():
        conn = server.connect("busy")
        while not done.is_set():
            conn.cursor().execute("INSERT INTO public.t (v) SELECT 'y' FROM generate_series(1, 100)")
        conn.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _attempt in range(3):
            assert backups.back_up(databases=["busy"], force=True)["changed"]
            proved = backups.verify(older_every="")
            assert not proved["failed"], proved
    finally:
        done.set()
        writer.join()
        server.run_sql("DROP DATABASE busy")
    counts = [backups.manifest(at)["databases"][0]["stored_tables"][0]["rows"] for at in range(3)]
    assert counts == sorted(counts)
    assert counts[2] > counts[0] > 50000


def test_a_standby_is_skipped_unless_allowed(server, backups):
    standby = server.make_standby()
    try:
        args = {**standby.login_arguments}
        skipped = backups.back_up(**args)
        assert skipped["verdict"] == "skipped"
        assert "is a standby" in skipped["reason"]
        assert not backups.path.exists()
        made = backups.back_up(allow_standby=True, **args)
        assert not made["failed"], made
        shop = next(entry for entry in backups.manifest()["databases"] if entry["name"] == "shop")
        assert "fast" not in [table["name"] for table in shop["stored_tables"]]
        assert not backups.verify()["failed"]
    finally:
        standby.close()


def test_a_login_that_is_no_superuser(server, backups):
    server.run_sql("CREATE ROLE plain LOGIN PASSWORD 'plain words'")
    server.run_sql("CREATE DATABASE own OWNER plain")
    server.run_sql("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)", "own", user="plain")
    try:
        answer = backups.back_up(login_user="plain", login_password="plain words", databases=["own"])
        assert answer["verdict"] == "findings", answer
        assert [finding["id"] for finding in answer["findings"]] == ["backup-no-passwords", "backup-no-server-files"]
        assert not backups.verify()["failed"]
    finally:
        server.run_sql("DROP DATABASE own")
        server.run_sql("DROP ROLE plain")
