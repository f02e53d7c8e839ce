# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_reindex on a real server: invalid and bloated indexes are rebuilt, proved, and not rebuilt again."""

from __future__ import annotations

import pathlib
import typing as t

import psycopg2
import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, settle

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import format_duration
from ansible_collections.steward.maintenance.plugins.module_utils._core.sizes import format_size

pytest_plugins = ("support.postgres_fixtures",)

_LONG = "i" * 63


def _run(server: PrivatePostgres, check: bool = False, **arguments: t.Any) -> dict[str, t.Any]:
    given = {**server.login_arguments, "databases": [SHOP], "state_dir": str(server.directory / "state"), **arguments}
    return run_module("postgres_reindex", given, check=check)


def _bloat(server: PrivatePostgres) -> None:
    """A primary key and an index of which nine tenths are empty, and a fresh and a duplicate-ridden one."""
    server.run_sql(
        """
CREATE TABLE bloated (id int PRIMARY KEY, word text);
CREATE INDEX bloated_word ON bloated (word);
INSERT INTO bloated SELECT g, 'word ' || (g * 7919 % 100000) FROM generate_series(1, 100000) AS g;
DELETE FROM bloated WHERE id % 10 <> 0;
CREATE TABLE fresh (id int PRIMARY KEY, kind int);
INSERT INTO fresh SELECT g, g % 5 FROM generate_series(1, 200000) AS g;
CREATE INDEX fresh_kind ON fresh (kind);
""",
        SHOP,
    )
    server.run_sql("VACUUM ANALYZE", SHOP)
    settle(server, "bloated", 190000)


def _make_invalid(server: PrivatePostgres) -> None:
    server.run_sql("CREATE TABLE doubled (id int); INSERT INTO doubled VALUES (1), (1)", SHOP)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        server.run_sql(f'CREATE UNIQUE INDEX CONCURRENTLY "{_LONG}" ON doubled (id)', SHOP)


def invalid(server: PrivatePostgres) -> list[str]:
    rows = server.run_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1", SHOP)
    return [row[0] for row in rows]


def _catalog(server: PrivatePostgres) -> list[t.Any]:
    return server.run_sql(
        "SELECT indexrelid, indisvalid, relname, relfilenode, pg_relation_size(indexrelid)"
        " FROM pg_index JOIN pg_class ON oid = indexrelid ORDER BY 1",
        SHOP,
    )


@pytest.mark.parametrize("extension", [True, False])
def test_bloated_indexes_are_rebuilt_once_by_either_method(shop: PrivatePostgres, extension: bool) -> None:
    installed = extension and shop.has_extension("pgstattuple")
    if installed:
        shop.run_sql("CREATE SCHEMA ext; CREATE EXTENSION pgstattuple SCHEMA ext", SHOP)
    _bloat(shop)

    first = _run(shop)

    assert (first["verdict"], first["changed"], first["not_done"]) == ("ok", True, [])
    assert {entry["subject"] for entry in first["done"]} == {"public.bloated_pkey", "public.bloated_word"}
    method = "pgstatindex" if installed else "estimate"
    assert all(method in entry["reason"] for entry in first["done"])
    assert all(entry["reclaimed_bytes"] > 1_000_000 for entry in first["done"])
    assert first["figures"]["reclaimed_bytes"] == sum(entry["reclaimed_bytes"] for entry in first["done"])
    size = shop.run_sql("SELECT pg_relation_size('bloated_pkey')", SHOP)[0][0]
    assert size < 400_000

    second = _run(shop)

    assert (second["verdict"], second["changed"], second["planned"]) == ("ok", False, [])


def test_invalid_indexes_are_rebuilt_and_leftovers_dropped(shop: PrivatePostgres) -> None:
    _make_invalid(shop)
    shop.run_sql("DELETE FROM doubled WHERE ctid = '(0,1)'", SHOP)
    # What an interrupted REINDEX CONCURRENTLY leaves: the name is cut before the suffix. One more has no twin.
    shop.run_sql(f"CREATE INDEX original ON doubled (id); CREATE INDEX {'o' * 57}_ccnew ON doubled (id)", SHOP)
    shop.run_sql("CREATE INDEX chosen_ccnew ON doubled ((id + 1))", SHOP)
    shop.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text ~ '_ccnew$'", SHOP)
    assert len(invalid(shop)) == 3

    first = _run(shop)

    assert (first["verdict"], first["not_done"]) == ("ok", [])
    actions = {entry["subject"]: entry["action"] for entry in first["done"]}
    assert actions == {
        f"public.{'o' * 57}_ccnew": "DROP INDEX CONCURRENTLY",
        f"public.{_LONG}": "REINDEX INDEX CONCURRENTLY",
        "public.chosen_ccnew": "REINDEX INDEX CONCURRENTLY",
    }
    assert invalid(shop) == []
    assert _run(shop)["changed"] is False


def test_check_mode_tells_everything_and_changes_nothing(shop: PrivatePostgres) -> None:
    _bloat(shop)
    _make_invalid(shop)
    before = _catalog(shop)

    told = _run(shop, check=True)

    assert told["changed"] is True
    assert told["done"] == []
    plans = {plan["subject"]: plan for plan in told["planned"]}
    assert set(plans) == {f"public.{_LONG}", "public.bloated_pkey", "public.bloated_word"}
    assert plans["public.bloated_word"]["estimate"]["reclaimed_bytes"] > 1_000_000
    assert plans["public.bloated_word"]["estimate"]["free_bytes"] != 0
    estimate = plans["public.bloated_word"]["estimate"]
    assert estimate["seconds"] == round(estimate["bytes"] / 20e6, 1) > 0
    size, time = format_size(estimate["bytes"]), format_duration(estimate["seconds"])
    line = f"public.bloated_word: REINDEX INDEX CONCURRENTLY would be done, {size}, about {time}\n"
    assert line in told["diff"]["after"]
    assert f"public.{_LONG}: invalid" in told["diff"]["before"]
    assert _catalog(shop) == before


def test_duplicates_under_a_unique_index_are_told_and_nothing_is_left(shop: PrivatePostgres) -> None:
    _make_invalid(shop)

    answer = _run(shop)

    assert (answer["verdict"], answer["changed"]) == ("skipped", False)
    assert "duplicates" in answer["reason"]
    assert answer["findings"][0]["severity"] == "high"
    assert invalid(shop) == [_LONG]


def test_what_looks_bloated_after_its_rebuild_is_not_rebuilt_every_run(
    shop: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    _bloat(shop)
    arguments = {"bloat_percent": 1, "minimum_bytes": 8192, "state_dir": str(tmp_path / "state")}
    shop.run_sql("ALTER TABLE bloated ALTER word SET STATISTICS 10", SHOP)

    first = _run(shop, **arguments)
    second = _run(shop, **arguments)
    third = _run(shop, **arguments)

    assert first["changed"] is True
    assert third["changed"] is False
    assert not third["failed"]
    assert len(second["done"]) <= len(first["done"])


def test_an_exclusion_constraint_is_told_not_rebuilt(shop: PrivatePostgres) -> None:
    shop.run_sql(
        """
CREATE TABLE booked (during int4range, EXCLUDE USING gist (during WITH &&));
INSERT INTO booked SELECT int4range(g, g + 1) FROM generate_series(1, 100) AS g;
""",
        SHOP,
    )
    shop.run_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text = 'booked_during_excl'", SHOP)

    answer = _run(shop)

    assert (answer["verdict"], answer["done"]) == ("skipped", [])
    assert "exclusion constraint" in answer["reason"]
    assert "REINDEX INDEX" in answer["findings"][0]["action"]
