# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring takes long, and somebody's DDL arrives meanwhile: it gives way, measures again, and says what it missed.

The functions of pgstattuple are wrapped: they hold the lock that they would hold on a large relation, for as long.
"""

from __future__ import annotations

import subprocess
import time

import pytest
from support.postgres import SHOP, PrivatePostgres, wait_for
from support.postgres_faults import REINDEX, REVIEW, Answer, begin, end, naps, sessions

pytest_plugins = ("support.postgres_fixtures",)
pytestmark = pytest.mark.contrib

_NAP_SECONDS = 4.0
_INDEX, _TABLE = "pgstatindex", "pgstattuple_approx"

#: The functions that measure, the C function behind each, and what takes long about it: the table is locked meanwhile.
_SLOWLY = """
CREATE EXTENSION pgstattuple;
CREATE FUNCTION nap(relation oid) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', coalesce(
    (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = relation), relation)::pg_catalog.regclass);
  PERFORM pg_catalog.pg_sleep(coalesce(pg_catalog.current_setting('test.nap', true), '0')::float8);
END $$;
CREATE FUNCTION real_index(regclass, OUT version int, OUT tree_level int, OUT index_size int8,
  OUT root_block_no int8, OUT internal_pages int8, OUT leaf_pages int8, OUT empty_pages int8, OUT deleted_pages int8,
  OUT avg_leaf_density float8, OUT leaf_fragmentation float8)
  AS '$libdir/pgstattuple', 'pgstatindexbyid_v1_5' LANGUAGE C STRICT;
CREATE OR REPLACE FUNCTION pgstatindex(relname regclass, OUT version int, OUT tree_level int, OUT index_size int8,
  OUT root_block_no int8, OUT internal_pages int8, OUT leaf_pages int8, OUT empty_pages int8, OUT deleted_pages int8,
  OUT avg_leaf_density float8, OUT leaf_fragmentation float8) LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.nap(relname);
  SELECT * FROM public.real_index(relname) INTO version, tree_level, index_size, root_block_no, internal_pages,
    leaf_pages, empty_pages, deleted_pages, avg_leaf_density, leaf_fragmentation;
END $$;
CREATE FUNCTION real_table(regclass, OUT table_len int8, OUT scanned_percent float8, OUT approx_tuple_count int8,
  OUT approx_tuple_len int8, OUT approx_tuple_percent float8, OUT dead_tuple_count int8, OUT dead_tuple_len int8,
  OUT dead_tuple_percent float8, OUT approx_free_space int8, OUT approx_free_percent float8)
  AS '$libdir/pgstattuple', 'pgstattuple_approx_v1_5' LANGUAGE C STRICT;
CREATE OR REPLACE FUNCTION pgstattuple_approx(reloid regclass, OUT table_len int8, OUT scanned_percent float8,
  OUT approx_tuple_count int8, OUT approx_tuple_len int8, OUT approx_tuple_percent float8, OUT dead_tuple_count int8,
  OUT dead_tuple_len int8, OUT dead_tuple_percent float8, OUT approx_free_space int8, OUT approx_free_percent float8)
  LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.nap(reloid);
  SELECT * FROM public.real_table(reloid) INTO table_len, scanned_percent, approx_tuple_count, approx_tuple_len,
    approx_tuple_percent, dead_tuple_count, dead_tuple_len, dead_tuple_percent, approx_free_space, approx_free_percent;
END $$"""


@pytest.fixture
def slowly(shop: PrivatePostgres) -> PrivatePostgres:
    """A table that is mostly free space, with an index that is, and functions that take seconds to say so."""
    shop.run_sql(_SLOWLY, SHOP)
    shop.run_sql("CREATE TABLE sick (id int, word text)", SHOP)
    shop.run_sql("INSERT INTO sick SELECT g, md5(g::text) FROM generate_series(1, 30000) AS g", SHOP)
    shop.run_sql("CREATE INDEX sick_one ON sick (word)", SHOP)
    shop.run_sql("DELETE FROM sick WHERE id % 5 > 0", SHOP)
    shop.run_sql("VACUUM ANALYZE sick", SHOP)
    naps(shop, _NAP_SECONDS)
    return shop


def _measuring(server: PrivatePostgres, function: str, than: int = 0) -> int:
    """Wait until one of our sessions, another one than `than` had then begun, measures; when it began, as a number."""
    sql = (
        "SELECT (extract(epoch FROM query_start) * 1000000)::bigint FROM pg_stat_activity WHERE state = 'active'"
        " AND application_name LIKE 'steward.maintenance:re%%' AND query LIKE %s"
    )
    rows = wait_for(
        lambda: [row for row in server.run_sql(sql, parameters=(f"SELECT %{function}%",)) if row[0] > than], function
    )
    return int(rows[0][0])


def _interrupt(server: PrivatePostgres, column: str) -> float:
    """DDL arrives without any patience of its own; how long it waited."""
    began = time.monotonic()
    server.run_sql(f"ALTER TABLE sick ADD COLUMN {column} int", SHOP)
    return time.monotonic() - began


def _start(server: PrivatePostgres, module: str, **more: str) -> subprocess.Popen[bytes]:
    return begin(module, server, yield_after="1s", **more)


def _told(answer: Answer) -> set[str]:
    return {finding["id"].rpartition(".")[2] for finding in answer["findings"]}


@pytest.mark.parametrize(("module", "function"), [(REINDEX, _INDEX), (REVIEW, _TABLE)])
def test_what_measures_gives_way_and_measures_again(slowly: PrivatePostgres, module: str, function: str) -> None:
    process = _start(slowly, module)
    _measuring(slowly, function)

    waited = _interrupt(slowly, "more")
    answer = end(process)

    assert waited < 3, f"the measuring kept DDL waiting for {waited:.1f} s"
    assert not answer["failed"], answer["reason"]
    if module == REINDEX:
        assert [entry["subject"] for entry in answer["done"]] == ["public.sick_one"]
    else:
        assert {"bloat", "table_bloat"} <= _told(answer)


def test_what_a_review_could_not_measure_is_unknown_and_names_who_waited(slowly: PrivatePostgres) -> None:
    process = _start(slowly, REVIEW)
    first = _measuring(slowly, _INDEX)
    waited = [_interrupt(slowly, "more")]
    _measuring(slowly, _INDEX, first)
    waited.append(_interrupt(slowly, "even_more"))
    answer = end(process)

    assert max(waited) < 3
    assert (answer["verdict"], answer["failed"]) == ("unknown", True)
    assert "bloated indexes: 1 could not be measured, first of all public.sick_one" in answer["reason"]
    assert "the measuring gave way to pid" in answer["reason"]
    assert "table_bloat" in _told(answer), "the others stand"


def test_an_index_that_a_rebuild_run_could_not_measure_is_told(slowly: PrivatePostgres) -> None:
    process = _start(slowly, REINDEX, attempts="1")
    _measuring(slowly, _INDEX)
    waited = _interrupt(slowly, "more")
    answer = end(process)

    assert waited < 3
    assert answer["done"] == []
    assert answer["coverage"]["looked"] == answer["coverage"]["of"] - 1
    messages = [finding["message"] for finding in answer["findings"] if finding["id"] == "postgres.reindex.cannot_look"]
    assert len(messages) == 1
    assert "public.sick_one: the measuring gave way to pid" in messages[0]


def test_measuring_ends_with_the_time_of_its_check(slowly: PrivatePostgres) -> None:
    naps(slowly, 60)
    began = time.monotonic()
    answer = end(_start(slowly, REVIEW, check_timeout="2s"))

    assert time.monotonic() - began < 20
    assert answer["verdict"] == "unknown"
    assert answer["reason"].count("check timeout: not done after 2 s") == 2
    wait_for(lambda: not sessions(slowly), "our sessions are gone")
