# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bloat figure of an index against the truth, which is what a rebuild wins, on shapes that mislead formulas."""

from __future__ import annotations

import pytest
from support.postgres import SHOP, PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import catalog_indexes
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.bloat import ESTIMATED, MEASURED, BloatMeter
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import query

pytest_plugins = ("support.postgres_fixtures",)
pytestmark = pytest.mark.contrib

#: In percentage points.
_TOLERANCE = 3.0

#: What is done to a table of 200,000 rows with a random int `key`, a `kind` of 50 values and an `id` in order.
_SHAPES = {
    "fresh": ("CREATE INDEX it ON rows (key)", ""),
    "grown by inserts": (
        "CREATE INDEX it ON rows (key)",
        "INSERT INTO rows SELECT id + 200000, (key * 16807::bigint) % 2147483647, kind FROM rows",
    ),
    "half-deleted": ("CREATE INDEX it ON rows (key)", "DELETE FROM rows WHERE id % 2 = 0"),
    "emptied from one end": ("CREATE INDEX it ON rows (id)", "DELETE FROM rows WHERE id < 180000"),
    "emptied": ("CREATE INDEX it ON rows (id)", "DELETE FROM rows"),
    "deduplicated": ("CREATE INDEX it ON rows (kind)", ""),
    "deduplicated and half-deleted": ("CREATE INDEX it ON rows (kind)", "DELETE FROM rows WHERE key % 2 = 0"),
    "fillfactor 70": ("CREATE INDEX it ON rows (key) WITH (fillfactor = 70)", ""),
    "fillfactor 70, half-deleted": (
        "CREATE INDEX it ON rows (key) WITH (fillfactor = 70)",
        "DELETE FROM rows WHERE id % 2 = 0",
    ),
    "wide keys": ("CREATE INDEX it ON rows (md5(key::text), id)", "DELETE FROM rows WHERE id % 3 <> 0"),
}


@pytest.fixture
def measured(shop: PrivatePostgres) -> PrivatePostgres:
    shop.run_sql("CREATE EXTENSION pgstattuple", SHOP)
    return shop


def _it(server: PrivatePostgres) -> catalog_indexes.Index:
    conn = server.connect(SHOP)
    try:
        return next(index for index in catalog_indexes.indexes(conn) if index.name == "it")
    finally:
        conn.close()


def _percent(server: PrivatePostgres, index: catalog_indexes.Index) -> tuple[float | None, str]:
    conn = server.connect(SHOP)
    try:
        meter = BloatMeter(conn)
        bloat = meter.judge(index, query(conn, meter.sql(index)))
    finally:
        conn.close()
    return bloat.percent, bloat.method


def _make(server: PrivatePostgres, create: str, change: str) -> None:
    server.run_sql(
        "CREATE TABLE rows (id int, key int, kind int) WITH (autovacuum_enabled = off);"
        "INSERT INTO rows SELECT g, (g * 48271::bigint) % 2147483647, g % 50 FROM generate_series(1, 200000) AS g",
        SHOP,
    )
    server.run_sql(create, SHOP)
    if change:
        server.run_sql(change, SHOP)
    server.run_sql("VACUUM ANALYZE rows", SHOP)
    server.run_sql("VACUUM rows", SHOP)  # emptied pages may be used again only now


@pytest.mark.parametrize("shape", list(_SHAPES))
def test_the_figure_is_near_what_a_rebuild_wins(measured: PrivatePostgres, shape: str) -> None:
    _make(measured, *_SHAPES[shape])
    before = _it(measured)

    percent, method = _percent(measured, before)

    measured.run_sql("REINDEX INDEX it", SHOP)
    after = _it(measured)
    truth = 100.0 * (1 - after.bytes / before.bytes)
    assert method == MEASURED
    assert percent is not None
    assert abs(percent - max(truth, 0.0)) <= _TOLERANCE, f"{percent:.1f} % told, {truth:.1f} % true"
    again, _method = _percent(measured, after)
    assert again is not None
    assert again <= _TOLERANCE


@pytest.mark.parametrize("shape", ["fresh", "deduplicated", "fillfactor 70"])
def test_without_the_extension_a_tight_index_is_never_called_bloated(shop: PrivatePostgres, shape: str) -> None:
    _make(shop, *_SHAPES[shape])

    percent, method = _percent(shop, _it(shop))

    assert method == ESTIMATED
    assert percent is not None
    assert percent <= _TOLERANCE
