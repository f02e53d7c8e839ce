# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the crew that need no server: trying again, counting, who waits for whom, when the time is over."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import budget_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.progress import read_comment
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.session import Politeness
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.sessions import Peer
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.statements import (
    BUDGET,
    CANCELLED,
    DONE,
    GAVE_WAY,
    LOCK,
    Ask,
    Ending,
    Pause,
    Statement,
    persist,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.tally import Tally
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.watch import Waiting, blocked_by
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import Budget


def _persist(endings: list[Ending], attempts: int = 3, clean: t.Any = None) -> tuple[Ending, list[t.Any]]:
    """What `persist` gives when the statement ends so, and what it asked for."""
    asked: list[t.Any] = []
    left = iter(endings)
    job = persist(Statement("VACUUM", fresh_for=5.0), Politeness(attempts=attempts, pause=1.0), clean)
    value: t.Any = None
    while True:
        try:
            wanted = job.send(value)
        except StopIteration as end:
            return end.value, asked
        asked.append(wanted)
        value = next(left) if isinstance(wanted, Statement) else None


def test_what_is_done_is_not_tried_again() -> None:
    ending, asked = _persist([Ending(DONE, 1.5)])
    assert (ending.kind, ending.attempts, len(asked)) == (DONE, 1, 1)


@pytest.mark.parametrize("kind", [LOCK, GAVE_WAY])
def test_who_is_in_the_way_is_given_time_that_grows(kind: str) -> None:
    ending, asked = _persist([Ending(kind, 1.0), Ending(kind, 1.0), Ending(DONE, 1.0)])
    assert (ending.kind, ending.attempts) == (DONE, 3)
    assert [one.seconds for one in asked if isinstance(one, Pause)] == [1.0, 2.0]
    assert asked[-1].fresh_for == 0, "a second attempt is not refused for its age"


def test_it_gives_up_after_the_attempts_and_on_whatever_else_happens() -> None:
    assert _persist([Ending(LOCK)] * 9, attempts=2)[0].attempts == 2
    ending, asked = _persist([Ending(CANCELLED)])
    assert (ending.kind, len(asked)) == (CANCELLED, 1)


def test_the_lock_is_told_when_the_time_is_over_before_the_next_attempt() -> None:
    assert _persist([Ending(LOCK, 5.0), Ending(BUDGET)])[0].kind == LOCK
    assert _persist([Ending(LOCK, 5.0), Ending(BUDGET, 0.5)])[0].kind == BUDGET


def test_leftovers_are_removed_between_two_attempts_only() -> None:
    def clean() -> t.Any:
        yield Ask("leftovers")

    _ending, asked = _persist([Ending(LOCK), Ending(LOCK), Ending(LOCK)], clean=clean)
    assert [type(one).__name__ for one in asked] == [
        "Statement",
        "Ask",
        "Pause",
        "Statement",
        "Ask",
        "Pause",
        "Statement",
    ]


@pytest.mark.parametrize("name", ["shop", "*/ DROP", "/* /*", "100% %s", 'a"b\\', "x" * 63, "\x01" * 63, "ü" * 31])
def test_the_comment_holds_any_name_and_nothing_ends_or_begins_a_comment_in_it(name: str) -> None:
    tally = Tally("vacuum", name, "tables", of=3, weight=100)
    tally.job_ended()
    tally.statement_ended(40)
    text = tally.comment()
    inside = text[2:-3]
    assert text.startswith("/* steward.maintenance {")
    assert text.endswith("} */ ")
    assert "*/" not in inside
    assert "/*" not in inside
    assert "%" not in inside
    assert len(text.encode()) < 1000
    assert json.loads(inside[inside.index("{") :])["database"] == name
    assert read_comment(text + "SELECT 1") == {
        "done": 1,
        "of": 3,
        "percent": 40,
        "seconds_left": None,
        "noun": "tables",
    }


def test_the_part_of_what_is_at_work_counts() -> None:
    tally = Tally("vacuum", "shop", "tables", of=2, weight=1000)
    tally.running({7: 500, 8: 500}, {7: 0.5})
    assert tally.part == 0.25
    tally.statement_ended(900)
    assert tally.part == 1.0
    assert Tally("vacuum", "shop").part == 0.0


def _waits(*blockers: int) -> Waiting:
    return Waiting(Peer(1, "", "", "", 0.0), blockers, None, False)


def test_who_waits_for_one_that_waits_for_us_is_found_and_circles_end() -> None:
    waiting = {10: _waits(20), 20: _waits(30, 40), 40: _waits(10)}
    assert blocked_by(10, waiting) == {10, 20, 30, 40}
    assert blocked_by(99, waiting) == set()


def test_the_sooner_of_budget_and_deadline_ends_the_run_and_is_named() -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    by_deadline = Budget(3600, now + datetime.timedelta(seconds=10))
    assert 8 < by_deadline.left <= 10
    assert by_deadline.used_up.startswith("the deadline 20")
    by_budget = Budget(10, now + datetime.timedelta(hours=1))
    assert 9 < by_budget.left <= 10
    assert by_budget.used_up == "the budget of 10 s was used up"
    assert Budget(10, now - datetime.timedelta(days=1)).left == 0


@pytest.mark.parametrize("text", ["2099-11-23T05:00:00Z", "2099-11-23 05:00:00+01:00", "2099-11-23T05:00:00.500+00:00"])
def test_a_deadline_with_its_zone_is_read(text: str) -> None:
    assert budget_from({"budget": "1h", "deadline": text}).deadline is not None


@pytest.mark.parametrize("text", ["2099-11-23T05:00:00", "05:00", "Z", "never"])
def test_a_deadline_that_could_mean_two_moments_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write it with its zone"):
        budget_from({"budget": "1h", "deadline": text})
