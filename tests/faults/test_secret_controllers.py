# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers on several hosts, a store that goes down half-way, and sessions that still use the old secret."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import typing as t

import psycopg2
import pytest
from support import s3_faults as faults
from support.postgres import PrivatePostgres, wait_for
from support.secret_kv import TOKEN, KvServer
from support.secrets import (
    ALTERNATING,
    DATABASE,
    DAY,
    SINGLE,
    TWIN,
    USER,
    Shop,
    converged,
    in_file,
    logs_in,
    make_older,
    shop_with_file,
    stages,
)

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._core.journal import Journal
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation import DatabasePassword
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotation import Others
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_kv import Kv, KvSettings

pytest_plugins = ("support.postgres_fixtures", "support.secret_fixtures")


# -- another host --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_another_host_goes_on_with_what_opens(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    """The host that began is gone, and its journal with it."""
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    assert shop.rotate_and_be_killed("-done set")
    pending = stages(shop.store)["pending"]
    _lose_the_journal(shop)
    result, outcome = shop.rotate(force=False)
    assert outcome.version == pending
    assert result.verdict == "findings"
    assert [finding.id for finding in result.findings] == ["secret-left-pending"]
    converged(shop, env_file)


def test_another_host_withdraws_what_opens_nothing(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    first = shop.current()
    assert shop.rotate_and_be_killed("+done create")
    pending = stages(shop.store)["pending"]
    _lose_the_journal(shop)
    result, outcome = shop.rotate(force=False)
    assert (result.verdict, outcome.rotated, outcome.changed) == ("findings", False, True)
    assert "withdrawn" in result.findings[0].message
    assert stages(shop.store) == {"current": first.version}
    assert shop.rotate()[1].version != pending
    converged(shop, env_file)


def test_another_host_closes_the_old_one_that_was_left_open(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    """The host that began had given out the new one, and is gone with its journal."""
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    old = shop.current()
    assert shop.rotate_and_be_killed("+done reload")
    _lose_the_journal(shop)
    # Both are to be good for as long as they were to be; after that it is closed, as soon as nobody uses it.
    shop.policy = {"overlap": DAY}
    result, outcome = shop.rotate(force=False)
    assert (result.verdict, outcome.stays_open) == ("ok", True), result
    assert shop.logs_in(old)
    make_older(t.cast("t.Any", shop.store), 2)
    shop.policy = {"overlap": DAY, "observe_timeout": 0}
    session = open_session(shop, USER, old.password, "report")
    assert shop.rotate(force=False)[0].findings[-1].id == "secret-old-in-use"
    session.close()
    wait_for(lambda: not postgres.run_sql(f"SELECT 1 FROM pg_stat_activity WHERE usename = '{USER}'"), "its end")
    result, outcome = shop.rotate(force=False)
    assert [finding.id for finding in result.findings] == ["secret-left-open"], result
    assert outcome.changed
    converged(shop, env_file)


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_what_another_host_has_set_is_taken_back_as_well(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, kv: KvServer, strategy: str
) -> None:
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    first = shop.current()
    shop.store = Kv(KvSettings(kv.url, TOKEN, timeout=5), "shop")
    shop.store.create_first(first.version, first.value)
    assert shop.rotate_and_be_killed("+done set")
    _lose_the_journal(shop)
    kv.inject(r"POST /v1/secret/data/shop$", faults.refusing(500, "Broken"))
    result, _outcome = shop.rotate(force=False)
    assert "all was undone; the old secret was seen to open" in result.reason
    kv.heal()
    assert shop.current() == first
    assert shop.logs_in(first)
    assert shop.rotate()[0].verdict in ("ok", "findings")
    converged(shop, env_file)


def test_a_journal_that_was_overtaken_by_another_host_brings_nothing_back(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    assert shop.rotate_and_be_killed("+done set")
    other = _elsewhere(shop, 1)
    for _rotation in range(2):
        assert other.rotate()[1].rotated
    current = shop.current()
    result, outcome = shop.rotate(force=False)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "was ended elsewhere" in result.reason
    assert shop.current() == current
    converged(shop, env_file)


def _lose_the_journal(shop: Shop) -> None:
    (shop.directory / "state").rename(shop.directory / "state-of-the-other-host")


# -- two at once ---------------------------------------------------------------------------------------------


def test_a_second_controller_on_this_host_says_busy(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    with Journal(str(tmp_path / "state"), shop.work().subject):
        result, outcome = shop.rotate()
    assert result.verdict == "unknown"
    assert re.search(rf"busy: .* is being changed by process {os.getpid()}", result.reason)
    assert not outcome.changed


def test_a_second_controller_on_another_host_says_busy(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    """Another host has another state directory; what they share is the server."""
    shop = shop_with_file(postgres, tmp_path, SINGLE, env_file)
    other = DatabasePassword(postgres.login, shop.settings)
    assert other.busy() == ""
    try:
        result, outcome = shop.rotate()
    finally:
        other.close()
    assert result.verdict == "unknown"
    assert re.search(r"busy: .* is being rotated by another run \(server process \d+", result.reason)
    assert not outcome.changed
    assert len(shop.store.versions()) == 1
    assert shop.rotate()[1].rotated


def test_of_two_that_begin_together_one_works(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    make_older(t.cast("t.Any", shop.store), 80)
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            try:
                result, outcome = _elsewhere(shop, number).rotate(force=False)
                os._exit(10 if outcome.rotated else {"unknown": 20, "ok": 30}.get(result.verdict, 40))
            except BaseException:  # noqa: BLE001 - reported by its exit status
                os._exit(50)
        children.append(child)
    ended = [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children]
    assert ended.count(10) == 1, ended
    # The others were busy, or came when it was over and nothing was due any more.
    assert set(ended) <= {10, 20, 30}, ended
    converged(shop, env_file)
    assert len(shop.store.versions()) == 2


def _elsewhere(shop: Shop, number: int) -> Shop:
    other = shop.directory / f"host-{number}"
    other.mkdir()
    return dataclasses.replace(shop, directory=other)


# -- a store that goes down half-way --------------------------------------------------------------------------


@pytest.fixture(params=[SINGLE, ALTERNATING])
def in_vault(
    request: pytest.FixtureRequest,
    postgres: PrivatePostgres,
    kv: KvServer,
    tmp_path: pathlib.Path,
    env_file: pathlib.Path,
) -> Shop:
    shop = shop_with_file(postgres, tmp_path, request.param, env_file)
    first = shop.current()
    shop.store = Kv(KvSettings(kv.url, TOKEN, timeout=5), "shop")
    shop.store.create_first(first.version, first.value)
    return shop


def test_a_store_that_refuses_the_promotion_has_all_taken_back(
    in_vault: Shop, kv: KvServer, env_file: pathlib.Path
) -> None:
    first = in_vault.current()
    kv.inject(r"POST /v1/secret/data/shop$", faults.refusing(500, "Broken"))
    result, _outcome = in_vault.rotate()
    assert result.verdict == "failed"
    assert "step 'finish' failed" in result.reason
    assert "the old secret was seen to open" in result.reason
    kv.heal()
    assert in_vault.current() == first
    converged(in_vault, env_file)
    assert in_vault.rotate()[1].rotated
    converged(in_vault, env_file)


def test_a_store_that_goes_down_at_the_promotion_is_brought_to_order_by_the_next_run(
    in_vault: Shop, kv: KvServer, env_file: pathlib.Path
) -> None:
    first = in_vault.current()

    def going_down(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        kv.sealed = True
        return forward(request)

    kv.inject(r"POST /v1/secret/data/shop$", going_down, times=1)
    result, _outcome = in_vault.rotate()
    assert result.verdict == "failed"
    assert "mend the cause and run again" in result.reason
    assert logs_in(in_vault.server, *in_file(env_file)) == (in_vault.strategy == ALTERNATING)
    kv.sealed = False
    assert in_vault.rotate(force=False)[0].verdict == "findings"
    assert in_vault.current() == first
    converged(in_vault, env_file)


# -- hosts that have it, too ---------------------------------------------------------------------------------


def test_the_old_one_is_not_closed_before_all_hosts_have_the_new_one(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    old = shop.current()
    shop.others = Others(("web2", "web3"))
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.stays_open, outcome.missing_hosts) == ("ok", True, ["web2", "web3"]), result
    token = outcome.version
    # One of them cannot be asked: that is not clean, and nothing is closed.
    shop.others = Others(("web2", "web3"), {"web2": token})
    result, outcome = shop.rotate(force=False)
    assert (result.verdict, outcome.missing_hosts) == ("unknown", ["web3"]), result
    assert "web3" in result.reason
    assert shop.logs_in(old)
    assert shop.logs_in(shop.current())
    shop.others = Others(("web2", "web3"), {"web2": token, "web3": token})
    result, outcome = shop.rotate(force=False)
    assert (result.verdict, outcome.stays_open, outcome.missing_hosts) == ("ok", False, []), result
    converged(shop, env_file)
    # One that has lost it meanwhile is told, when they are asked.
    shop.others = Others(("web2", "web3"), {"web2": token})
    assert shop.rotate(force=False)[0].verdict == "unknown"


def test_the_new_one_is_not_closed_before_all_hosts_have_the_old_one_back(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    old = shop.current()
    shop.others = Others(("web2",))
    token = shop.rotate()[1].version
    new = shop.current()
    result, outcome = shop.roll_back()
    assert (result.verdict, outcome.stays_open, outcome.missing_hosts) == ("ok", True, ["web2"]), result
    assert shop.current() == old
    assert in_file(env_file) == (old.username, old.password)
    assert shop.logs_in(new), "whoever has the new one on another host was locked out"
    shop.others = Others(("web2",), {"web2": token})
    result, outcome = shop.roll_back()
    assert (result.verdict, outcome.missing_hosts) == ("unknown", ["web2"]), result
    assert shop.logs_in(new)
    shop.others = Others(("web2",), {"web2": old.version})
    assert shop.roll_back()[0].verdict == "ok"
    converged(shop, env_file)


def test_a_failure_after_others_have_it_is_taken_back_everywhere(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    old = shop.current()
    shop.others = Others(("web2",))
    token = shop.rotate()[1].version
    shop.others = Others(("web2",), {"web2": token})
    shop.health = Health(command=("false",), timeout=1)
    result, outcome = shop.rotate(force=False)
    assert (result.verdict, outcome.stays_open, outcome.missing_hosts) == ("failed", True, ["web2"]), result
    assert all(shop.logs_in(secret) for secret in (old, shop.store.read_version(token)))
    shop.others, shop.health = Others(("web2",), {"web2": old.version}), Health()
    # It is due still, but what this play has begun is over.
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.rotated) == ("findings", False), result
    assert "secret-taken-back" in [finding.id for finding in result.findings]
    converged(shop, env_file)


# -- who still uses the old one ------------------------------------------------------------------------------


def test_the_old_one_is_not_closed_while_it_is_used(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    shop.policy = {"observe_timeout": 0}
    old = shop.current()
    session = open_session(shop, USER, old.password, "report")
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.rotated) == ("findings", True)
    assert result.findings[-1].id == "secret-old-in-use"
    assert "session(s) of shop_a by report from 127.0.0.1" in result.findings[-1].message
    assert shop.current().username == TWIN
    assert shop.logs_in(old), "both are good until nobody uses the old one"

    # Who has taken up the new one is not told again.
    told = tmp_path / "told"
    tell = ("sh", "-c", f"echo told >>{told}")
    shop.consumers = (*shop.consumers, Consumer("worker", commands=(tell,), probe=("true",)))
    again = shop.rotate(force=False)[0]
    assert again.findings[-1].id == "secret-old-in-use"
    assert not told.exists()
    session.close()
    wait_for(lambda: not postgres.run_sql(f"SELECT 1 FROM pg_stat_activity WHERE usename = '{USER}'"), "its end")
    assert shop.rotate(force=False)[0].verdict == "ok"
    assert not shop.logs_in(old)
    converged(shop, env_file)


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_in_an_emergency_the_sessions_of_the_old_one_are_ended(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    shop.policy = {"old_sessions": "end"}
    session = open_session(shop, USER, shop.current().password, "stolen")
    result, _outcome = shop.rotate()
    assert result.verdict == "ok", result
    assert result.figures["ended_sessions"] == 1
    with pytest.raises(Exception, match=r"terminat|closed"):
        session.cursor().execute("SELECT 1")
    converged(shop, env_file)


def test_with_one_user_old_sessions_may_be_kept_and_are_told(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, SINGLE, env_file)
    shop.policy = {"old_sessions": "keep"}
    session = open_session(shop, USER, shop.current().password, "pool")
    result, _outcome = shop.rotate()
    assert [finding.id for finding in result.findings] == ["secret-old-sessions"]
    session.cursor().execute("SELECT 1")
    session.close()
    converged(shop, env_file)


def open_session(shop: Shop, user: str, password: str, application: str) -> t.Any:
    return psycopg2.connect(
        host="127.0.0.1",
        port=shop.server.port,
        user=user,
        password=password,
        dbname=DATABASE,
        application_name=application,
    )
