# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role may not do is named with the grant that is missing; what it may do works with that and no more."""

from __future__ import annotations

import contextlib
import socket
import typing as t

import pytest
from support.postgres import SHOP, PrivatePostgres, settle
from support.postgres_faults import (
    REINDEX,
    REVIEW,
    VACUUM,
    actions,
    at_work,
    begin,
    broken_index,
    end,
    fill,
    invalid,
    issued,
    leftovers,
    maintain,
    naps,
    neglect,
    slow_index,
    slow_vacuum,
    spoil,
    subjects,
    transaction,
)

pytest_plugins = ("support.postgres_fixtures",)

_LOGIN = {"login_user": "weak", "login_password": "weak-secret"}


@pytest.fixture
def weak(shop: PrivatePostgres) -> t.Iterator[PrivatePostgres]:
    """A role of no rights, and one that owns things."""
    shop.run_sql("CREATE ROLE keeper; CREATE ROLE weak LOGIN PASSWORD 'weak-secret'")
    yield shop
    with contextlib.suppress(Exception):
        shop.run_sql("DROP OWNED BY keeper, weak CASCADE", SHOP)
    shop.run_sql("DROP OWNED BY keeper, weak CASCADE")
    shop.run_sql("DROP ROLE keeper, weak")


def _give_away(server: PrivatePostgres, *tables: str) -> None:
    for table in tables:
        server.run_sql(f"ALTER TABLE {table} OWNER TO keeper", SHOP)


def _maintainer(server: PrivatePostgres) -> str:
    """The least that lets somebody maintain all tables, or keeper's."""
    return "pg_maintain" if server.major >= 17 else "keeper"


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_a_missing_privilege_fails_and_names_the_grant(weak: PrivatePostgres, module: str) -> None:
    fill(weak)
    settle(weak, "busy", 5000)
    broken_index(weak)
    _give_away(weak, "busy", "doubled")
    before = issued(weak, "VACUUM")

    answer = maintain(module, weak, **_LOGIN)

    assert answer["failed"]
    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert "role weak may not" in answer["reason"]
    wanted = "pg_maintain" if weak.major >= 17 else '"keeper"'
    assert f'GRANT {wanted} TO "weak"' in set(actions(answer))
    assert issued(weak, "VACUUM") == before
    assert "weak-secret" not in str(answer)

    weak.run_sql(f"GRANT {wanted} TO weak")
    allowed = maintain(module, weak, **_LOGIN)

    assert not allowed["failed"], allowed["reason"]
    assert allowed["changed"] is True
    unseen = [finding for finding in allowed["findings"] if finding["id"] == "postgres.vacuum.blind"]
    assert [finding["action"] for finding in unseen] == (['GRANT pg_monitor TO "weak"'] if module == VACUUM else [])
    assert all("role weak does not see other sessions" in finding["message"] for finding in unseen)


def test_pg_monitor_alone_reviews_all_and_maintains_nothing(weak: PrivatePostgres) -> None:
    neglect(weak)
    broken_index(weak)
    _give_away(weak, "busy", "doubled")
    weak.run_sql("GRANT pg_monitor TO weak")
    touched = [issued(weak, word) for word in ("VACUUM", "ANALYZE", "REINDEX", "DROP INDEX")]

    vacuum, rebuild, review = (maintain(module, weak, **_LOGIN) for module in (VACUUM, REINDEX, REVIEW))

    assert [issued(weak, word) for word in ("VACUUM", "ANALYZE", "REINDEX", "DROP INDEX")] == touched
    for answer in (vacuum, rebuild):
        assert (answer["verdict"], answer["changed"]) == ("failed", False)
        assert "role weak may not" in answer["reason"]
        assert all(action.startswith("GRANT ") for action in actions(answer))
        assert not any("pg_monitor" in action for action in actions(answer))
    assert not review["failed"], review["reason"]
    assert any("public.broken" in finding["subject"] for finding in review["findings"])


def test_the_least_privileged_role_does_all_but_what_is_not_its_own(weak: PrivatePostgres) -> None:
    """pg_monitor and pg_maintain; before 17, pg_monitor and being one of the owners."""
    neglect(weak, "busy", "private")
    broken_index(weak)
    _give_away(weak, "busy", "doubled")
    weak.run_sql(f"GRANT pg_monitor, {_maintainer(weak)} TO weak")

    vacuum = maintain(VACUUM, weak, **_LOGIN)
    rebuild = maintain(REINDEX, weak, **_LOGIN)

    assert "public.busy" in subjects(vacuum["done"])
    assert (rebuild["verdict"], rebuild["changed"]) == ("ok", True), rebuild["reason"]
    assert invalid(weak) == []
    if weak.major >= 17:
        assert (vacuum["verdict"], vacuum["findings"]) == ("ok", [])
        assert "public.private" in subjects(vacuum["done"])
    else:
        assert (vacuum["verdict"], subjects(vacuum["not_done"])) == ("failed", {"public.private"})
        assert "the owner is steward_admin" in vacuum["reason"]
        assert len(actions(vacuum)) == 1


@pytest.mark.parametrize("task", ["vacuum", "analyze"])
def test_a_table_that_changed_hands_after_the_plan_is_skipped_by_the_server_and_not_done(
    weak: PrivatePostgres, task: str
) -> None:
    """The server only warns, and says that it did it."""
    neglect(weak)
    fill(weak, "queued", 1000)
    settle(weak, "queued", 1000)
    _give_away(weak, "busy", "queued")
    weak.run_sql("GRANT pg_monitor, keeper TO weak")
    with transaction(weak, "LOCK TABLE busy IN SHARE MODE"):
        process = begin(VACUUM, weak, task=task, lock_timeout="60s", **_LOGIN)
        at_work(weak, task.upper())
        weak.run_sql("ALTER TABLE queued OWNER TO steward_admin", SHOP)
    answer = end(process)

    assert (answer["verdict"], answer["changed"], subjects(answer["done"])) == ("failed", True, {"public.busy"})
    (entry,) = answer["not_done"]
    assert (entry["subject"], entry["kind"]) == ("public.queued", "forbidden")
    assert entry["reason"].startswith("WARNING:")
    assert '"queued"' in entry["reason"]
    assert len([statement for statement in issued(weak, task.upper()) if '"queued"' in statement]) == 1
    counts = "SELECT vacuum_count, analyze_count FROM pg_stat_user_tables WHERE relname = 'queued'"
    assert weak.run_sql(counts, SHOP) == [(0, 0)]


def test_a_leftover_that_is_not_ours_to_drop_is_named_with_its_owner(weak: PrivatePostgres) -> None:
    """pg_maintain lets us rebuild an index and does not let us drop one."""
    fill(weak)
    weak.run_sql("CREATE INDEX twin ON busy (id, (id + 1)); CREATE INDEX twin_ccnew ON busy (id, (id + 1))", SHOP)
    spoil(weak, "twin_ccnew")
    _give_away(weak, "busy")
    weak.run_sql("GRANT pg_monitor TO weak")
    if weak.major >= 17:
        weak.run_sql("GRANT pg_maintain TO weak")

    answer = maintain(REINDEX, weak, **_LOGIN)

    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert "public.twin_ccnew" in answer["reason"]
    assert 'GRANT "keeper" TO "weak"' in set(actions(answer))
    assert invalid(weak) == ["twin_ccnew"]
    assert maintain(REINDEX, weak)["verdict"] == "ok"
    assert leftovers(weak) == []


def test_the_leftover_of_its_own_cancelled_rebuild_is_named_when_it_may_not_drop_it(weak: PrivatePostgres) -> None:
    index = slow_index(weak)
    _give_away(weak, "slow")
    weak.run_sql(f"GRANT pg_monitor, {_maintainer(weak)} TO weak")
    naps(weak, 0.1)
    process = begin(REINDEX, weak, attempts=1, **_LOGIN)
    weak.run_sql("SELECT pg_cancel_backend(%s)", parameters=(at_work(weak, "REINDEX")[0],))
    answer = end(process)

    naps(weak, 0)
    if weak.major >= 17:
        assert leftovers(weak) == [f"{index}_ccnew"]
        left = next(finding for finding in answer["findings"] if f"{index}_ccnew" in finding["subject"])
        assert left["severity"] == "high"
        assert f"{index}_ccnew" in left["action"]
    else:
        assert leftovers(weak) == []
    assert maintain(REINDEX, weak)["verdict"] == "ok"
    assert (invalid(weak), leftovers(weak)) == ([], [])


@pytest.mark.parametrize("module", [VACUUM, REINDEX])
def test_a_role_with_fewer_connections_than_jobs_does_it_all_with_what_it_has(
    weak: PrivatePostgres, module: str
) -> None:
    tables = ("one", "two", "three", "four")
    neglect(weak, *tables)
    spoil(weak, *(f"{table}_pkey" for table in tables))
    _give_away(weak, *tables)
    weak.run_sql(f"GRANT pg_monitor, {_maintainer(weak)} TO weak")
    weak.run_sql("ALTER ROLE weak CONNECTION LIMIT 3")
    slow_vacuum(weak, delay="2ms")

    answer = maintain(module, weak, jobs=4, **_LOGIN)

    assert (answer["failed"], answer["changed"], answer["not_done"]) == (False, True, []), answer["reason"]
    assert len(subjects(answer["done"])) == len(tables)
    assert invalid(weak) == ([f"{table}_pkey" for table in sorted(tables)] if module == VACUUM else [])


@pytest.mark.parametrize("module", [VACUUM, REINDEX, REVIEW])
def test_a_wrong_password_is_one_clear_error(shop: PrivatePostgres, module: str) -> None:
    answer = maintain(module, shop, login_password="not-the-one")

    assert (answer["failed"], answer["verdict"]) == (True, "failed")
    assert "password authentication failed" in answer["reason"]
    assert "not-the-one" not in str(answer)
    assert "not-the-one" not in shop.log()


@pytest.mark.parametrize("module", [VACUUM, REINDEX, REVIEW])
def test_a_server_that_is_not_there_is_one_clear_error(postgres: PrivatePostgres, module: str) -> None:
    with socket.socket() as taken:  # bound, not listening: nobody else can be there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        answer = maintain(module, postgres, login_port=port)

    assert (answer["failed"], answer["verdict"]) == (True, "failed")
    assert f"127.0.0.1:{port}" in answer["reason"]
    assert "Connection refused" in answer["reason"]
