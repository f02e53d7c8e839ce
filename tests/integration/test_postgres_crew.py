# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The crew on a real server: it works side by side, gives way, keeps to its time and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time

import pytest
from support.crews import POLITE, Team, holding, ours, sleepers, team_of
from support.postgres import SHOP, PrivatePostgres, wait_for

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import StatementError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.crew import Crew
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.session import Politeness, Session
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.statements import (
    BUDGET,
    CANCELLED,
    DONE,
    ERROR,
    GAVE_WAY,
    LOCK,
    STALE,
    Ask,
    Job,
    Pause,
    Statement,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import Budget

pytest_plugins = ("support.postgres_fixtures",)


@pytest.fixture
def busy(shop: PrivatePostgres) -> PrivatePostgres:
    shop.run_sql("CREATE TABLE busy (id int)", SHOP)
    return shop


def test_statements_run_side_by_side_and_no_more_than_asked_for(shop: PrivatePostgres) -> None:
    with team_of(shop, jobs=3) as team:
        began = time.monotonic()
        thread = team.begin(*(team.once(str(number), "SELECT pg_sleep(0.5)") for number in range(7)))
        assert len(sleepers(shop, 3)) == 3
        thread.join(20)
        assert 1.4 < time.monotonic() - began < 3.5  # three rounds
    assert set(team.kinds().values()) == {DONE}
    assert len(team.endings) == 7
    assert all(ending.seconds > 0.45 for ending in team.endings.values())
    assert ours(shop) == []


def test_questions_of_many_jobs_are_answered_together(shop: PrivatePostgres) -> None:
    told = []

    def curious(number: int) -> Job:
        before = yield Ask(number)
        yield Statement("SELECT 1")
        after = yield Ask(-number)
        told.append((before, after))

    with team_of(shop, jobs=2) as team:
        team.run(*(curious(number) for number in range(1, 201)))
    assert sorted(told) == sorted((f"about {number}", f"about {-number}") for number in range(1, 201))
    assert len(team.asked) < 60


def test_settings_are_there_for_the_statement_that_needs_them_and_for_no_other(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE seen (id serial, cost text, path text)", SHOP)
    note = (
        "INSERT INTO public.seen (cost, path)"
        " SELECT current_setting('vacuum_cost_limit'), current_setting('search_path')"
    )
    with team_of(shop) as team:
        team.run(
            team.once("plain", note),
            team.once("other", note, settings={"vacuum_cost_limit": "7"}),
            team.once("again", note, settings={"vacuum_cost_limit": "7"}),
            team.once("wrong", note, settings={"vacuum_cost_limit": "quite"}),
            team.once("after", note),
        )
    assert shop.run_sql("SELECT cost, path FROM seen ORDER BY id", SHOP) == [
        ("200", '""'), ("7", '""'), ("7", '""'), ("200", '""'),
    ]  # fmt: skip
    assert team.endings["wrong"].kind == ERROR
    assert "vacuum_cost_limit" in str(team.endings["wrong"].error)
    assert shop.log().count("SET vacuum_cost_limit = '7'") == 1


def test_warnings_and_errors_belong_to_their_statement(shop: PrivatePostgres) -> None:
    with team_of(shop) as team:
        team.run(
            team.once("loud", "DO $$ BEGIN RAISE WARNING 'mind this'; END $$"),
            team.once("quiet", "SELECT 1"),
            team.once("gone", 'VACUUM public."100% not there"'),
        )
    assert team.endings["loud"].warnings == ("WARNING:  mind this",)
    assert team.endings["quiet"].warnings == ()
    error = team.endings["gone"].error
    assert error is not None
    assert error.sqlstate == "42P01"


def test_it_gives_way_to_who_waits_longer_than_allowed_and_tries_again(busy: PrivatePostgres) -> None:
    busy.run_sql("CREATE TABLE naps (id int); INSERT INTO naps VALUES (1)", SHOP)
    # The first attempt would take long, the one after the DDL (which adds a column) is quick.
    sql = """DO $$ BEGIN LOCK TABLE public.busy IN SHARE UPDATE EXCLUSIVE MODE;
      PERFORM pg_catalog.pg_sleep(30) FROM pg_catalog.pg_class WHERE relname = 'busy' AND relnatts = 1; END $$"""
    with team_of(busy) as team:
        thread = team.begin(team.persistent("long", sql))
        held = "SELECT 1 FROM pg_locks WHERE relation = 'busy'::regclass AND granted"
        wait_for(lambda: busy.run_sql(held, SHOP), "the lock")
        began = time.monotonic()
        busy.run_sql("ALTER TABLE busy ADD COLUMN more int", SHOP)
        waited = time.monotonic() - began
        thread.join(20)
    assert 0.3 < waited < 1.5
    assert team.endings["long"].kind == DONE
    assert team.endings["long"].attempts == 2


def test_who_stays_in_the_way_is_named_after_the_last_attempt(busy: PrivatePostgres) -> None:
    stop = threading.Event()

    def insist() -> None:
        while not stop.is_set():
            busy.run_sql("BEGIN; LOCK TABLE busy; COMMIT", SHOP)

    with team_of(busy) as team:
        thread = threading.Thread(target=insist)
        thread.start()
        team.run(team.persistent("long", holding(30)))
        stop.set()
        thread.join(20)
    ending = team.endings["long"]
    assert (ending.kind, ending.attempts) == (GAVE_WAY, 3)
    assert ending.waiter is not None
    assert "of user steward_admin" in str(ending.waiter)


def test_who_is_queued_behind_a_request_of_ours_counts_too(busy: PrivatePostgres) -> None:
    """Ours does not hold the lock yet: a reader does, and others wait in the queue behind our request."""
    reader = busy.connect(SHOP)
    reader.cursor().execute("BEGIN; SELECT 1 FROM busy")
    patient = Politeness(lock_timeout=20, attempts=1, yield_after=0.5)
    try:
        with team_of(busy, politeness=patient) as team:
            thread = team.begin(team.persistent("asks", "DO $$ BEGIN LOCK TABLE public.busy; END $$"))
            waiting = "SELECT 1 FROM pg_locks WHERE relation = 'busy'::regclass AND NOT granted"
            wait_for(lambda: busy.run_sql(waiting, SHOP), "our request")
            began = time.monotonic()
            busy.run_sql("SELECT count(*) FROM busy", SHOP)
            waited = time.monotonic() - began
            thread.join(20)
    finally:
        reader.close()
    assert waited < 1.5
    assert team.endings["asks"].kind == GAVE_WAY


def test_a_lock_that_somebody_holds_is_tried_again_while_others_work(busy: PrivatePostgres) -> None:
    holder = busy.connect(SHOP)
    holder.cursor().execute("BEGIN; LOCK TABLE busy")
    try:
        with team_of(busy) as team:
            team.run(team.persistent("held", holding(0)), team.once("free", "SELECT 1"))
    finally:
        holder.close()
    assert team.kinds() == {"held": LOCK, "free": DONE}
    assert team.endings["held"].attempts == 3
    assert list(team.endings) == ["free", "held"]


def test_what_is_at_work_at_the_end_of_the_budget_is_cancelled_and_nothing_is_begun(shop: PrivatePostgres) -> None:
    with team_of(shop, budget=1) as team:
        began = time.monotonic()
        team.run(
            team.once("long", "SELECT pg_sleep(30)"),
            team.once("next", "SELECT pg_sleep(30)"),
            team.once("cleaning", "SELECT pg_sleep(0.3)", grace=5),
        )
        assert time.monotonic() - began < 3
    assert team.kinds() == {"long": BUDGET, "next": BUDGET, "cleaning": DONE}
    assert team.endings["next"].seconds == 0


def test_a_pause_frees_the_worker_and_ends_with_the_budget(shop: PrivatePostgres) -> None:
    order = []

    def pausing() -> Job:
        yield Pause(0.3)
        order.append("short pause")
        yield Pause(60)
        order.append("budget over")

    def working() -> Job:
        yield Statement("SELECT 1")
        order.append("work")

    with team_of(shop, budget=1) as team:
        team.run(pausing(), working())
    assert order == ["work", "short pause", "budget over"]


def test_somebody_elses_cancelling_is_told_from_our_own(shop: PrivatePostgres) -> None:
    with team_of(shop) as team:
        thread = team.begin(team.once("long", "SELECT pg_sleep(30)"))
        shop.run_sql("SELECT pg_cancel_backend(%s)", parameters=(sleepers(shop)[0][0],))
        thread.join(20)
    assert team.kinds() == {"long": CANCELLED}


def test_a_statement_whose_turn_comes_too_late_is_given_back(shop: PrivatePostgres) -> None:
    with team_of(shop) as team:
        team.run(team.once("long", "SELECT pg_sleep(0.5)"), team.once("old", "SELECT 1", fresh_for=0.2))
    # The second is begun only when its turn is near, so it is not old at all.
    assert team.kinds() == {"long": DONE, "old": DONE}
    with team_of(shop) as team:
        # Fast ones at first, so that many are begun ahead; then one that holds them all up.
        jobs = [team.once(str(number), "SELECT 1") for number in range(50)]
        jobs += [team.once("long", "SELECT pg_sleep(0.5)")]
        jobs += [team.once(f"old {number}", "SELECT 1", fresh_for=0.2) for number in range(20)]
        team.run(*jobs)
    assert STALE in team.kinds().values()


def test_a_lost_worker_ends_the_run_and_the_others_with_it(shop: PrivatePostgres) -> None:
    with team_of(shop, jobs=2) as team:

        def strike() -> None:
            shop.run_sql("SELECT pg_terminate_backend(%s)", parameters=(sleepers(shop, 2)[0][0],))

        thread = threading.Thread(target=strike)
        thread.start()
        with pytest.raises(StatementError) as caught:
            team.run(team.once("one", "SELECT pg_sleep(30)"), team.once("two", "SELECT pg_sleep(30)"))
        thread.join(20)
        assert caught.value.connection_lost
    wait_for(lambda: not ours(shop), "the end of all our sessions")


def test_too_few_free_connections_make_a_smaller_crew(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE ROLE few LOGIN PASSWORD 'only two of us' CONNECTION LIMIT 2")
    login = dataclasses.replace(shop.login, user="few", password="only two of us")
    try:
        with Session(login, SHOP, "vacuum", POLITE, Budget(60)) as session:
            team = Team(shop, session, 3)
            team.crew = Crew(session, login, SHOP, 3, team.tally)
            team.run(*(team.once(str(number), "SELECT pg_sleep(0.2)") for number in range(4)))
    finally:
        shop.run_sql("DROP ROLE few")
    assert set(team.kinds().values()) == {DONE}
    assert len(team.endings) == 4
    (finding,) = team.crew.findings
    assert finding.message.startswith("connections that could be made at the same time: 1; then: cannot connect to")
    assert "only two of us" not in finding.message


def test_how_far_it_is_can_be_read_by_others_while_it_works(shop: PrivatePostgres) -> None:
    before = shop.log().count("pg_blocking_pids")
    with team_of(shop) as team:
        thread = team.begin(team.once("long", "SELECT pg_sleep(1.5)", weight=100))
        sql = "SELECT query FROM pg_stat_activity WHERE query LIKE '/* steward.maintenance {%'"
        text = wait_for(lambda: shop.run_sql(sql), "the comment")[0][0]
        thread.join(20)
    told = '/* steward.maintenance {"task": "vacuum", "noun": "tables", "database": "shop", "done": 0, "of": 1, "perc'
    assert text.startswith(told)
    assert 3 < shop.log().count("pg_blocking_pids") - before < 30


def test_nothing_is_watched_while_statements_are_short(shop: PrivatePostgres) -> None:
    before = shop.log().count("pg_blocking_pids")
    with team_of(shop) as team:
        team.run(*(team.once(str(number), "SELECT 1") for number in range(20)))
    assert shop.log().count("pg_blocking_pids") == before


def test_an_idle_transaction_in_our_way_is_ended_when_that_was_asked_for_and_no_other(busy: PrivatePostgres) -> None:
    ready = Politeness(lock_timeout=5, attempts=1, terminate_after=1.0)
    idle, at_work = busy.connect(SHOP), busy.connect(SHOP)
    idle.cursor().execute("BEGIN; LOCK TABLE busy IN SHARE MODE")
    at_work.cursor().execute("BEGIN; SELECT 1")
    pids = [conn.info.backend_pid for conn in (idle, at_work)]
    try:
        with team_of(busy, politeness=ready) as team:
            team.run(team.persistent("waits", holding(0)))
        left = busy.run_sql("SELECT pid FROM pg_stat_activity WHERE pid = ANY (%s)", parameters=(pids,))
    finally:
        idle.close()
        at_work.close()
    assert team.endings["waits"].kind == DONE
    assert left == [(pids[1],)]
    (finding,) = team.crew.findings
    assert finding.id == "postgres.vacuum.terminated"
    assert f"pid {pids[0]}" in finding.message


def test_a_session_that_works_is_never_ended(busy: PrivatePostgres) -> None:
    ready = Politeness(lock_timeout=2, attempts=1, terminate_after=0.2)
    worker = threading.Thread(target=busy.run_sql, args=("BEGIN; LOCK TABLE busy; SELECT pg_sleep(4); COMMIT", SHOP))
    worker.start()
    _sleepers_of = "SELECT 1 FROM pg_locks WHERE relation = 'busy'::regclass AND granted"
    wait_for(lambda: busy.run_sql(_sleepers_of, SHOP), "the lock")
    with team_of(busy, politeness=ready) as team:
        team.run(team.persistent("waits", holding(0)))
    worker.join(20)
    assert team.endings["waits"].kind == LOCK
    assert team.crew.findings == []


def test_nothing_is_begun_while_much_wal_is_written(shop: PrivatePostgres) -> None:
    """What others write counts, and what a statement of ours wrote."""
    shop.run_sql("CREATE TABLE filler (text text)", SHOP)
    writes = "INSERT INTO public.filler SELECT repeat('x', 1000) FROM generate_series(1, 3000)"
    strict = Politeness(wal_bytes_per_second=500_000)
    with team_of(shop, politeness=strict, budget=2) as team:
        team.run(team.once("writes", f"{writes}; SELECT pg_sleep(1.1)"), team.once("waits", "SELECT 1"))
    assert team.kinds() == {"writes": DONE, "waits": BUDGET}
    assert "bytes of WAL a second" in team.endings["waits"].held_back
    with team_of(shop, politeness=strict, budget=10) as later:
        later.run(later.once("writes", f"{writes}; SELECT pg_sleep(1.1)"), later.once("then", "SELECT 1"))
    assert later.kinds() == {"writes": DONE, "then": DONE}
    assert [finding.id for finding in later.crew.findings] == ["postgres.vacuum.held_back"]


def test_nothing_is_begun_while_a_standby_is_behind(postgres: PrivatePostgres) -> None:
    postgres.run_sql(f"CREATE DATABASE {SHOP}")
    standby = postgres.make_standby()
    try:
        streaming = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn IS NOT NULL"
        wait_for(lambda: postgres.run_sql(streaming), "replication")
        postgres.run_sql("CREATE TABLE filler (text text)", SHOP)
        strict = Politeness(replica_lag_bytes=100_000)
        receiver = standby.run_sql("SELECT pid FROM pg_stat_wal_receiver")[0][0]
        os.kill(receiver, signal.SIGSTOP)
        try:
            postgres.run_sql("INSERT INTO public.filler SELECT repeat('x', 1000) FROM generate_series(1, 1000)", SHOP)
            with team_of(postgres, politeness=strict, budget=1.5) as team:
                team.run(team.once("waits", "SELECT 1"))
        finally:
            os.kill(receiver, signal.SIGCONT)
        caught_up = "SELECT 1 FROM pg_stat_replication WHERE flush_lsn = pg_current_wal_lsn()"
        wait_for(lambda: postgres.run_sql(caught_up), "the standby to catch up")
        with team_of(postgres, politeness=strict) as later:
            later.run(later.once("begins", "SELECT 1"))
    finally:
        standby.close()
    assert team.endings["waits"].kind == BUDGET
    assert "of WAL behind" in team.endings["waits"].held_back
    assert [finding.id for finding in team.crew.findings] == ["postgres.vacuum.held_back"]
    assert later.kinds() == {"begins": DONE}
