# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time is over in the middle of a table: our statements end, nothing is left, and what waits is named."""

from __future__ import annotations

import datetime
import time
import typing as t

import pytest
from support.postgres import SHOP, PrivatePostgres, wait_for
from support.postgres_faults import (
    REINDEX,
    VACUUM,
    Answer,
    actions,
    invalid,
    issued,
    leftovers,
    maintain,
    naps,
    neglect,
    sessions,
    slow_index,
    slow_vacuum,
    spoil,
    subjects,
)

pytest_plugins = ("support.postgres_fixtures",)

_SLACK_SECONDS = 8.0  # for a start on a busy machine; the work would take far longer


def _in(seconds: float) -> str:
    """That many seconds from now, as the option `deadline` wants it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).isoformat()


def _dead(server: PrivatePostgres) -> int:
    return int(server.run_sql("SELECT sum(n_dead_tup) FROM pg_stat_user_tables", SHOP)[0][0])


def _assert_over(server: PrivatePostgres, answer: Answer, word: str) -> None:
    assert (answer["verdict"], answer["changed"], answer["failed"]) == ("skipped", False, False)
    assert word in answer["reason"]
    assert {entry["kind"] for entry in answer["not_done"]} == {"budget"}
    assert {finding["severity"] for finding in answer["findings"]} == {"low"}
    assert all(actions(answer))
    wait_for(lambda: not sessions(server), "our sessions are gone")


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_budget_that_ends_within_a_table(shop: PrivatePostgres, jobs: int) -> None:
    tables = {"one", "two", "three", "four"}
    neglect(shop, *tables)
    slow_vacuum(shop, delay="100ms")
    before = len(issued(shop, "VACUUM"))
    started = time.monotonic()
    answer = maintain(VACUUM, shop, budget="2s", jobs=jobs)

    assert time.monotonic() - started < 2 + _SLACK_SECONDS
    _assert_over(shop, answer, "budget")
    assert subjects(answer["not_done"]) == {f"public.{table}" for table in tables}
    assert len(issued(shop, "VACUUM")) - before == jobs, "one was begun that could not be ended"
    slow_vacuum(shop, slow=False)
    healed = maintain(VACUUM, shop, jobs=jobs)
    assert (healed["verdict"], len(healed["done"])) == ("ok", len(tables))
    wait_for(lambda: _dead(shop) == 0, "no dead rows")


def test_a_deadline_that_comes_within_a_rebuild_leaves_nothing(shop: PrivatePostgres) -> None:
    index = slow_index(shop)
    naps(shop, 0.2)
    started = time.monotonic()
    answer = maintain(REINDEX, shop, deadline=_in(3))

    assert time.monotonic() - started < 3 + _SLACK_SECONDS
    _assert_over(shop, answer, "deadline")
    assert invalid(shop) == [index]
    assert leftovers(shop) == []


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_a_deadline_that_is_over_begins_nothing(shop: PrivatePostgres, module: str) -> None:
    neglect(shop)
    spoil(shop, "busy_pkey")
    before = issued(shop, "VACUUM") + issued(shop, "REINDEX")

    answer = maintain(module, shop, deadline=_in(-60))

    _assert_over(shop, answer, "deadline")
    assert issued(shop, "VACUUM") + issued(shop, "REINDEX") == before


@pytest.mark.parametrize(("budget", "deadline", "named"), [("2s", 600, "budget"), ("1h", 3, "deadline")])
def test_of_budget_and_deadline_the_sooner_ends_the_table_and_is_named(
    shop: PrivatePostgres, budget: str, deadline: float, named: str
) -> None:
    neglect(shop)
    slow_vacuum(shop, delay="100ms")

    started = time.monotonic()
    answer = maintain(VACUUM, shop, budget=budget, deadline=_in(deadline))

    assert time.monotonic() - started < 3 + _SLACK_SECONDS
    _assert_over(shop, answer, named)


@pytest.fixture
def hasty(shop: PrivatePostgres) -> t.Iterator[dict[str, str]]:
    """The login of a role whose sessions are ended by whatever the version has for that, after a moment each."""
    shop.run_sql("CREATE ROLE hasty SUPERUSER LOGIN PASSWORD 'hasty-secret'")
    settings = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
    settings += ["idle_session_timeout"] * (shop.major >= 14) + ["transaction_timeout"] * (shop.major >= 17)
    for setting in settings:
        shop.run_sql(f"ALTER ROLE hasty SET {setting} = '600ms'")
    yield {"login_user": "hasty", "login_password": "hasty-secret"}
    shop.run_sql("DROP ROLE hasty")


def test_timeouts_that_the_login_has_do_not_end_our_work(shop: PrivatePostgres, hasty: dict[str, str]) -> None:
    """They are meant for the application; what we may take is said by the budget."""
    neglect(shop)
    slow_vacuum(shop, delay="10ms")
    index = slow_index(shop)
    naps(shop, 0.02)

    vacuum, rebuild = maintain(VACUUM, shop, **hasty), maintain(REINDEX, shop, **hasty)

    assert (vacuum["verdict"], "public.busy" in subjects(vacuum["done"])) == ("ok", True), vacuum["reason"]
    assert (rebuild["verdict"], subjects(rebuild["done"])) == ("ok", {f"public.{index}"}), rebuild["reason"]
    assert any(entry["duration_seconds"] > 0.7 for entry in vacuum["done"]), "it was too quick to prove anything"
    assert any(entry["duration_seconds"] > 0.7 for entry in rebuild["done"]), "it was too quick to prove anything"
