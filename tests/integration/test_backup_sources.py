# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a backup takes from what it holds: databases side by side, a standby, the server's settings and files."""

from __future__ import annotations

import contextlib
import json

import pytest
from support.backups import backups_of
from support.postgres import PrivatePostgres, wait_for

DATABASES = ("one", "two", "three")


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres(settings={"work_mem": "7MB"}) as running:
        for name in DATABASES:
            running.run_sql(f"CREATE DATABASE {name}")
            running.run_sql("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g", name)
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def dumping(server):
    sql = (
        "SELECT DISTINCT datname FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
    )
    return {name for (name,) in server.run_sql(sql)}


def test_databases_are_dumped_at_the_same_time_and_no_more_than_jobs(server, backups):
    """Each dump is held by a lock, so that all that are at work can be seen at once."""
    blockers = {name: server.connect(name) for name in DATABASES}
    for conn in blockers.values():
        conn.cursor().execute("BEGIN; LOCK TABLE public.t")
    process = backups.start_backup(databases=list(DATABASES), jobs=2)
    running = wait_for(lambda: len(dumping(server)) == 2 and dumping(server), "two dumps wait")
    (waiting,) = set(DATABASES) - running
    blockers[min(running)].close()
    wait_for(lambda: waiting in dumping(server), "the third dump begins when one has ended")
    for conn in blockers.values():
        conn.close()
    stdout, _stderr = process.communicate(timeout=60)
    assert b'"failed": true' not in stdout, stdout
    assert [entry["name"] for entry in backups.manifest()["databases"]] == sorted(DATABASES)
    assert not backups.verify()["failed"]


def test_the_server_s_settings_and_files_are_saved(server, backups):
    assert backups.back_up(databases=["one"])["verdict"] == "ok"
    directory = backups.sets()[0]
    settings = json.loads((directory / "server.settings.json").read_text())["settings"]
    found = {one["name"]: one for one in settings}
    assert found["work_mem"]["setting"] == "7168"
    assert found["work_mem"]["file"].endswith("/steward.conf")
    below = directory / "server.files" / str(server.data).lstrip("/")
    for name in ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf", "steward.conf"):
        assert (below / name).read_bytes() == (server.data / name).read_bytes()
    assert backups.manifest()["others"] == ["postgres", "three", "two"]


def test_a_login_that_may_not_read_them_is_told(server, backups):
    server.run_sql("CREATE ROLE reader LOGIN PASSWORD 'plain words'; GRANT pg_monitor TO reader")
    server.run_sql("GRANT SELECT ON t TO reader", "one")
    answer = backups.back_up(databases=["one"], login_user="reader", login_password="plain words")
    assert not answer["failed"], answer
    (finding,) = [one for one in answer["findings"] if one["id"] == "backup-no-server-files"]
    assert "permission denied for function pg_read_binary_file" in finding["message"]
    assert (backups.sets()[0] / "server.settings.json").exists()
    assert not (backups.sets()[0] / "server.files").exists()
    assert not backups.verify()["failed"]


def test_a_standby_spares_the_primary(server, backups):
    with contextlib.closing(server.make_standby()) as standby:
        place = {"host": "127.0.0.1", "port": standby.port}
        before = server.log().count("COPY public.t")
        answer = backups.back_up(databases=["one"], standby=place)
        assert answer["verdict"] == "ok", answer
        assert answer["figures"]["standby_lag_seconds"] >= 0
        assert server.log().count("COPY public.t") == before
        assert "COPY public.t" in standby.log()
        assert backups.manifest()["server"]["standby"] is True
        assert not backups.verify()["failed"]
        # Replay stops, the primary goes on: what the standby has is too old.
        server.run_sql("CREATE TABLE sooner (id int); DROP TABLE sooner", "one")
        wait_for(lambda: standby.run_sql("SELECT pg_last_xact_replay_timestamp()")[0][0], "the standby replays")
        standby.run_sql("SELECT pg_wal_replay_pause()")
        server.run_sql("CREATE TABLE later (id int)", "one")
        try:
            wait_for(lambda: lags(server, standby), "the standby has received what it does not replay")
            answer = backups.back_up(databases=["one"], standby=place, standby_max_lag="1s", force=True)
        finally:
            server.run_sql("DROP TABLE later", "one")
        assert_from_primary(answer, backups, "and 1 s are allowed")
    answer = backups.back_up(databases=["one"], standby=place, force=True)
    assert_from_primary(answer, backups, "Connection refused")


def lags(server, standby):
    ((received,),) = standby.run_sql("SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())")
    return received is not None and received > 1.5 and server.run_sql("SELECT 1")


def assert_from_primary(answer, backups, why):
    assert answer["verdict"] == "findings", answer
    (finding,) = answer["findings"]
    assert finding["id"] == "backup-not-from-standby"
    assert why in finding["message"]
    assert backups.manifest()["server"]["standby"] is False


def test_another_server_is_no_standby(server, backups):
    with PrivatePostgres(server.bin_dir, own_cluster=True) as stranger:
        place = {"host": "127.0.0.1", "port": stranger.port}
        answer = backups.back_up(databases=["one"], standby=place)
    assert_from_primary(answer, backups, "is no standby")
