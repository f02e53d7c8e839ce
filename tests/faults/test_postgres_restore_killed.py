# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL at every line of a restore's journal, and at any other moment: production is untouched or exchanged, and the
next run completes.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time

import pytest
from support.kills import KILLS
from support.postgres import wait_for
from support.restore_subject import FirstTime, Line, killed, roll_back, run
from support.restores import LIVE_ROWS, SAVED_ROWS, Restores

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_catalog import site_for
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_journal import open_journal

pytest_plugins = ("support.restores_fixtures",)

SHOPS = "SELECT oid::bigint, datallowconn FROM pg_database WHERE datname = 'shop'"

OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'steward.maintenance:restore%'"

STEPS = (
    "restore beside",
    "prove the copy",
    "carry over the properties",
    "stop the application",
    "close the database",
    "exchange the names",
    "start the application",
)


class Production:
    """There is always one database of that name, the old one or the new one, whole."""

    def __init__(self, restores: Restores) -> None:
        self.restores = restores
        self.old = restores.oid()
        self.seen: set[bool] = set()

    def check(self) -> None:
        ((oid, allows),) = self.restores.server.run_sql(SHOPS)
        exchanged = oid != self.old
        self.seen.add(exchanged)
        if allows:
            assert self.restores.rows() == (SAVED_ROWS if exchanged else LIVE_ROWS)
        kept = [name for name, _allows in self.restores.databases() if "_old_" in name]
        assert len(kept) == exchanged

    def assert_restored(self) -> None:
        self.check()
        names = self.restores.databases()
        assert [allows for _name, allows in names] == [True, False]
        assert self.restores.rows() == SAVED_ROWS
        assert self.restores.application.runs()


@pytest.mark.parametrize("before", [True, False], ids=["before the line", "after the line"])
def test_killed_at_every_line_one_after_the_other(restores: Restores, before: bool) -> None:
    restores.application.start()
    properties = restores.properties()
    production, way = Production(restores), FirstTime()
    kills = way.follow(restores, before, run, production.check)
    assert {f"{event} {step}" for event in ("intent", "done") for step in STEPS} <= set(way.seen)
    assert kills >= 2 * len(STEPS) + 2
    assert production.seen == {True, False}
    production.assert_restored()
    assert restores.properties() == properties


@pytest.mark.parametrize(
    "line",
    [
        ("intent", "restore beside"),
        ("done", "restore beside"),
        ("ended", "done"),
        ("begun", "exchange"),
        ("intent", "exchange the names"),
        ("done", "exchange the names"),
        ("intent", "start the application"),
    ],
    ids=" ".join,
)
def test_one_run_after_a_kill_is_enough(restores: Restores, line: Line) -> None:
    restores.application.start()
    production = Production(restores)
    assert killed(restores, lambda one: one == line, before=line[0] == "done")
    production.check()
    answer = run(restores)
    assert answer.verdict == "ok", answer
    production.assert_restored()


def test_killed_while_it_is_taken_back(restores: Restores) -> None:
    """The application is not well, and the way back is cut off at every line of it."""
    application = restores.application
    application.start()
    application.behave("ill")
    application.patience = "1s"
    production, way = Production(restores), FirstTime()
    way.follow(restores, False, run, production.check)
    assert {f"undone {step}" for step in STEPS[3:]} <= set(way.seen)
    restores.assert_untouched()
    assert application.runs()


def test_a_rollback_killed_at_every_line(restores: Restores) -> None:
    application = restores.application
    application.start()
    assert run(restores).verdict == "ok"
    restored = restores.oid()
    way = FirstTime()

    def check() -> None:
        ((oid, allows),) = restores.server.run_sql(SHOPS)
        if allows:
            assert restores.rows() == (SAVED_ROWS if oid == restored else LIVE_ROWS)

    kills = way.follow(restores, False, roll_back, check)
    assert kills >= 2 * len(STEPS[3:])
    assert restores.rows() == LIVE_ROWS
    assert [allows for _name, allows in restores.databases()] == [True, False]
    assert application.runs()


@pytest.mark.parametrize(
    "line",
    [("done", "restore beside"), ("intent", "exchange the names"), ("done", "start the application")],
    ids=" ".join,
)
def test_a_rollback_undoes_what_was_not_finished(restores: Restores, line: Line) -> None:
    application = restores.application
    application.start()
    properties = restores.properties()
    assert killed(restores, lambda one: one == line, before=False)
    answer = roll_back(restores)
    assert answer.verdict == "ok", answer
    assert "was taken back" in answer.summary
    restores.assert_untouched()
    assert restores.properties() == properties
    assert application.runs()


def test_another_backup_is_not_mixed_with_what_was_begun(restores: Restores) -> None:
    """Whoever killed it because it was the wrong backup must not get that one after all."""
    made = restores.backups.back_up(databases=["shop"], force=True, jobs=1)
    assert not made["failed"], made
    assert killed(restores, lambda line: line == ("done", "restore beside"), before=False)
    other = {"backup": made["backup"].rpartition("/")[2], "allow_unverified": True}
    answer = restores.restore(**other)
    assert answer["verdict"] == "failed"
    assert "was begun and not finished: ask for that one to complete it, or roll back" in answer["reason"]
    assert restores.restore(check=True, **other)["verdict"] == "failed"
    planned = restores.restore(check=True)
    assert "that was begun would be completed" in planned["summary"]
    assert not restores.roll_back()["failed"]
    restores.assert_untouched()
    assert not restores.restore(**other)["failed"]
    assert restores.rows() == LIVE_ROWS  # the other backup was made of the live one


def test_a_restore_is_completed_when_its_backup_is_gone(restores: Restores) -> None:
    """What is needed for the exchange is in the journal and in the server."""
    assert killed(restores, lambda line: line == ("begun", "exchange"), before=False)
    hidden = restores.backups.path.with_name("hidden")
    restores.backups.path.rename(hidden)
    try:
        answer = run(restores)
    finally:
        hidden.rename(restores.backups.path)
    assert answer.verdict == "ok", answer
    assert "was completed" in answer.summary
    assert restores.rows() == SAVED_ROWS


def test_programs_of_a_killed_run_end(restores: Restores) -> None:
    assert killed(restores, lambda line: line == ("intent", "restore beside"), before=False)
    wait_for(lambda: restores.server.run_sql(OURS) == [(0,)], "no session of it is left")
    restores.assert_untouched()


def test_killed_at_any_moment(restores: Restores) -> None:
    """The module as Ansible runs it, one run after the other; what one left, the next one goes on with."""
    arguments = restores.application.arguments
    restores.application.start()
    properties, production = restores.properties(), Production(restores)
    began = time.monotonic()
    assert not restores.restore(**arguments)["failed"]
    length = time.monotonic() - began
    _go_back(restores)
    chance = random.Random(20261126)  # noqa: S311
    kills = 0
    while kills < KILLS:
        process = restores.start_restore(**arguments)
        try:
            process.wait(chance.uniform(0.1, length))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        # What the server was told last may still be on its way.
        wait_for(lambda: restores.server.run_sql(OURS) == [(0,)], "no session of it is left")
        production.check()
        if restores.oid() != production.old and not _is_unfinished(restores):
            assert restores.rows() == SAVED_ROWS
            _go_back(restores)
    answer = restores.restore(**arguments)
    assert answer["verdict"] == "ok", answer
    production.assert_restored()
    assert restores.properties() == properties


def _is_unfinished(restores: Restores) -> bool:
    """Whether the next run has something to go on with. One that is killed as it ends leaves nothing."""
    return open_journal(str(restores.state), site_for(restores.server.login, "shop")).peek() is not None


def _go_back(restores: Restores) -> None:
    """To the live database of the beginning, without a trace of the other one."""
    back = restores.roll_back(**restores.application.arguments)
    assert not back["failed"], back
    restores.server.run_sql(f'DROP DATABASE "{back["kept"]}"')
