# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tables of a backup, put into a schema of their own in the live database."""

from __future__ import annotations

import datetime
import hashlib
import json
import typing as t

import pytest
from support.backups import Backups
from support.modules import finish_module
from support.postgres import wait_for
from support.restores import LIVE_ROWS, SAVED_ROWS, Restores

pytest_plugins = ("support.restores_fixtures",)

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '_restore_' ORDER BY 1"


@pytest.fixture
def live(restores: Restores) -> Restores:
    """The live database has the type that the table in the backup needs, and a table less."""
    restores.server.run_sql("CREATE TYPE mood AS ENUM ('sad', 'glad')", "shop")
    return restores


def test_rows_come_back_beside_those_in_use(live: Restores) -> None:
    answer = live.tables("orders", "public.child", "parts_1")
    assert answer["verdict"] == "ok", answer
    assert set(answer["restored"]) == {"public.orders", "public.child", "public.parts_1"}
    orders = answer["restored"]["public.orders"]
    sql = live.server.run_sql
    assert sql(f"SELECT count(*), sum(twice), max(note) = 'a' || chr(9) || 'b\\99' FROM {orders}", "shop") == [
        (SAVED_ROWS, SAVED_ROWS * (SAVED_ROWS + 1), True)
    ]
    assert sql(f"SELECT DISTINCT feels::text FROM {orders}", "shop") == [("glad",)]
    assert sql(f"SELECT * FROM {answer['restored']['public.child']} ORDER BY id", "shop") == [(2, "two"), (3, None)]
    assert answer["figures"]["restored_rows"] == SAVED_ROWS + 4
    assert live.rows() == LIVE_ROWS
    assert live.databases() == [("shop", True)]
    # A second time gets a schema of its own, and the first one stays.
    assert not live.tables("orders")["failed"]
    assert len(sql(SCHEMAS, "shop")) == 2


def test_a_schema_that_is_there_already_is_neither_taken_nor_touched(live: Restores) -> None:
    """Another run may have restored other tables within the same second: these stay, and ours come as well."""
    now = datetime.datetime.now(datetime.timezone.utc)
    moments = [now + datetime.timedelta(seconds=ahead) for ahead in range(4)]
    taken = [f"public_restore_{moment:%Y%m%dt%H%M%Sz}" for moment in moments]
    for schema in taken:
        live.server.run_sql(f"CREATE SCHEMA {schema}", "shop")
    answer = live.tables("orders")
    assert answer["verdict"] == "ok", answer
    orders = answer["restored"]["public.orders"]
    assert orders.partition(".")[0] not in taken
    assert live.server.run_sql(f"SELECT count(*) FROM {orders}", "shop") == [(SAVED_ROWS,)]
    assert {name for (name,) in live.server.run_sql(SCHEMAS, "shop")} > set(taken)


def test_a_schema_that_another_process_makes_meanwhile_stays_its_own(live: Restores) -> None:
    """Both chose the same moment, and the other one was first."""
    key = int.from_bytes(hashlib.sha256(b"steward.maintenance restore shop").digest()[:7], "big")
    other = live.server.connect("postgres")
    try:
        other.cursor().execute("SELECT pg_advisory_lock(%s)", (key,))
        begun = datetime.datetime.now(datetime.timezone.utc)
        process = _start(live)
        asking = "SELECT 1 FROM pg_stat_activity WHERE query ~ 'pg_try_advisory_lock' AND pid <> pg_backend_pid()"
        wait_for(lambda: live.server.run_sql(asking), "it waits for its turn")
        now = datetime.datetime.now(datetime.timezone.utc)
        for ahead in range(int((now - begun).total_seconds()) + 2):
            moment = begun + datetime.timedelta(seconds=ahead)
            live.server.run_sql(f"CREATE SCHEMA public_restore_{moment:%Y%m%dt%H%M%Sz}", "shop")
        theirs = live.server.run_sql(SCHEMAS, "shop")
    finally:
        other.close()
    answer = finish_module(process)
    assert answer["verdict"] == "failed", answer
    assert "into the same schema this very second" in answer["reason"]
    assert live.server.run_sql(SCHEMAS, "shop") == theirs
    live.assert_untouched()


def test_check_mode_touches_nothing(live: Restores) -> None:
    answer = live.tables("orders", check=True)
    assert answer["changed"]
    assert answer["planned"][0]["estimate"] == {"rows": SAVED_ROWS}
    assert "the rows of public.orders in the backup" in answer["diff"]["after"]
    assert live.server.run_sql(SCHEMAS, "shop") == []
    live.assert_untouched()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "tables is empty"),
        (["ordres"], "unknown table 'public.ordres'"),
        (["ordres"], "did you mean 'public.orders'?"),
        (["parts"], "of a partitioned one, name the partitions"),
    ],
)
def test_a_slip_of_the_pen(restores: Restores, names: list[str], told: str) -> None:
    answer = restores.tables(*names)
    assert answer["verdict"] == "failed"
    assert told in answer["reason"]
    restores.assert_untouched()


def test_a_type_that_the_live_database_lacks(restores: Restores) -> None:
    answer = restores.tables("child", "orders")
    assert answer["verdict"] == "failed"
    assert 'type "public.mood" does not exist' in answer["reason"]
    assert restores.server.run_sql(SCHEMAS, "shop") == []
    restores.assert_untouched()


def test_killed_while_rows_are_copied(saved: Backups, live: Restores) -> None:
    """What it left goes away with the next run, which does all of it."""
    blocker = live.server.connect("shop")
    blocker.cursor().execute("BEGIN; LOCK TABLE pg_catalog.pg_namespace IN SHARE MODE")
    process = _start(live)
    wait_for(lambda: '"copy the tables"' in live.journals().partition("done")[2], "it copies")
    process.kill()
    process.communicate()
    blocker.close()
    refused = live.restore()
    assert not refused["failed"], refused  # a restore of the whole database takes back what was left, and goes on
    assert live.rows() == SAVED_ROWS
    answer = live.tables("orders")
    assert answer["verdict"] == "ok", answer
    assert [name for name, _allows in live.databases()] == ["shop", refused["kept"]]
    assert len(live.server.run_sql(SCHEMAS, "shop")) == 1
    assert saved.path.exists()


def _start(live: Restores) -> t.Any:
    from support.modules import start_module

    return start_module("postgres_restore_tables", live.arguments(**live.choice, tables=["orders"]))


def test_an_unfinished_restore_is_not_disturbed(live: Restores) -> None:
    live.application.start()
    answer = live.restore(**{**live.application.arguments, "start_commands": [["false"]]})
    assert "it is not finished" in answer["summary"]
    refused = live.tables("orders")
    assert refused["verdict"] == "failed"
    assert "complete it or roll back first" in refused["reason"]
    back = live.roll_back(**live.application.arguments)
    assert not back["failed"], json.dumps(back)
    live.assert_untouched()
    assert live.application.runs()
