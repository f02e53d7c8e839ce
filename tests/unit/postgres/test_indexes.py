# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How bloat is computed, what a leftover is, and what is remembered of odd indexes."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.sizes import format_size
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import headroom
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.bloat import (
    expected_bytes,
    measured_percent,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.catalog_indexes import Index, leftovers
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.memory import FILE_NAME, Memory


def _index(name: str, **changes: t.Any) -> Index:
    known: dict[str, t.Any] = {
        "oid": abs(hash(name)),
        "schema": "public",
        "name": name,
        "table_oid": 1,
        "table": "public.orders",
        "method": "btree",
        "valid": True,
        "bytes": 8192,
        "rows": 10.0,
        "fillfactor": 90,
        "shape": " ON public.orders USING btree (id)",
        "constraint": "",
        "owner": "shop",
        "may_maintain": True,
        "may_drop": True,
        "being_built": False,
        "modified": 0,
        "table_rows": 10.0,
        "table_live": 10,
        "partial": False,
        "path": "",
    }
    return Index(**{**known, **changes})


def test_a_measured_index_counts_pages_that_wait_for_reuse() -> None:
    # 100 of 1000 pages are left, packed at the fill factor: nine tenths would be won.
    assert measured_percent(100, 90.0, 90, 1000 * 8192, 8192) == pytest.approx(90)
    # Full pages at half the density.
    assert measured_percent(1000, 45.0, 90, 1000 * 8192, 8192) == pytest.approx(50)
    # A fill factor of 70 that is kept is no bloat.
    assert measured_percent(1000, 70.0, 70, 1000 * 8192, 8192) == 0
    assert measured_percent(0, 0.0, 90, 0, 8192) == 100


def test_the_estimate_is_near_the_truth_for_a_fresh_index_and_never_over_it() -> None:
    # Measured on real servers: an index over an int4 key with 100 000 rows takes 2 260 992 bytes.
    assert expected_bytes(100_000, 4, False, 90, 8192) == pytest.approx(2_260_992, rel=0.03)
    assert expected_bytes(0, 4, False, 90, 8192) == 8192
    assert expected_bytes(1000, 4, True, 90, 8192) > expected_bytes(1000, 4, False, 90, 8192)
    assert expected_bytes(1000, 4, False, 50, 8192) > expected_bytes(1000, 4, False, 90, 8192)


@pytest.mark.parametrize(
    ("name", "changes", "left"),
    [
        ("orders_pkey_ccnew", {"valid": False}, True),
        ("orders_pkey_ccold", {"valid": False}, True),
        ("orders_pkey_ccnew12", {"valid": False}, True),
        ("o" * 57 + "_ccnew", {"valid": False}, True),  # cut at 63 bytes: known by its twin, not by its name
        ("orders_pkey_ccnew", {}, False),  # valid
        ("orders_pkey_ccnew", {"valid": False, "being_built": True}, False),
        ("orders_pkey_ccnew", {"valid": False, "shape": " ON public.orders USING btree (other)"}, False),
        ("orders_pkey_ccnew", {"valid": False, "table_oid": 2}, False),
        ("orders_ccnewer", {"valid": False}, False),
    ],
)
def test_a_leftover_is_known_by_what_it_is(name: str, changes: dict[str, t.Any], left: bool) -> None:
    found = [_index("orders_pkey"), _index(name, **changes)]
    assert [index.name for index in leftovers(found)] == ([name] if left else [])


def test_two_leftovers_are_not_each_others_original() -> None:
    found = [_index("a_ccnew", valid=False), _index("a_ccnew1", valid=False)]
    assert leftovers(found) == []


def test_memory_keeps_what_it_was_told_and_survives_a_broken_file(tmp_path: pathlib.Path) -> None:
    memory = Memory(str(tmp_path / "new" / "state"))
    assert memory.recall("a") is None
    assert memory.note("a", 21.5) == ""
    assert memory.note("b", 7.0) == ""
    assert (memory.recall("a"), memory.recall("b")) == (21.5, 7.0)
    pathlib.Path(memory.path).write_text("{torn")
    assert memory.recall("a") is None
    assert memory.note("c", 1.0) == ""
    assert [path.name for path in pathlib.Path(memory.path).parent.iterdir()] == [FILE_NAME]


def test_memory_says_why_it_cannot_keep_something(tmp_path: pathlib.Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    problem = Memory(str(in_the_way / "state")).note("a", 1.0)
    assert str(in_the_way) in problem
    assert "Not a directory" in problem


def test_head_room_is_looked_at_only_where_the_disk_is_ours(tmp_path: pathlib.Path) -> None:
    small, huge = _index("a", path=str(tmp_path)), _index("b", path=str(tmp_path), bytes=2**60)
    assert headroom.missing(None, "127.0.0.1", small) == ""
    assert "bytes are needed" in headroom.missing(None, "", huge)
    assert headroom.missing(None, "db.example.com", huge) == ""
    assert headroom.free_bytes(None, "db.example.com", huge) is None
    assert headroom.free_bytes(None, "", _index("c", path="/not/there")) is None


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1536, "1.5 kB"), (10**12, "1.0 TB")])
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert format_size(size) == text
