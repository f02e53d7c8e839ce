# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How bloat is computed, what a leftover is, and what is remembered of odd indexes."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.sizes import format_size
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import headroom
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.bloat import (
    expected_bytes,
    measured_percent,
    rows_are_sure,
    rows_now,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.catalog_indexes import Index, leftovers
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.headroom import HeadRoom
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.memory import FILE_NAME, Learned, Memory


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
    assert measured_percent(100, 90.0, 90, 1001 * 8192, 8192) == pytest.approx(90, abs=0.1)
    # Full pages at half the density.
    assert measured_percent(1000, 45.0, 90, 1001 * 8192, 8192) == pytest.approx(50, abs=0.1)
    # The pages above the leaves go with them.
    assert measured_percent(1000, 45.0, 90, 1101 * 8192, 8192, 100) == pytest.approx(50, abs=0.1)
    # A fill factor of 70 that is kept is no bloat.
    assert measured_percent(1000, 70.0, 70, 1001 * 8192, 8192) == 0
    assert measured_percent(0, 0.0, 90, 100 * 8192, 8192) == 99
    assert measured_percent(0, 0.0, 90, 8192, 8192) == 0
    assert measured_percent(0, 0.0, 90, 0, 8192) == 0


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
    directory = str(tmp_path / "new" / "state")
    memory = Memory(directory, "server 1")
    assert memory.recall("a") is None
    memory.learn("a", 21.5, rebuilt=True)
    memory.learn("b", 7.0)
    assert not pathlib.Path(memory.path).exists()  # written once, by save()
    assert memory.save() == ""
    again = Memory(directory, "server 1")
    assert again.recall("a") == Learned(21.5, rebuilt=True, outdated=False)
    assert again.recall("b") == Learned(7.0, rebuilt=False, outdated=False)
    for broken in ("{torn", "[]", '{"server 1 a": 5, "server 1 b": {"bytes_per_row": "x", "seen": 7}}', "\udcff"):
        pathlib.Path(memory.path).write_bytes(broken.encode(errors="surrogateescape"))
        assert Memory(directory, "server 1").recall("a") is None
        assert Memory(directory, "server 1").recall("b") is None
    memory.learn("c", 1.0)
    assert memory.save() == ""
    assert Memory(directory, "server 1").recall("c") is not None
    assert [path.name for path in pathlib.Path(memory.path).parent.iterdir()] == [FILE_NAME]


def test_memory_keeps_databases_apart_and_what_others_wrote_meanwhile(tmp_path: pathlib.Path) -> None:
    one, two = Memory(str(tmp_path), "server 1"), Memory(str(tmp_path), "server 2")
    one.learn("a", 1.0)
    two.learn("a", 2.0)
    assert one.save() == two.save() == ""
    known = [Memory(str(tmp_path), scope).recall("a") for scope in ("server 1", "server 2", "server")]
    assert [entry and entry.bytes_per_row for entry in known] == [1.0, 2.0, None]


def test_memory_measures_again_after_ninety_days_and_forgets_what_is_gone(tmp_path: pathlib.Path) -> None:
    def on(day: int) -> Memory:
        return Memory(str(tmp_path), "server 1", datetime.date(2026, 1, 1) + datetime.timedelta(days=day))

    first = on(0)
    first.learn("here", 1.0)
    first.learn("gone", 1.0)
    first.save()
    middle = on(60)
    assert middle.recall("here") == Learned(1.0, rebuilt=False, outdated=False)
    middle.save()
    late = on(100)
    assert late.recall("here") == Learned(1.0, rebuilt=False, outdated=True)
    assert late.recall("gone") is None
    late.save()
    assert "gone" not in pathlib.Path(late.path).read_text()


def test_memory_knows_which_files_were_rebuilt_and_what_took_too_long(tmp_path: pathlib.Path) -> None:
    memory = Memory(str(tmp_path), "server 1")
    memory.note_rebuilt_file("drift", 12)
    memory.note_rebuilt_file("drift", 7)
    memory.note_not_enough("a", 12.34)
    memory.save()
    again = Memory(str(tmp_path), "server 1")
    assert again.rebuilt_files("drift") == {7, 12}
    assert (again.seconds_not_enough("a"), again.seconds_not_enough("b")) == (12.3, 0.0)
    again.forget("drift")
    again.save()
    assert Memory(str(tmp_path), "server 1").rebuilt_files("drift") == frozenset()


def test_memory_says_why_it_cannot_keep_something(tmp_path: pathlib.Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    memory = Memory(str(in_the_way / "state"))
    assert memory.save() == ""  # nothing to keep
    memory.learn("a", 1.0)
    problem = memory.save()
    assert str(in_the_way) in problem
    assert "Not a directory" in problem


def test_head_room_is_looked_at_only_where_the_disk_is_ours(tmp_path: pathlib.Path) -> None:
    small, huge = _index("a", path=str(tmp_path)), _index("b", path=str(tmp_path), bytes=2**60)
    here, elsewhere = HeadRoom("127.0.0.1", ""), HeadRoom("db.example.com", str(tmp_path))
    assert here.missing(small) == ""
    assert "bytes are needed" in here.missing(huge)
    assert "at work" in here.missing(small, [huge])
    assert elsewhere.missing(huge) == ""
    assert elsewhere.free_bytes(huge) is None
    assert here.free_bytes(_index("c", path="/not/there")) is None
    assert "bytes are needed" in HeadRoom("", str(tmp_path)).missing(_index("d", bytes=2**60))


def test_the_disk_of_the_wal_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    disks = {"/data": (1, 10**12), "/data/pg_wal": (2, 10**6)}
    monkeypatch.setattr(headroom, "_look", disks.get)
    assert "/data/pg_wal has 1000000 bytes free" in HeadRoom("", "/data").missing(_index("a", bytes=10**6))
    assert HeadRoom("", "/data").missing(_index("b", bytes=9 * 10**5)) == ""


def test_rows_are_learned_from_only_when_they_were_counted() -> None:
    assert rows_are_sure(_index("a"))
    assert not rows_are_sure(_index("never", table_rows=-1.0))
    assert not rows_are_sure(_index("changed", modified=5000))
    assert not rows_are_sure(_index("empty", rows=0.0, table_rows=0.0, table_live=0))
    assert rows_are_sure(_index("toast", modified=5000, toast_of="public.orders"))
    assert rows_now(_index("partial", partial=True, modified=5000)) is None


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1536, "1.5 kB"), (10**12, "1.0 TB")])
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert format_size(size) == text
