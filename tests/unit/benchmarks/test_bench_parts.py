# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks count with: a wrong median or a statement overlooked in a log would be a false claim."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "benchmarks"))
import bars
import load


@pytest.mark.parametrize(("value", "word", "status"), [(1.05, "ok", 0), (1.051, "short", 1)])
def test_a_bar_is_met_up_to_its_limit(capsys: pytest.CaptureFixture[str], value: float, word: str, status: int) -> None:
    judged = bars.Bars()
    judged.judge("vacuum_all_ratio", value, 1.05)
    assert capsys.readouterr().out == f"bar vacuum_all_ratio {value:.3g} 1.05 {word}\n"
    assert judged.status == status


def test_one_short_bar_is_enough_to_fail() -> None:
    judged = bars.Bars()
    judged.judge("first", 2, 1)
    judged.judge("second", 0, 1)
    assert judged.status == 1


def test_the_sides_take_turns_and_nobody_is_always_first() -> None:
    order: list[str] = []

    def side(name: str) -> bars.Side:
        return lambda: order.append(name) or float(len(order))  # type: ignore[func-returns-value]

    seconds = bars.in_turn({"ours": side("ours"), "theirs": side("theirs")}, 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert seconds == {"ours": [1, 4, 5], "theirs": [2, 3, 6]}


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    # The machine was slow in the last round, for both.
    assert bars.ratio([1.0, 1.2, 9.0], [1.0, 1.0, 10.0]) == 1.0


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-24 00:00:01 UTC [17] LOG:  statement: VACUUM (ANALYZE) public.t_0001",
        'LOG:  execute <unnamed>: analyze "public"."t_0001"',
        "LOG:  statement: /* steward.maintenance */ REINDEX INDEX CONCURRENTLY public.a",
        "LOG:  statement: DROP INDEX CONCURRENTLY public.a_ccnew",
    ],
)
def test_statements_that_maintain_are_found_in_a_log(line: str) -> None:
    assert len(bars.maintenance_in(f"LOG:  statement: SELECT 1\n{line}\n")) == 1


@pytest.mark.parametrize(
    "line",
    [
        "LOG:  statement: SELECT last_vacuum, vacuum_count FROM pg_stat_all_tables",
        "LOG:  statement: SELECT 'VACUUM'",
        "LOG:  statement: /* VACUUM */ SELECT 1",
        "STATEMENT:  VACUUM public.t_0001",
    ],
)
def test_words_alone_are_not_taken_for_maintenance(line: str) -> None:
    assert bars.maintenance_in(line) == []


def test_the_time_of_a_transaction_counts_from_when_it_was_due() -> None:
    log = "0 1 2190417 0 1175850568 995598 2190000\n1 1 900 2 1175850568 998079 20\n0 2 skipped 0 1175850569 0 30\n\n"
    assert load.transaction_seconds(log) == [2.190417, 0.0009]
