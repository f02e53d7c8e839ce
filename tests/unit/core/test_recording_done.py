# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an activity did one by one travels into its record, within bounds; records from before it existed are read."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core.recording import MOST_DONE, record_of
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result, merge

ITEM = {"subject": "public.orders", "action": "VACUUM", "before": "300 dead rows", "after": "0 dead rows"}


def _record(result: dict[str, t.Any]) -> dict[str, t.Any]:
    return record_of({"activity": "database.vacuum", "host": "db1", "started": ""}, result, {})


def test_what_was_done_is_in_the_record_and_is_read_back(tmp_path: pathlib.Path) -> None:
    store = open_store(str(tmp_path / "records.jsonl"))
    store.append(_record({"verdict": "ok", "summary": "1 of 1", "done": [ITEM]}))
    store.append(_record({"verdict": "ok", "summary": "nothing needed", "done": []}))
    first, second = store.read()
    assert first["done"] == [ITEM]
    assert "done" not in second
    assert store.verify().intact


def test_more_than_a_record_can_hold_is_cut_and_told() -> None:
    many = [{**ITEM, "subject": f"public.t_{number}"} for number in range(MOST_DONE + 7)]
    record = _record({"verdict": "ok", "summary": "done", "done": many, "figures": {"done": len(many)}})
    assert record["done"] == many[:MOST_DONE]
    assert record["figures"] == {"done": len(many), "done_not_listed": 7}


def test_parts_are_joined_and_a_key_of_somebody_else_is_left_alone() -> None:
    one = Result("ok", "one", done=(ITEM,))
    other = Result.from_dict({"verdict": "ok", "summary": "other", "done": True})
    whole = merge([one, other])
    assert whole.to_dict()["done"] == [ITEM]
    assert "done" not in other.to_dict()
