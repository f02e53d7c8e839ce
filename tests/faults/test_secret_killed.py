# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL after every step of a rotation, forwards and backwards, and two controllers at once.

Each run is a process of its own against a real server, a real store of encrypted files and a real file of a consumer.
"""

from __future__ import annotations

import os
import pathlib
import re
import typing as t

import pytest
from support.postgres import PrivatePostgres, wait_for
from support.secrets import ALTERNATING, SINGLE, TWIN, USER, Shop, files_store, make_older, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.journal import Journal
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation import DatabasePassword
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.placing import ENV, Placed
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.steps import NAMES

pytest_plugins = ("support.postgres_fixtures",)

_DONE = "done"


@pytest.fixture
def env_file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "shop.env"
    path.write_text("OTHER=kept\nDB_USER=\nDB_PASSWORD=\n")
    path.chmod(0o640)
    return path


def a_shop(server: PrivatePostgres, directory: pathlib.Path, strategy: str, env_file: pathlib.Path) -> Shop:
    placed = Placed(str(env_file), ENV, values={"DB_USER": "{username}", "DB_PASSWORD": "{password}"})
    shop = Shop(server, directory, strategy, files_store(directory), (Consumer("api", (placed,)),))
    shop.make_roles()
    shop.fill_store()
    placed.write(shop.work().target.fields(shop.current()))
    return shop


def in_file(env_file: pathlib.Path) -> tuple[str, str]:
    values = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
    assert values["OTHER"] == "kept"
    assert env_file.stat().st_mode & 0o777 == 0o640
    return values["DB_USER"], values["DB_PASSWORD"]


def converged(shop: Shop, env_file: pathlib.Path) -> None:
    """One current secret, which opens, which the consumer has, and nothing else that opens or is labelled."""
    current = shop.current()
    assert stages(shop.store) == {"current": current.version}
    assert shop.logs_in(current)
    assert in_file(env_file) == (current.username, current.password)
    for version in shop.store.versions():
        if version.id != current.version:
            assert not shop.logs_in(shop.store.read_version(version.id)), f"{version.id} still opens"


#: Killed before the step is noted as done, and after it; and before anything was done at all.
_POINTS = ["-intent create", *(f"{when}{_DONE} {name}" for name in NAMES for when in "-+"), "+intent create"]


def test_alternating_killed_anywhere_nobody_is_locked_out(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING, env_file)
    for point in _POINTS:
        before = shop.current()
        versions = len(shop.store.versions())
        assert shop.rotate_and_be_killed(point), f"never came to {point}"
        # Nothing has come to its aid yet: who reads the store, and who has the file, logs in.
        assert shop.logs_in(shop.current()), f"the store's secret does not open after {point}"
        assert _logs_in(shop, in_file(env_file)), f"the file's secret does not open after {point}"
        result, outcome = shop.rotate(force=False)
        assert result.verdict == "ok", (point, result)
        assert outcome.rotated, point
        converged(shop, env_file)
        assert shop.current().username != before.username, point
        assert len(shop.store.versions()) == versions + 1, f"{point}: a second password was made"


def test_single_killed_anywhere_the_next_run_converges(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    """With one user, a run that is killed after set leaves the pending one as the one that opens: the stated gap."""
    shop = a_shop(postgres, tmp_path, SINGLE, env_file)
    for point in _POINTS:
        versions = len(shop.store.versions())
        assert shop.rotate_and_be_killed(point), f"never came to {point}"
        opens = [stage for stage in ("current", "pending") if shop.logs_in(shop.store.read(stage))]
        assert len(opens) == 1, f"{point}: {opens} open"
        result, outcome = shop.rotate(force=False)
        assert result.verdict == "ok", (point, result)
        assert outcome.rotated, point
        converged(shop, env_file)
        assert len(shop.store.versions()) == versions + 1, f"{point}: a second password was made"


def _logs_in(shop: Shop, login: tuple[str, str]) -> bool:
    from support.secrets import logs_in

    return logs_in(shop.server, *login)


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_killed_while_it_is_taken_back_the_old_one_opens_after_the_next_run(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    shop = a_shop(postgres, tmp_path, strategy, env_file)
    first = shop.current()
    files = shop.consumers
    failing = Consumer("broken", commands=(("false",),), probe=("true",), timeout=5)
    points = ["+undoing reload", *(f"{when}undone {name}" for name in NAMES[:5] if name != "test" for when in "-+")]
    for point in points:
        shop.consumers = (*files, failing)
        assert shop.rotate_and_be_killed(point), f"never came to {point}"
        if strategy == ALTERNATING:
            assert shop.logs_in(shop.current()), point
            assert _logs_in(shop, in_file(env_file)), point
        result, outcome = shop.rotate(force=False)
        # The rest was taken back, and nothing is due: the finding tells of it.
        assert result.verdict in ("ok", "findings"), (point, result)
        assert not outcome.rotated
        converged(shop, env_file)
        assert shop.current().password == first.password, point
    shop.consumers = files
    assert shop.rotate()[1].rotated
    converged(shop, env_file)


def test_killed_again_and_again_it_converges(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING, env_file)
    token = ""
    for point in ("+done create", "-done set", "+done set", "+intent finish", "-done finish", "+done reload"):
        assert shop.rotate_and_be_killed(point, force=not token)
        references = shop.journal()[0]["references"]
        assert token in ("", references["token"]), "it became another rotation"
        token = references["token"]
        assert shop.logs_in(shop.current())
    assert shop.rotate(force=False)[1].version == token
    converged(shop, env_file)


# -- another host --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_another_host_goes_on_with_what_opens(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    """The host that began is gone, and its journal with it."""
    shop = a_shop(postgres, tmp_path, strategy, env_file)
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
    shop = a_shop(postgres, tmp_path, ALTERNATING, env_file)
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


def test_a_journal_that_was_overtaken_by_another_host_brings_nothing_back(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING, env_file)
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
    shop = a_shop(postgres, tmp_path, ALTERNATING, env_file)
    with Journal(str(tmp_path / "state"), shop.work().subject):
        result, outcome = shop.rotate()
    assert result.verdict == "unknown"
    assert re.search(rf"busy: .* is being changed by process {os.getpid()}", result.reason)
    assert not outcome.changed


def test_a_second_controller_on_another_host_says_busy(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    """Another host has another state directory; what they share is the server."""
    shop = a_shop(postgres, tmp_path, SINGLE, env_file)
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
    shop = a_shop(postgres, tmp_path, ALTERNATING, env_file)
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
    import dataclasses

    other = shop.directory / f"host-{number}"
    other.mkdir()
    return dataclasses.replace(shop, directory=other)


# -- who still uses the old one ------------------------------------------------------------------------------


def test_the_old_one_is_not_closed_while_it_is_used(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING, env_file)
    shop.policy = {"observe_timeout": 0}
    old = shop.current()
    session = open_session(shop, USER, old.password, "report")
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.rotated) == ("findings", True)
    assert result.findings[-1].id == "secret-old-in-use"
    assert "session(s) of shop_a by report from 127.0.0.1" in result.findings[-1].message
    assert shop.current().username == TWIN
    assert shop.logs_in(old), "both are good until nobody uses the old one"

    again = shop.rotate(force=False)[0]
    assert again.findings[-1].id == "secret-old-in-use"
    session.close()
    wait_for(lambda: not postgres.run_sql(f"SELECT 1 FROM pg_stat_activity WHERE usename = '{USER}'"), "its end")
    assert shop.rotate(force=False)[0].verdict == "ok"
    assert not shop.logs_in(old)
    converged(shop, env_file)


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_in_an_emergency_the_sessions_of_the_old_one_are_ended(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    shop = a_shop(postgres, tmp_path, strategy, env_file)
    shop.policy = {"old_sessions": "end"}
    session = open_session(shop, USER, shop.current().password, "stolen")
    result, _outcome = shop.rotate()
    assert result.verdict == "ok", result
    assert result.figures["ended_sessions"] == 1
    with pytest.raises(Exception, match="terminat|closed"):
        session.cursor().execute("SELECT 1")
    converged(shop, env_file)


def test_with_one_user_old_sessions_may_be_kept_and_are_told(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = a_shop(postgres, tmp_path, SINGLE, env_file)
    shop.policy = {"old_sessions": "keep"}
    session = open_session(shop, USER, shop.current().password, "pool")
    result, _outcome = shop.rotate()
    assert [finding.id for finding in result.findings] == ["secret-old-sessions"]
    session.cursor().execute("SELECT 1")
    session.close()
    converged(shop, env_file)


def open_session(shop: Shop, user: str, password: str, application: str) -> t.Any:
    import psycopg2
    from support.secrets import DATABASE

    return psycopg2.connect(
        host="127.0.0.1",
        port=shop.server.port,
        user=user,
        password=password,
        dbname=DATABASE,
        application_name=application,
    )
