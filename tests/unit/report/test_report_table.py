# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table for a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._report.table import (
    _columns,
    can_show_boxes,
    render_table,
)

HEADERS = ["Host", "Activity", "Verdict", "Summary", "Took"]
ROWS = [
    ["db1", "database.vacuum", "ok", "3 of 41 tables vacuumed, 18 231 dead rows removed", "1 min 02 s"],
    ["db2", "backup.verify", "failed", "restore failed", "12 s"],
]


def test_it_looks_like_this() -> None:
    assert render_table(HEADERS, ROWS, 72).split("\n") == [
        "┌──────┬─────────────────┬─────────┬──────────────────────┬────────────┐",
        "│ Host │ Activity        │ Verdict │ Summary              │ Took       │",
        "├──────┼─────────────────┼─────────┼──────────────────────┼────────────┤",
        "│ db1  │ database.vacuum │ ok      │ 3 of 41 tables       │ 1 min 02 s │",
        "│      │                 │         │ vacuumed, 18 231     │            │",
        "│      │                 │         │ dead rows removed    │            │",
        "│ db2  │ backup.verify   │ failed  │ restore failed       │ 12 s       │",
        "└──────┴─────────────────┴─────────┴──────────────────────┴────────────┘",
    ]


def test_ascii_where_boxes_cannot_be_shown() -> None:
    text = render_table(["Host"], [["zürich"]], 40, unicode=False)
    assert text.isascii()
    assert text.split("\n") == ["+--------+", "| Host   |", "+--------+", "| z?rich |", "+--------+"]
    assert can_show_boxes("UTF-8")
    assert can_show_boxes("utf8")
    assert not can_show_boxes("ISO-8859-1")
    assert not can_show_boxes(None)
    assert not can_show_boxes("no-such-encoding")


def test_a_terminal_is_not_made_to_obey() -> None:
    text = render_table(["Summary"], [["\x1b[31mred\x1b[0m\nnext \u202egnp"]], 60)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "␛[31mred␛[0m next" in text


def test_a_list_where_the_columns_do_not_fit() -> None:
    text = render_table(HEADERS, ROWS, 30)
    assert text.startswith("Host: db1\nActivity: database.vacuum\nVerdict: ok\n")
    assert max(map(len, text.split("\n"))) <= 30


def test_rows_must_have_all_columns() -> None:
    with pytest.raises(ValueError, match="1 cells"):
        render_table(["a", "b"], [["only"]], 80)


def test_no_rows() -> None:
    assert render_table(["Host"], [], 40).split("\n") == ["┌──────┐", "│ Host │", "└──────┘"]


@given(
    st.lists(st.lists(st.text(max_size=40), min_size=3, max_size=3), max_size=4),
    st.integers(min_value=40, max_value=120),
    st.booleans(),
)
def test_never_wider_than_the_terminal_and_square(rows: list[list[str]], width: int, unicode: bool) -> None:
    lines = render_table(["one", "two", "three"], rows, width, unicode).split("\n")
    widths = {_columns(line) for line in lines}
    assert len(widths) == 1
    assert widths.pop() <= width
