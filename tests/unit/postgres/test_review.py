# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the review concludes from what it reads."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import review_queries
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import Login
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_foreign_keys import serves
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_indexes import Structure, covers
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_options import standby_logins
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_sequences import Feed
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_server import is_behind
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_sizes import previous_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_tables import expected_heap_bytes
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_waits import roots

A, B, C = ("a", 1, 0, 0), ("b", 1, 0, 0), ("c", 1, 0, 0)
INDEX = Structure(
    1, "public", "one", 7, "btree", "i", True, False, False, False, False, (A,), frozenset(), "", (1,), 8192
)


def _index(**changes: object) -> Structure:
    return dataclasses.replace(INDEX, oid=2, name="other", **changes)  # type: ignore[arg-type]


def test_an_index_is_covered_by_one_that_begins_with_the_same_columns() -> None:
    assert covers(_index(columns=(A, B)), INDEX)
    assert covers(_index(unique=True), INDEX)
    assert covers(_index(columns=(A, B), beside=frozenset("c")), dataclasses.replace(INDEX, beside=frozenset("bc")))


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": (B, A)},
        {"columns": (("a", 2, 0, 0), B)},  # another operator class
        {"columns": (("a", 1, 9, 0), B)},  # another collation
        {"columns": (("a", 1, 0, 1), B)},  # another direction
        {"columns": (A, B), "condition": "(a > 0)"},
        {"columns": (A, B), "method": "gist"},
        {"columns": (A, B), "valid": False},
        {"columns": (A, B), "table_oid": 8},
    ],
)
def test_an_index_is_not_covered_by_one_that_differs(changes: dict[str, object]) -> None:
    assert not covers(_index(**changes), INDEX)


def test_a_unique_index_is_covered_only_by_one_that_is_as_unique() -> None:
    unique = dataclasses.replace(INDEX, unique=True)
    assert not covers(_index(columns=(A, B), unique=True), unique)
    assert not covers(_index(), unique)
    assert covers(_index(unique=True), unique)
    assert not covers(_index(unique=True, nulls_equal=True), unique)


def test_a_foreign_key_is_served_by_its_columns_in_any_order_at_the_beginning() -> None:
    wide = _index(columns=(A, B, C), key_numbers=(1, 2, 3))
    assert serves(wide, [2, 1])
    assert serves(wide, [1])
    assert not serves(wide, [2])
    assert not serves(wide, [1, 3])
    assert not serves(_index(condition="(b > 0)"), [1])
    assert serves(_index(condition="(a IS NOT NULL)"), [1])
    assert not serves(_index(method="brin"), [1])
    assert not serves(_index(valid=False), [1])


@pytest.mark.parametrize(
    ("pid", "blockers", "expected"),
    [
        (3, {3: [2], 2: [1]}, {1}),
        (3, {3: [2, 4], 2: [1], 4: [1]}, {1}),
        (2, {2: [1, 0]}, {1, 0}),
        (1, {1: [2], 2: [1]}, {2}),  # a deadlock, before the server ends it
    ],
)
def test_the_root_of_a_queue_waits_for_nobody(pid: int, blockers: dict[int, list[int]], expected: set[int]) -> None:
    assert roots(pid, blockers) == expected


def _feed(column_type: str, last: int | None, **changes: object) -> Feed:
    feed = Feed("public", "s", "bigint", 1, 1, 1, 2**63 - 1, False, True, last, "public", "t", "id", column_type)
    return dataclasses.replace(feed, **changes)  # type: ignore[arg-type]


def test_a_sequence_ends_where_its_column_does_when_that_is_sooner() -> None:
    assert _feed("int4", 2**30).ending == (2**31 - 1, True)
    assert round(_feed("int4", 2**30).used_percent) == 50
    assert _feed("int8", 2**30).ending == (2**63 - 1, False)
    assert _feed("numeric", 1).ending == (2**63 - 1, False)
    assert _feed("int2", 100, highest=1000).ending == (1000, False)
    assert _feed("int4", None).used_percent == 0
    down = _feed("int4", -500, step=-1, lowest=-1000, highest=-1)
    assert (down.ending, round(down.used_percent), down.left) == ((-1000, False), 50, 500)
    assert _feed("int2", 32760, step=5).left == 1


def test_a_previous_record_is_read_or_refused_by_name() -> None:
    assert previous_from({}).time is None
    read = previous_from({"time": "2026-11-23T01:00:00Z", "figures": {"database_bytes[shop]": 8}})
    assert read.time is not None
    assert read.time.isoformat() == "2026-11-23T01:00:00+00:00"
    for wrong in ({"time": "now"}, {"time": "2026-01-01"}, {"figures": []}, {"tim": 1}, {"time": "x", "figures": [1]}):
        with pytest.raises(InputError, match="previous"):
            previous_from(wrong)


def test_a_standby_is_asked_as_whom_the_server_was() -> None:
    login = Login(host="a", port=5433, user="me", password="geheim", service="primary", ssl_mode="verify-full")
    (standby,) = standby_logins([{"host": "b"}], login)
    assert (standby.host, standby.port, standby.service) == ("b", 5432, "")
    assert (standby.user, standby.password, standby.ssl_mode) == ("me", "geheim", "verify-full")
    with pytest.raises(InputError, match="entry 2 says neither host"):
        standby_logins([{"host": "b"}, {"user": "x"}], login)


def test_autovacuum_gets_its_chance_before_the_wraparound_is_told() -> None:
    assert not is_behind(200_000_001, 200_000_000)
    assert is_behind(240_000_001, 200_000_000)
    assert is_behind(1_500_000_001, 2_000_000_000), "a limit near the end is none"


def test_the_expected_size_of_a_table_is_near_the_truth() -> None:
    # 100000 rows of an int and a text of 10 letters: 4 431 872 bytes on PostgreSQL 15, avg_width 15.
    assert expected_heap_bytes(100_000, 15, False, 100, 8192) == pytest.approx(4_431_872, rel=0.01)
    assert expected_heap_bytes(0, 16, False, 100, 8192) == 0


@pytest.mark.parametrize(
    "text",
    ["VACUUM t", " /* x */ analyze t", "CREATE DATABASE a", "SELECT * FROM public.pgstatindex($1)", "COPY t TO STDOUT"],
)
def test_maintenance_is_no_slow_query(text: str) -> None:
    assert review_queries._MAINTENANCE.match(text)


@pytest.mark.parametrize("text", ["SELECT * FROM analyzed", "WITH x AS (SELECT 1) SELECT", "update vacuum set a = 1"])
def test_what_the_application_asks_may_be_slow(text: str) -> None:
    assert not review_queries._MAINTENANCE.match(text)
