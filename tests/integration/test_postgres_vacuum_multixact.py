# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other wraparound: multixacts, which two sessions make that lock the same row."""

from __future__ import annotations

import contextlib
import re
import typing as t

import pytest
from support.postgres import SHOP, PrivatePostgres
from support.postgres_faults import REVIEW, VACUUM, maintain, transaction
from support.reviews import told

pytest_plugins = ("support.postgres_fixtures",)

_TABLE_LIMIT, _SERVER_LIMIT = 10_000, 20_000  # the least that the server takes, and one that tells them apart


@pytest.fixture(scope="module")
def postgres() -> t.Iterator[PrivatePostgres]:
    with PrivatePostgres(settings={"autovacuum_multixact_freeze_max_age": str(_SERVER_LIMIT)}) as server:
        yield server


@pytest.fixture
def old(shop: PrivatePostgres) -> PrivatePostgres:
    """A table of some fifty pages that VACUUM has no reason to read again."""
    shop.run_sql(
        f"CREATE TABLE old (id int PRIMARY KEY) WITH (autovacuum_multixact_freeze_max_age = {_TABLE_LIMIT})", SHOP
    )
    shop.run_sql("INSERT INTO old SELECT generate_series(1, 10000)", SHOP)
    shop.run_sql("VACUUM ANALYZE old", SHOP)
    return shop


def _share(server: PrivatePostgres, row: int, times: int) -> None:
    """One session keeps its lock, another takes one again and again: each pair is a multixact of its own."""
    lock = f"FROM old WHERE id = {row} FOR SHARE"
    with transaction(server, f"SELECT id {lock}"):
        server.run_sql(f"DO $$ BEGIN FOR i IN 1..{times} LOOP PERFORM id {lock}; COMMIT; END LOOP; END $$", SHOP)


def _age(server: PrivatePostgres) -> int:
    return int(server.run_sql("SELECT mxid_age(relminmxid) FROM pg_class WHERE relname = 'old'", SHOP)[0][0])


def _near(server: PrivatePostgres) -> tuple[list[tuple[str, str]], dict[str, t.Any]]:
    """What a review tells of wraparounds, and its whole answer."""
    answer = maintain(REVIEW, server)
    return [(kind, subject) for kind, subject in told(answer) if kind.endswith("wraparound")], answer


def test_a_table_with_old_multixacts_is_frozen_until_the_need_is_gone(old: PrivatePostgres) -> None:
    """Not by the age of its rows, which is why each of few transactions locks many rows: all are young."""
    with contextlib.ExitStack() as open_at_once:
        for bit in range(7):  # 127 rows, each locked by other sessions of the seven
            rows = f"SELECT id FROM old WHERE id < 128 AND id & {1 << bit} <> 0 FOR SHARE"
            open_at_once.enter_context(transaction(old, rows))
    before = _age(old)
    assert old.run_sql("SELECT age(relfrozenxid) FROM pg_class WHERE relname = 'old'", SHOP)[0][0] < 50

    answer = maintain(VACUUM, old, freeze_percent=1)

    assert (answer["verdict"], answer["not_done"]) == ("ok", [])
    (done,) = answer["done"]
    assert done["subject"] == "public.old"
    reason = rf"oldest unfrozen row is {before} multixacts old, over 100 \(1 % of autovacuum_multixact_freeze_max_age\)"
    assert 100 < before < 200, "no other table is due"
    assert re.fullmatch(reason, done["reason"]), done["reason"]
    assert _age(old) <= 51
    assert maintain(VACUUM, old, freeze_percent=1)["planned"] == []


def test_a_review_tells_of_the_tables_and_then_of_the_databases(old: PrivatePostgres) -> None:
    _share(old, row=1, times=_TABLE_LIMIT * 12 // 10 + 100)
    tables, answer = _near(old)

    assert tables == [("table_wraparound", f"{SHOP}: public.old")]
    (finding,) = [finding for finding in answer["findings"] if finding["id"].endswith("wraparound")]
    assert finding["value"] == _age(old) > _TABLE_LIMIT * 12 // 10
    assert finding["threshold"] == _TABLE_LIMIT
    assert finding["message"].startswith(f"its oldest multixact id is {_age(old)} old, autovacuum acts from 10000")

    _share(old, row=1, times=_SERVER_LIMIT * 12 // 10 - _TABLE_LIMIT)
    everything, answer = _near(old)

    databases = {subject for kind, subject in everything if kind == "wraparound"}
    assert {f"database {name}" for name in (SHOP, "postgres", "template0", "template1")} <= databases
    assert (sum(kind == "table_wraparound" for kind, _subject in everything)) == 5
    oldest = old.run_sql("SELECT max(mxid_age(datminmxid)) FROM pg_database")[0][0]
    assert answer["facts"]["oldest_mxid_age"] == oldest > _SERVER_LIMIT * 12 // 10
    told_of = [finding["message"] for finding in answer["findings"] if finding["subject"] == f"database {SHOP}"]
    assert told_of[0].startswith(f"its oldest multixact id is {oldest} old, autovacuum acts from {_SERVER_LIMIT}")
