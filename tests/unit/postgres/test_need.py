# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tables are due: autovacuum's formula with the table's settings first, and the guide's upper bound."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.catalog_tables import Rows, Table
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.need import (
    AGE,
    DEAD_ROWS,
    INSERTS,
    STATISTICS,
    WRAPAROUND,
    analyze_need,
    vacuum_need,
)

SERVER = {
    "autovacuum_vacuum_threshold": 50,
    "autovacuum_vacuum_scale_factor": 0.2,
    "autovacuum_vacuum_insert_threshold": 1000,
    "autovacuum_vacuum_insert_scale_factor": 0.2,
    "autovacuum_analyze_threshold": 50,
    "autovacuum_analyze_scale_factor": 0.1,
    "autovacuum_freeze_max_age": 200_000_000,
    "autovacuum_multixact_freeze_max_age": 400_000_000,
}
WEEK = 7 * 86400
NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)
QUIET = Rows(1000, 0, 0, 0, 100, 0, 0.0, {})


def _table(toast: Rows | None = None, table: dict[str, t.Any] | None = None, **main: t.Any) -> Table:
    known: dict[str, t.Any] = {
        "oid": 1,
        "schema": "public",
        "name": "orders",
        "kind": "r",
        "live": 1000,
        "system": False,
        "may_maintain": True,
        "owner": "shop",
        "created_age": 100,
        "vacuumed": NOW,
        "vacuumed_seconds": 60.0,
        "analyzed": NOW,
        "analyzed_seconds": 60.0,
        "main": dataclasses.replace(QUIET, **main),
        "toast": toast,
        "leaf_rows": 0.0,
        "leaf_modified": 0,
        "leaf_autoanalyzed": None,
    }
    return Table(**{**known, **(table or {})})


def _vacuum(table: Table, server: t.Mapping[str, float] = SERVER) -> str | None:
    need = vacuum_need(table, server, WEEK, 90)
    return need.kind if need else None


def _analyze(table: Table) -> str | None:
    need = analyze_need(table, SERVER, WEEK)
    return need.kind if need else None


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ({}, None),
        ({"dead": 250}, None),  # 50 + 0.2 * 1000: at the limit is not over it
        ({"dead": 251}, DEAD_ROWS),
        ({"dead": 51, "rows": -1}, DEAD_ROWS),  # never counted is taken for empty
        ({"dead": 251, "options": {"autovacuum_vacuum_threshold": "1000"}}, None),
        (
            {"dead": 11, "options": {"autovacuum_vacuum_threshold": "10", "autovacuum_vacuum_scale_factor": "0"}},
            DEAD_ROWS,
        ),
        ({"inserted": 1200}, None),
        ({"inserted": 1201}, INSERTS),
        ({"inserted": 1001, "frozen_share": 1.0}, INSERTS),  # 18 counts only what is not frozen yet
        ({"inserted": 9999, "options": {"autovacuum_vacuum_insert_threshold": "-1"}}, None),
        ({"xid_age": 180_000_000}, None),
        ({"xid_age": 180_000_001}, WRAPAROUND),
        ({"mxid_age": 360_000_001}, WRAPAROUND),
        ({"xid_age": 95_000_000, "options": {"autovacuum_freeze_max_age": "100000000"}}, WRAPAROUND),
        # Autovacuum does not let a table raise this limit.
        ({"xid_age": 190_000_000, "options": {"autovacuum_freeze_max_age": "900000000"}}, WRAPAROUND),
        ({"xid_age": 190_000_000, "dead": 9999}, WRAPAROUND),
    ],
)
def test_a_table_is_vacuumed_by_the_servers_own_formula(main: dict[str, t.Any], expected: str | None) -> None:
    assert _vacuum(_table(**main)) == expected


def test_the_toast_table_is_judged_by_its_own_rows_and_settings() -> None:
    assert _vacuum(_table(toast=dataclasses.replace(QUIET, dead=251))) == DEAD_ROWS
    assert _vacuum(_table(toast=dataclasses.replace(QUIET, xid_age=190_000_000))) == WRAPAROUND
    lax = dataclasses.replace(QUIET, dead=251, options={"autovacuum_vacuum_threshold": "1000"})
    assert _vacuum(_table(toast=lax)) is None


def test_the_maximum_threshold_of_18_caps_what_is_tolerated() -> None:
    large = _table(rows=1e9, dead=150_000_000)
    assert _vacuum(large) is None
    assert _vacuum(large, {**SERVER, "autovacuum_vacuum_max_threshold": 100_000_000}) == DEAD_ROWS
    assert _vacuum(large, {**SERVER, "autovacuum_vacuum_max_threshold": -1}) is None


@pytest.mark.parametrize(
    ("seconds", "dead", "expected"),
    [(WEEK + 1, 1, AGE), (WEEK - 1, 1, None), (WEEK + 1, 0, None), (None, 1, AGE), (None, 0, None)],
)
def test_a_table_that_changed_is_not_left_alone_for_longer_than_a_week(
    seconds: float | None, dead: int, expected: str | None
) -> None:
    assert _vacuum(_table(dead=dead, table={"vacuumed_seconds": seconds})) == expected


def test_system_catalogs_and_partitioned_tables_are_left_to_others() -> None:
    assert _vacuum(_table(dead=9999, table={"system": True})) is None
    assert _vacuum(_table(xid_age=190_000_000, table={"system": True})) == WRAPAROUND
    assert _vacuum(_table(dead=9999, table={"kind": "p"})) is None
    assert _analyze(_table(modified=9999, table={"system": True})) is None


@pytest.mark.parametrize(
    ("main", "table", "expected"),
    [
        ({}, {}, None),
        ({"modified": 150}, {}, None),
        ({"modified": 151}, {}, STATISTICS),
        ({"rows": -1}, {}, STATISTICS),
        ({"modified": 1}, {"analyzed_seconds": WEEK + 1.0}, AGE),
        ({"modified": 1}, {"analyzed_seconds": None}, AGE),
        ({}, {"analyzed_seconds": None}, None),
        ({}, {"kind": "p", "analyzed": None, "analyzed_seconds": None, "leaf_rows": 10.0}, STATISTICS),
        ({}, {"kind": "p", "analyzed": None, "analyzed_seconds": None}, None),  # of empty partitions
        ({}, {"kind": "p", "leaf_rows": 1000.0, "leaf_modified": 151}, STATISTICS),
        ({}, {"kind": "p", "leaf_rows": 1000.0, "leaf_modified": 150}, None),
        (
            {},
            {
                "kind": "p",
                "analyzed_seconds": WEEK + 1.0,
                "leaf_autoanalyzed": NOW + datetime.timedelta(seconds=1),
            },
            AGE,
        ),
        ({}, {"kind": "p", "analyzed_seconds": WEEK + 1.0, "leaf_autoanalyzed": NOW}, None),
    ],
)
def test_statistics_are_gathered_where_they_are_out_of_date(
    main: dict[str, t.Any], table: dict[str, t.Any], expected: str | None
) -> None:
    assert _analyze(_table(table=table, **main)) == expected


def test_the_most_urgent_come_first() -> None:
    needs = [
        vacuum_need(_table(dead=1, table={"vacuumed_seconds": None}), SERVER, WEEK, 90),
        vacuum_need(_table(dead=300), SERVER, WEEK, 90),
        vacuum_need(_table(dead=3000), SERVER, WEEK, 90),
        vacuum_need(_table(inserted=5000), SERVER, WEEK, 90),
        vacuum_need(_table(xid_age=190_000_000), SERVER, WEEK, 90),
    ]
    ordered = sorted((need for need in needs if need), key=lambda need: need.urgency)
    assert [(need.kind, round(need.ratio, 1)) for need in ordered] == [
        (WRAPAROUND, 1.1),
        (DEAD_ROWS, 12.0),
        (DEAD_ROWS, 1.2),
        (INSERTS, 4.2),
        (AGE, 1.0),
    ]
    assert ordered[0].freeze_to == 90_000_000
