# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_vacuum on a real server: what is needed is done, proved, and not done again."""

from __future__ import annotations

import re
import typing as t

import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, settle

pytest_plugins = ("support.postgres_fixtures",)

_ROWS = 5000


def _neglect(server: PrivatePostgres) -> None:
    """One table full of dead rows, one that only grew, one partitioned, one left alone by its own settings."""
    server.run_sql(
        """
CREATE TABLE "Many Dead" (id int PRIMARY KEY, note text);
INSERT INTO "Many Dead" SELECT g, 'note ' || g FROM generate_series(1, 5000) AS g;
DELETE FROM "Many Dead" WHERE id > 1000;
CREATE TABLE grown (id int);
INSERT INTO grown SELECT generate_series(1, 5000);
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (2500);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (2500) TO (5001);
INSERT INTO part SELECT generate_series(1, 5000);
CREATE TABLE empty (id int);
CREATE SCHEMA hidden;
CREATE TABLE hidden.elsewhere (id int);
INSERT INTO hidden.elsewhere SELECT generate_series(1, 100);
""",
        SHOP,
    )
    settle(server, '"Many Dead"', 9000)
    settle(server, "grown", _ROWS)
    settle(server, "part_high", 2501)
    settle(server, "hidden.elsewhere", 100)


def _run(server: PrivatePostgres, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
    return run_module("postgres_vacuum", {**server.login_arguments, "databases": [SHOP], **arguments}, check=check)


def _statements(server: PrivatePostgres, word: str) -> list[str]:
    marker = f"statement: {word}"
    return [line.split(marker, 1)[1].strip() for line in server.log().splitlines() if marker in line]


def _catalog(server: PrivatePostgres) -> list[t.Any]:
    return server.run_sql(
        "SELECT relid, n_dead_tup, last_vacuum, last_analyze, vacuum_count, analyze_count, reltuples, relfilenode"
        " FROM pg_stat_all_tables JOIN pg_class ON oid = relid ORDER BY 1",
        SHOP,
    )


def _subjects(entries: list[dict[str, t.Any]]) -> set[str]:
    return {entry["subject"] for entry in entries}


def test_needy_tables_are_vacuumed_and_a_second_run_issues_nothing(shop: PrivatePostgres) -> None:
    _neglect(shop)

    first = _run(shop)

    assert not first["failed"]
    assert (first["verdict"], first["changed"], first["not_done"]) == ("ok", True, [])
    needed = {"public.Many Dead", "public.grown", "public.part_low", "public.part_high", "hidden.elsewhere"}
    assert _subjects(first["done"]) == needed
    dead = next(entry for entry in first["done"] if entry["subject"] == "public.Many Dead")
    assert "4000 dead rows" in dead["reason"]
    assert dead["before"].startswith("4000 dead rows")
    assert dead["after"].startswith("0 dead rows")
    sizes = [int(float(number) * 1000) for number in re.findall(r"([0-9.]+) kB", dead["before"] + dead["after"])]
    assert dead["reclaimed_bytes"] > 0
    assert abs(sizes[0] - sizes[1] - dead["reclaimed_bytes"]) <= 100
    assert first["figures"]["reclaimed_bytes"] >= dead["reclaimed_bytes"]
    assert first["figures"]["done"] == len(needed)
    assert shop.run_sql("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'Many Dead'", SHOP) == [(0,)]
    # From 16 on, the age of the database is worked out once, at the end, and not once a table.
    skipping = [statement for statement in _statements(shop, "VACUUM") if "SKIP_DATABASE_STATS" in statement]
    once = [statement for statement in _statements(shop, "VACUUM") if "ONLY_DATABASE_STATS" in statement]
    expected = (len(needed), 1) if shop.major >= 16 else (0, 0)
    assert (len(skipping), len(once)) == expected

    issued = len(_statements(shop, "VACUUM"))
    second = _run(shop)

    assert (second["verdict"], second["changed"], second["planned"]) == ("ok", False, [])
    assert len(_statements(shop, "VACUUM")) == issued


def test_statistics_are_gathered_of_partitioned_tables_too_and_once(shop: PrivatePostgres) -> None:
    _neglect(shop)

    first = _run(shop, task="analyze")

    assert (first["verdict"], first["not_done"]) == ("ok", [])
    assert {"public.part", "public.grown", "public.Many Dead", "public.empty"} <= _subjects(first["done"])
    inherited = shop.run_sql("SELECT count(*) FROM pg_stats WHERE tablename = 'part' AND inherited", SHOP)
    assert inherited == [(1,)]

    issued = len(_statements(shop, "ANALYZE"))
    second = _run(shop, task="analyze")

    assert (second["verdict"], second["changed"], second["planned"]) == ("ok", False, [])
    assert len(_statements(shop, "ANALYZE")) == issued


def test_check_mode_tells_everything_and_changes_nothing(shop: PrivatePostgres) -> None:
    _neglect(shop)
    before = _catalog(shop)

    told = _run(shop, check=True)

    assert told["changed"] is True
    assert told["done"] == []
    plan = next(plan for plan in told["planned"] if plan["subject"] == "public.Many Dead")
    assert plan["database"] == SHOP
    assert plan["action"] == "VACUUM (ANALYZE)"
    assert plan["estimate"]["bytes"] > 0
    assert plan["estimate"]["rows"] == 1000
    assert "public.Many Dead: 4000 dead rows" in told["diff"]["before"]
    assert "VACUUM (ANALYZE) would be done" in told["diff"]["after"]
    assert _catalog(shop) == before


def test_settings_of_the_table_come_before_those_of_the_server(shop: PrivatePostgres) -> None:
    shop.run_sql(
        """
CREATE TABLE patient (id int, note text) WITH (autovacuum_vacuum_threshold = 100000);
ALTER TABLE patient ALTER note SET STORAGE EXTERNAL;
CREATE TABLE eager (id int) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);
INSERT INTO patient SELECT g, repeat('x', 9000) FROM generate_series(1, 1000) AS g;
INSERT INTO eager SELECT generate_series(1, 1000);
""",
        SHOP,
    )
    shop.run_sql("VACUUM ANALYZE", SHOP)
    shop.run_sql("DELETE FROM patient WHERE id > 100", SHOP)
    shop.run_sql("DELETE FROM eager WHERE id = 1", SHOP)
    settle(shop, "patient", 1900)
    settle(shop, "eager", 1001)

    done = _run(shop)

    # The TOAST table of patient has thousands of dead rows, and no settings but those of patient.
    assert _subjects(done["done"]) == {"public.eager"}
    assert done["done"][0]["reason"] == "1 dead rows, over 0"


def test_the_kind_of_the_need_comes_before_the_size_also_with_several_workers(shop: PrivatePostgres) -> None:
    _neglect(shop)
    shop.run_sql("CREATE TABLE tiny (id int); INSERT INTO tiny SELECT generate_series(1, 200)", SHOP)
    shop.run_sql("DELETE FROM tiny WHERE id > 20", SHOP)
    settle(shop, "tiny", 380)

    told = _run(shop, check=True, jobs=3)

    order = [plan["subject"] for plan in told["planned"]]
    # Within one kind the large table is first: nobody shall still be at it when all else is done.
    assert order[:3] == ["public.Many Dead", "public.tiny", "public.grown"]


def test_a_table_near_the_wraparound_is_frozen_first(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE old (id int) WITH (autovacuum_freeze_max_age = 100000)", SHOP)
    shop.run_sql("INSERT INTO old SELECT generate_series(1, 1000)", SHOP)
    shop.run_sql("CREATE TABLE other (id int)", SHOP)
    shop.run_sql("INSERT INTO other VALUES (1)", SHOP)
    settle(shop, "other", 1)
    shop.run_sql("DO $$ BEGIN FOR i IN 1..1000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$", SHOP)

    done = _run(shop, freeze_percent=1)

    assert done["verdict"] == "ok"
    assert done["done"][0]["subject"] == "public.old"
    assert "1 % of autovacuum_freeze_max_age" in done["done"][0]["reason"]
    age = shop.run_sql("SELECT age(relfrozenxid) FROM pg_class WHERE relname = 'old'", SHOP)[0][0]
    assert age < 1000
    assert _run(shop, freeze_percent=1)["changed"] is False


def test_temporary_tables_of_others_are_left_alone(shop: PrivatePostgres) -> None:
    other = shop.connect(SHOP)
    try:
        cursor = other.cursor()
        cursor.execute("CREATE TEMPORARY TABLE scratch AS SELECT generate_series(1, 5000) AS id")
        cursor.execute("DELETE FROM pg_temp.scratch")

        answer = _run(shop)
    finally:
        other.close()

    assert (answer["verdict"], answer["planned"]) == ("ok", [])


@pytest.mark.parametrize("bad", ["soon", "0s", "7x"])
def test_a_duration_that_cannot_be_read_is_refused(postgres: PrivatePostgres, bad: str) -> None:
    answer = run_module("postgres_vacuum", {**postgres.login_arguments, "max_age": bad})

    assert answer["failed"]
    assert repr(bad) in answer["msg"]
