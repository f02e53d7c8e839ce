# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_review_info with real standbys: lag, slots, and indexes that only a standby uses."""

from __future__ import annotations

import contextlib
import re
import threading
import typing as t

import psycopg2
import psycopg2.extras
import pytest
from support.postgres import SHOP, PrivatePostgres, free_port, wait_for
from support.reviews import add_shop, healthy_server, review, settled, told

pytestmark = pytest.mark.contrib


@pytest.fixture(scope="module")
def primary() -> t.Iterator[PrivatePostgres]:
    server = healthy_server(synchronous_commit="local")  # what is committed has been sent
    add_shop(server)
    yield server
    server.close()


@pytest.fixture(scope="module")
def standby(primary: PrivatePostgres) -> t.Iterator[PrivatePostgres]:
    server = primary.make_standby()
    wait_for(lambda: primary.run_sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), "streaming")
    yield server
    server.close()


def _place(server: PrivatePostgres) -> dict[str, t.Any]:
    return {"host": "127.0.0.1", "port": server.port}


def _caught_up(primary: PrivatePostgres) -> bool:
    return bool(primary.run_sql("SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication")[0][0])


@contextlib.contextmanager
def _paused(primary: PrivatePostgres, standby: PrivatePostgres) -> t.Iterator[None]:
    primary.run_sql(
        "CREATE TABLE moving (id int)", SHOP
    )  # replayed: only from then on the standby knows how late it is
    wait_for(lambda: _caught_up(primary), "a standby that caught up")
    standby.run_sql("SELECT pg_wal_replay_pause()")
    try:
        primary.run_sql("INSERT INTO moving SELECT generate_series(1, 5000); ANALYZE moving", SHOP)
        behind = "SELECT coalesce(sum(flush_lsn - replay_lsn), 0) > 100000 FROM pg_stat_replication"
        wait_for(lambda: primary.run_sql(behind)[0][0], "a standby that is behind")
        yield
    finally:
        standby.run_sql("SELECT pg_wal_replay_resume()")
        wait_for(lambda: _caught_up(primary), "a standby that caught up")
        primary.run_sql("DROP TABLE moving", SHOP)


def test_a_healthy_pair_gives_no_finding_on_either_side(primary: PrivatePostgres, standby: PrivatePostgres) -> None:
    wait_for(lambda: _caught_up(primary), "a standby that caught up")

    here, there = review(primary, standbys=[_place(standby)]), review(standby)

    assert (here["verdict"], here["findings"], here["reason"]) == ("ok", [], "")
    assert (there["verdict"], there["findings"], there["reason"]) == ("ok", [], "")
    assert [one["state"] for one in here["facts"]["standbys"]] == ["streaming"]


def test_a_standby_that_is_behind_is_told_on_both_sides(primary: PrivatePostgres, standby: PrivatePostgres) -> None:
    with _paused(primary, standby):
        here = review(primary, replication_lag_bytes=100000)
        late = "SELECT clock_timestamp() - pg_last_xact_replay_timestamp() > interval '1.2 s'"
        wait_for(lambda: standby.run_sql(late)[0][0], "a late standby")
        there = review(standby, replication_lag="1s")
        by_bytes = review(standby, replication_lag_bytes=100000)
        blind = review(primary, login_user="weak", login_password="geheim42") if _weak(primary) else {}

    ((kind, subject),) = told(here)
    assert (kind, subject) == ("replication_lag", "standby walreceiver")
    assert "paused replay" in here["findings"][0]["action"]
    assert told(there) == told(by_bytes) == [("replay_lag", "standby")]
    assert there["findings"][0]["action"] == "SELECT pg_wal_replay_resume()"
    grants = {finding["message"]: finding["action"] for finding in blind["findings"]}
    assert grants["cannot look: role weak does not see how far standbys are behind"] == 'GRANT pg_monitor TO "weak"'


def _weak(primary: PrivatePostgres) -> bool:
    # The replay is paused: what is made here reaches the standby later.
    primary.run_sql("CREATE ROLE weak LOGIN PASSWORD 'geheim42'")
    return True


def test_a_standby_that_lost_its_primary_is_told() -> None:
    primary = healthy_server()
    try:
        add_shop(primary)
        standby = primary.make_standby()
        try:
            primary.stop()
            gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)"
            wait_for(lambda: standby.run_sql(gone)[0][0], "the loss of the primary")
            answer = review(standby)
        finally:
            standby.close()
    finally:
        primary.close()

    assert told(answer) == [("replay_lag", "standby")]
    assert "does not receive from its primary" in answer["findings"][0]["message"]


@pytest.fixture(scope="module")
def careless() -> t.Iterator[PrivatePostgres]:
    """Without checksums; what a slot keeps beyond one file of WAL is lost at the next checkpoint."""
    server = healthy_server(checksums=False, max_slot_wal_keep_size="16MB")
    add_shop(server)
    yield server
    server.close()


def _write_wal(server: PrivatePostgres, megabytes: int) -> None:
    server.run_sql(f"SELECT pg_logical_emit_message(false, 'filler', repeat('x', {megabytes * 1000000}))")


def _slot_findings(server: PrivatePostgres) -> list[dict[str, t.Any]]:
    """What a review tells beside the checksums, all of one slot."""
    return [finding for finding in review(server)["findings"] if finding["id"] != "postgres.review.setting"]


def test_missing_checksums_are_told_with_what_switches_them_on(careless: PrivatePostgres) -> None:
    answer = review(careless)

    assert told(answer) == [("setting", "setting data_checksums")]
    assert answer["findings"][0]["severity"] == "low"
    assert "pg_checksums --enable" in answer["findings"][0]["action"]


def test_a_slot_without_a_consumer_is_told_until_its_wal_is_gone(careless: PrivatePostgres) -> None:
    careless.run_sql("SELECT pg_create_physical_replication_slot('idle', true)")
    status = "SELECT wal_status FROM pg_replication_slots"
    stages = [(careless.run_sql(status), _slot_findings(careless))]
    for _file in range(2):
        _write_wal(careless, 1)
        careless.run_sql("SELECT pg_switch_wal()")
    stages.append((careless.run_sql(status), _slot_findings(careless)))
    careless.run_sql("CHECKPOINT")
    stages.append((careless.run_sql(status), _slot_findings(careless)))
    careless.run_sql("SELECT pg_drop_replication_slot('idle')")

    assert [state for state, _findings in stages] == [[("reserved",)], [("unreserved",)], [("lost",)]]
    unused, loosened, lost = (findings[0] for _state, findings in stages)
    assert {len(findings) for _state, findings in stages} == {1}
    assert {finding["subject"] for finding in (unused, loosened, lost)} == {"slot idle"}
    assert {finding["severity"] for finding in (unused, loosened, lost)} == {"high"}
    assert unused["id"] == "postgres.review.slot"
    assert re.search(r"; it keeps [\d.]+ [kM]?B of WAL, and is lost after [\d.]+ MB more$", unused["message"])
    assert (loosened["id"], loosened["value"]) == ("postgres.review.slot_lost", "unreserved")
    beyond = r": it keeps [1-4]\d\.\d MB of WAL, and is lost after 0 B more, and the next checkpoint may remove it$"
    assert re.search(beyond, loosened["message"])
    assert "raise max_slot_wal_keep_size" in loosened["action"]
    assert (lost["id"], lost["value"]) == ("postgres.review.slot_lost", "lost")
    assert "rebuild its consumer" in lost["action"]
    assert all("SELECT pg_drop_replication_slot('idle')" in one["action"] for one in (unused, loosened, lost))


def test_a_slot_in_use_is_told_before_the_server_gives_up_its_wal(careless: PrivatePostgres) -> None:
    """Its consumer is connected and takes nothing; far less than slot_bytes is kept."""
    careless.run_sql("SELECT pg_switch_wal()")
    place = f"host={careless.socket_dir} port={careless.port} user={careless.superuser} dbname={SHOP}"
    consumer = psycopg2.connect(place, connection_factory=psycopg2.extras.LogicalReplicationConnection)
    try:
        cursor = consumer.cursor()
        cursor.create_replication_slot("deaf", output_plugin="test_decoding")
        cursor.start_replication(slot_name="deaf")
        active = "SELECT 1 FROM pg_replication_slots WHERE active"
        wait_for(lambda: careless.run_sql(active), "a slot in use")
        before = _slot_findings(careless)
        _write_wal(careless, 1)
        careless.run_sql("SELECT pg_switch_wal()")
        _write_wal(careless, 13)
        after = _slot_findings(careless)
    finally:
        consumer.close()
        wait_for(lambda: not careless.run_sql(active), "a slot that nobody uses")
        careless.run_sql("SELECT pg_drop_replication_slot('deaf')")

    assert before == []
    (finding,) = after
    assert (finding["id"], finding["severity"]) == ("postgres.review.slot_lag", "high")
    assert finding["subject"] == "slot deaf"
    assert re.search(r"the consumer .* is behind: it keeps [123]\d\.\d MB of WAL.*, and is lost after [\d.]+ MB more$",
                     finding["message"])  # fmt: skip
    assert "raise max_slot_wal_keep_size" in finding["action"]


def test_a_slot_in_use_that_keeps_too_much_is_told(primary: PrivatePostgres) -> None:
    primary.run_sql("SELECT pg_create_physical_replication_slot('busy', true)")
    standby = primary.make_standby()
    try:
        standby.configure(primary_slot_name="busy")
        standby.run_sql("SELECT pg_reload_conf()")
        active = "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'busy' AND active"
        wait_for(lambda: primary.run_sql(active), "a slot in use")
        quiet = review(primary)
        standby.run_sql("SELECT pg_wal_replay_pause()")
        primary.run_sql("SELECT pg_switch_wal()")
        answer = review(primary, slot_bytes=0)
    finally:
        standby.close()
        wait_for(lambda: not primary.run_sql(active), "a slot that nobody uses")
        primary.run_sql("SELECT pg_drop_replication_slot('busy')")

    assert told(quiet) == []
    assert told(answer) == [("slot_lag", "slot busy")]


@contextlib.contextmanager
def _used_all_the_time(server: PrivatePostgres, sql: str) -> t.Iterator[None]:
    """From 16 on it counts when an index was last used, and a review can take longer than `unused_after`."""
    over = threading.Event()

    def use() -> None:
        while not over.wait(0.2):
            server.run_sql(sql, SHOP)

    server.run_sql(sql, SHOP)
    settled(server)
    user = threading.Thread(target=use)
    user.start()
    try:
        yield
    finally:
        over.set()
        user.join()


def test_an_index_that_only_a_standby_uses_is_not_unused(primary: PrivatePostgres, standby: PrivatePostgres) -> None:
    primary.run_sql("CREATE TABLE things (id int PRIMARY KEY, word text, other text)", SHOP)
    primary.run_sql("INSERT INTO things SELECT g, md5(g::text), md5(g::text) FROM generate_series(1, 40000) AS g", SHOP)
    primary.run_sql("CREATE INDEX reported ON things (word)", SHOP)
    primary.run_sql("CREATE INDEX idle ON things (other)", SHOP)
    primary.run_sql("ANALYZE things", SHOP)
    wait_for(lambda: _caught_up(primary), "a standby that caught up")
    old = (
        "SELECT clock_timestamp() - coalesce(stats_reset, pg_postmaster_start_time()) > interval '2.2 s'"
        f" FROM pg_stat_database WHERE datname = '{SHOP}'"
    )
    for server in (primary, standby):
        wait_for(lambda server=server: server.run_sql(old, SHOP)[0][0], "statistics older than unused_after")
    settled(primary)

    with _used_all_the_time(standby, "SET enable_seqscan = off; SELECT * FROM things WHERE word = 'x'"):
        alone = review(primary, unused_after="2s")
        both = review(primary, unused_after="2s", standbys=[_place(standby)])
        nobody = {"host": "127.0.0.1", "port": free_port()}
        away = review(primary, unused_after="2s", standbys=[_place(standby), nobody])
    stranger = healthy_server(own_cluster=True)
    try:
        add_shop(stranger)
        wrong = review(primary, unused_after="2s", standbys=[_place(stranger)])
    finally:
        stranger.close()
        primary.run_sql("DROP TABLE things", SHOP)

    assert {subject for _kind, subject in told(alone)} == {f"{SHOP}: public.reported", f"{SHOP}: public.idle"}
    assert all("look at every standby first (walreceiver)" in finding["action"] for finding in alone["findings"])
    assert told(both) == [("unused_index", f"{SHOP}: public.idle")]
    assert f"127.0.0.1:{standby.port} counted for" in both["findings"][0]["message"]
    assert both["findings"][0]["action"] == 'DROP INDEX CONCURRENTLY "public"."idle"'
    for answer, text in ((away, "unused indexes: cannot connect to database 'shop'"), (wrong, "is no standby of this")):
        assert answer["verdict"] == "unknown"
        assert text in answer["reason"]
        assert answer["findings"] == [], "what nobody could ask everywhere is not unused"
