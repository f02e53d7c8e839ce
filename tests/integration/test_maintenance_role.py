# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role postgres_maintenance through ansible-playbook, alone and in the cycle, on a real server."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest
from support.plays import Play
from support.postgres import SHOP, PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

pytest_plugins = ("support.postgres_fixtures", "support.plays_fixtures")

ROLE = "steward.maintenance.postgres_maintenance"
SLOWLY = """
CREATE OR REPLACE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN %s; RETURN i; END $$;
"""


@pytest.fixture
def host(shop: PrivatePostgres, play: Play) -> Play:
    """db1 is maintained over the network, by a role that needs no account of the operating system."""
    login = shop.login
    play.variables.update(
        {
            "maintenance_postgres_login": {
                "host": login.host,
                "port": login.port,
                "user": login.user,
                "password": login.password,
                "ssl_mode": login.ssl_mode,
            },
            "maintenance_postgres_os_user": "",
            "maintenance_records": str(play.directory / "records.jsonl"),
            "postgres_maintenance_databases": [SHOP],
            "postgres_maintenance_state_dir": str(play.directory / "state"),
            "cycle_report_path": "",
        }
    )
    return play


def invalid(server: PrivatePostgres) -> list[str]:
    rows = server.run_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1", SHOP)
    return [row[0] for row in rows]


def spoil(server: PrivatePostgres, *indexes: str) -> None:
    for index in indexes:
        server.run_sql(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass", SHOP)


def records(play: Play) -> list[dict[str, t.Any]]:
    return list(open_store(str(play.directory / "records.jsonl")).read())


def cycle(play: Play, activity: str, **variables: t.Any) -> tuple[int, str]:
    given = {"cycle_only": [activity], "cycle_force": True, **variables}
    return play.run("-e", json.dumps(given), roles=["steward.maintenance.cycle"])


def test_a_part_that_fails_keeps_no_other_from_being_done(shop: PrivatePostgres, host: Play) -> None:
    shop.run_sql("CREATE TABLE orders (id int); CREATE INDEX orders_id ON orders (id);", SHOP)
    spoil(shop, "orders_id")
    told_at_the_end = {"ansible.builtin.debug": {"var": "postgres_maintenance_result"}}
    block = [{"ansible.builtin.import_role": {"name": ROLE}}]
    status, told = host.run(
        "-e", "postgres_maintenance_max_age=abc", tasks=[{"block": block, "always": [told_at_the_end]}]
    )

    assert status == 2, told
    assert invalid(shop) == []
    published = json.loads(told.split('"postgres_maintenance_result": ')[1].split("\n}\n")[0])
    assert (published["verdict"], published["changed"]) == ("failed", True)
    assert "duration 'abc' cannot be read" in published["reason"]
    assert "vacuum failed; analyze failed; reindex: 1 of 1 needed actions done" in published["summary"]
    assert "review: " in published["summary"]
    assert shop.password not in told

    status, told = host.run(roles=[ROLE])
    assert status == 0, told


def test_a_misspelt_variable_is_refused_once_before_anything_is_done(host: Play) -> None:
    status, told = host.run("-e", "postgres_maintenance_job=4", roles=[ROLE])
    assert status == 2, told
    assert "unknown variable postgres_maintenance_job;" in told
    assert told.count("FAILED!") == 1
    assert "Vacuum the tables" not in told


def test_the_review_of_the_cycle_tells_what_grew_since_the_last_one(shop: PrivatePostgres, host: Play) -> None:
    shop.run_sql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1);", SHOP)
    bounds = {"postgres_maintenance_growth_percent": 10, "postgres_maintenance_growth_bytes": 1000000}
    status, told = cycle(host, "database.review", **bounds)
    assert status == 0, told
    shop.run_sql("INSERT INTO orders SELECT generate_series(1, 100000)", SHOP)
    status, told = cycle(host, "database.review", **bounds)
    assert status == 0, told

    first, second = records(host)
    name = f"table_bytes[{SHOP}.public.orders]"
    assert second["figures"][name] > first["figures"][name] + 3000000
    grown = [finding for finding in second["findings"] if "grew" in finding["message"]]
    assert any("orders" in finding["subject"] for finding in grown)
    assert not [finding for finding in first["findings"] if "grew" in finding["message"]]


def test_work_stops_at_its_deadline_and_the_next_run_does_the_rest(shop: PrivatePostgres, host: Play) -> None:
    names = ("slow_one", "slow_two")
    shop.run_sql(SLOWLY % "NULL" + "CREATE TABLE slow (id int); INSERT INTO slow SELECT generate_series(1, 100);", SHOP)
    for name in names:
        shop.run_sql(f"CREATE INDEX {name} ON slow (slowly(id))", SHOP)
    spoil(shop, *names)
    shop.run_sql(SLOWLY % "PERFORM pg_catalog.pg_sleep(0.2)", SHOP)
    ends = utc_now() + datetime.timedelta(seconds=16)

    status, told = cycle(host, "database.reindex", maintenance_deadline=write_time(ends))
    late = (utc_now() - ends).total_seconds()

    assert status == 0, told
    assert late < 10
    (record,) = records(host)
    assert record["verdict"] in ("skipped", "findings")
    assert "deadline" in record["reason"]
    assert invalid(shop) == sorted(names)
    assert shop.run_sql("SELECT relname FROM pg_class WHERE relname ~ '_cc(new|old)'", SHOP) == []

    shop.run_sql(SLOWLY % "NULL", SHOP)
    status, told = cycle(host, "database.reindex")
    assert status == 0, told
    last = records(host)[-1]
    assert last["verdict"] == "ok"
    assert {item["subject"].rpartition(".")[2] for item in last["done"]} == set(names)
    assert all(item["before"] and item["after"] and item["action"] for item in last["done"])
    assert invalid(shop) == []
