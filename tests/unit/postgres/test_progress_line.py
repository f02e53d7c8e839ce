# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells about its progress, and what somebody else's comment cannot do."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.progress import line, read_comment
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.tally import Tally

TOLD = {"task": "vacuum", "done": 12, "of": 40, "noun": "tables", "percent": 62, "seconds_left": 180}


def _query(told: t.Any, rest: str = "SELECT 1") -> str:
    return f"/* steward.maintenance {json.dumps(told)} */ {rest}"


def test_the_comment_before_a_watch_query_is_read() -> None:
    assert read_comment(_query(TOLD)) == {"done": 12, "of": 40, "noun": "tables", "percent": 62, "seconds_left": 180}
    assert read_comment("\n  " + _query(dict(TOLD, database="a } *\\/ b"))) == read_comment(_query(TOLD))


@pytest.mark.parametrize("database", ["shop", 'a */ "b" /* 100 %s', "x" * 63, "\u00e9" * 31])
def test_what_a_run_writes_is_what_is_read(database: str) -> None:
    tally = Tally("vacuum", database, "tables", 40, 1000)
    for _table in range(12):
        tally.statement_ended(52)
        tally.job_ended()
    text = tally.comment() + "SELECT 1"
    assert len(text.encode()) < 1000
    assert line(dict(read_comment(text), task="vacuum")) == "vacuum: 12/40 tables, 62 %"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1",
        "SELECT 1 " + _query(TOLD),
        _query(TOLD)[:60],  # the server cuts long queries off
        "/* steward.maintenance {} */",
        "/* steward.maintenance {nonsense} */",
        _query(dict(TOLD, done="12")),
        _query(dict(TOLD, of=None)),
        _query(dict(TOLD, of=True)),
        _query(dict(TOLD, done=-1)),
        _query(dict(TOLD, of=1e300)),
        _query(dict(TOLD, noun="tables \x1b[2J")),
        _query(dict(TOLD, noun=["tables"])),
    ],
)
def test_what_is_not_such_a_comment_tells_nothing(text: str) -> None:
    assert read_comment(text) == {}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, "vacuum: 12/40 tables, 62 %, 3 min left"),
        ({"seconds_left": None}, "vacuum: 12/40 tables, 62 %"),
        ({"percent": None, "seconds_left": None}, "vacuum: 12/40 tables"),
        ({"seconds_left": 42}, "vacuum: 12/40 tables, 62 %, 42 s left"),
        ({"seconds_left": 7500}, "vacuum: 12/40 tables, 62 %, 2 h 05 min left"),
        ({"of": None}, "vacuum: at work"),
    ],
)
def test_the_line_tells_what_is_known(told: dict[str, t.Any], expected: str) -> None:
    assert line(dict(TOLD, **told)) == expected
