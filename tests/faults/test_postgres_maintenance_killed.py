# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance that is killed, or meets another run: the next one converges and nothing invalid stays."""

from __future__ import annotations

import time
import typing as t

import pytest
from support.modules import run_module, start_module
from support.postgres import SHOP, PrivatePostgres, wait_for

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.identity import application_suffix
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.session import LOCK_KEY

pytest_plugins = ("support.postgres_fixtures",)


def _arguments(server: PrivatePostgres, **more: t.Any) -> dict[str, t.Any]:
    return {**server.login_arguments, "databases": [SHOP], "lock_timeout": "1s", "lock_wait": "2s", **more}


def _invalid(server: PrivatePostgres) -> list[str]:
    rows = server.run_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1", SHOP)
    return [row[0] for row in rows]


@pytest.fixture
def slow(shop: PrivatePostgres) -> PrivatePostgres:
    """A database with an invalid index that takes some seconds to be rebuilt."""
    shop.run_sql(
        """
CREATE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql
  AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.03); RETURN i; END $$;
CREATE TABLE slow (id int);
INSERT INTO slow SELECT generate_series(1, 100);
CREATE INDEX slow_one ON slow (slowly(id));
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'slow_one'::regclass;
""",
        SHOP,
    )
    return shop


def _rebuilding(server: PrivatePostgres) -> list[t.Any]:
    return server.run_sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'steward.maintenance:reindex%%'"
        " AND query LIKE 'REINDEX%%' AND state = 'active' AND EXISTS ("
        "   SELECT FROM pg_class WHERE relname LIKE '%%\\_ccnew')",
        SHOP,
        (),
    )


@pytest.mark.parametrize("delay", [0.0, 0.7, 2.5])
def test_a_killed_rebuild_is_completed_by_the_next_run(slow: PrivatePostgres, delay: float) -> None:
    process = start_module("postgres_reindex", _arguments(slow))
    wait_for(lambda: _rebuilding(slow), "REINDEX CONCURRENTLY")
    time.sleep(delay)
    process.kill()
    process.communicate()

    answer = run_module("postgres_reindex", _arguments(slow))

    assert not answer["failed"], answer["reason"]
    assert answer["verdict"] == "ok"
    assert _invalid(slow) == []
    assert slow.run_sql("SELECT relname FROM pg_class WHERE relname ~ '_cc(new|old)'", SHOP) == []
    again = run_module("postgres_reindex", _arguments(slow))
    assert (again["verdict"], again["changed"]) == ("ok", False)


def test_a_session_of_a_dead_process_is_ended_even_where_the_server_does_not_notice(slow: PrivatePostgres) -> None:
    """As before PostgreSQL 14, or over a proxy: the orphan sits there holding the lock, its process is gone."""
    machine, pid, started = application_suffix("reindex").partition(":")[2].split(".")
    orphan = slow.connect(SHOP)
    try:
        cursor = orphan.cursor()
        cursor.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (LOCK_KEY,))
        # Process 4194304 is one more than Linux ever gives out.
        cursor.execute(f"SET application_name = 'steward.maintenance:reindex:{machine}.4194304.{started}'")

        answer = run_module("postgres_reindex", _arguments(slow))
    finally:
        orphan.close()

    assert pid.isdigit()
    assert (answer["verdict"], answer["changed"]) == ("ok", True)
    assert _invalid(slow) == []


@pytest.mark.parametrize("module", ["postgres_vacuum", "postgres_reindex"])
def test_a_run_that_is_alive_is_left_alone_and_named(slow: PrivatePostgres, module: str) -> None:
    other = slow.connect(SHOP)
    try:
        cursor = other.cursor()
        cursor.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (LOCK_KEY,))
        cursor.execute("SET application_name = %s", ("steward.maintenance:" + application_suffix("vacuum"),))

        answer = run_module(module, _arguments(slow))
        cursor.execute("SELECT 1")  # still alive
        pid = other.info.backend_pid
    finally:
        other.close()

    assert (answer["verdict"], answer["changed"], answer["failed"]) == ("skipped", False, False)
    assert f"pid {pid}" in answer["reason"]


def test_a_server_that_goes_down_meanwhile_is_a_failure_with_its_reason(slow: PrivatePostgres) -> None:
    process = start_module("postgres_reindex", _arguments(slow))
    wait_for(lambda: _rebuilding(slow), "REINDEX CONCURRENTLY")
    slow.stop("immediate")
    stdout, _stderr = process.communicate(timeout=60)
    slow.start()

    assert b'"verdict": "failed"' in stdout
    assert b'"failed": true' in stdout
    answer = run_module("postgres_reindex", _arguments(slow))
    assert (answer["verdict"], answer["failed"]) == ("ok", False)
    assert _invalid(slow) == []


def test_a_database_that_is_dropped_meanwhile_is_gone_not_failed(slow: PrivatePostgres) -> None:
    process = start_module("postgres_reindex", _arguments(slow))
    wait_for(lambda: _rebuilding(slow), "REINDEX CONCURRENTLY")
    slow.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")
    stdout, _stderr = process.communicate(timeout=60)

    assert b"postgres.database.gone" in stdout
    assert b'"failed": true' not in stdout
