# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: at every step before the last, with a server that is away, and never by closing what is in use."""

from __future__ import annotations

import json
import pathlib
import threading
import time
import typing as t

import pytest
from support.postgres import PrivatePostgres
from support.secrets import ALTERNATING, SINGLE, TWIN, USER, Shop, converged, in_file, shop_with_file, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import rotation_login, rotation_roles
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.steps import NAMES

pytest_plugins = ("support.postgres_fixtures", "support.secret_fixtures")


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_from_every_step_before_the_last_there_is_a_way_back(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    first = shop.current()
    for name in NAMES[:-1]:
        assert shop.rotate_and_be_killed(f"+done {name}")
        result, outcome = shop.roll_back()
        assert (result.verdict, outcome.version) == ("ok", first.version), (name, result)
        assert shop.current() == first, name
        converged(shop, env_file)
    assert len(shop.store.versions()) == len(NAMES)


def test_an_old_one_that_was_closed_meanwhile_is_opened_before_the_new_one_is_closed(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    first = shop.current()
    assert shop.rotate_and_be_killed("+done reload")
    postgres.run_sql(f"ALTER ROLE {USER} NOLOGIN PASSWORD NULL")
    assert shop.roll_back()[0].verdict == "ok"
    assert shop.current() == first
    converged(shop, env_file)


def test_an_old_one_that_cannot_be_opened_leaves_the_new_one_to_all(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    assert shop.rotate_and_be_killed("+done reload")
    new = shop.current()
    postgres.run_sql(f"DROP ROLE {USER}")
    result, _outcome = shop.roll_back()
    assert result.verdict == "failed", result
    assert "cannot be undone" in result.reason
    assert shop.logs_in(new)
    assert shop.current() == new
    assert in_file(env_file) == (TWIN, new.password), "the consumer was sent back to what does not open"


@pytest.mark.parametrize(("step", "strategy"), [("set", SINGLE), ("set", ALTERNATING), ("test", SINGLE)])
def test_a_database_that_starts_anew_meanwhile_locks_nobody_out(
    postgres: PrivatePostgres,
    tmp_path: pathlib.Path,
    env_file: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    strategy: str,
) -> None:
    """It has done what it was told, and its answer is lost: without patience the way back would be barred."""
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    first = shop.current()
    shop.policy = {"undo_patience": 30}
    starting: list[threading.Thread] = []

    def going_down(real: t.Callable[..., t.Any], after: bool) -> t.Callable[..., t.Any]:
        def call(*args: t.Any, **words: t.Any) -> t.Any:
            monkeypatch.undo()
            if after:
                real(*args, **words)
            postgres.stop("immediate")
            starting.append(threading.Thread(target=lambda: (time.sleep(1.5), postgres.start())))
            starting[0].start()
            if after:
                raise PostgresError("the server closed the connection unexpectedly")
            return real(*args, **words)

        return call

    if step == "set":
        name = "set_password" if strategy == SINGLE else "make_twin"
        monkeypatch.setattr(rotation_roles, name, going_down(getattr(rotation_roles, name), after=True))
    else:
        monkeypatch.setattr(rotation_login, "try_out", going_down(rotation_login.try_out, after=False))
    result, _outcome = shop.rotate()
    starting[0].join()
    assert f"step '{step}' failed" in result.reason, result
    assert "all was undone; the old secret was seen to open" in result.reason
    assert shop.current() == first
    converged(shop, env_file)


def test_a_store_that_is_away_at_the_last_step_leaves_both_open_and_the_next_run_ends_it(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    old, place = shop.current(), pathlib.Path(shop.store.directory)  # type: ignore[attr-defined]
    away = place.with_name("away")
    # Asked after the reload, and again while it is watched: then it goes.
    script = f"test -e {tmp_path}/asked && mv {place} {away}; touch {tmp_path}/asked"
    shop.health = Health(command=("sh", "-c", script), timeout=5)
    result, outcome = shop.rotate()
    away.rename(place)
    assert (result.verdict, outcome.stays_open) == ("unknown", True), result
    assert "it cannot be seen whether the old secret is closed" in result.reason
    assert in_file(env_file)[0] == TWIN, "a rotation that was right was taken back"
    assert all(shop.logs_in(secret) for secret in (old, shop.current()))
    shop.health = Health()
    assert shop.rotate(force=False)[0].verdict == "ok"
    assert not shop.logs_in(old)
    converged(shop, env_file)


def test_an_old_version_that_the_store_has_dropped_is_closed_all_the_same(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    """Without a label a version may go at any time: that it is gone says nothing of the role."""
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    old = shop.current()
    assert shop.rotate_and_be_killed("+done observe")
    shop.store.retire(old.version)
    _drop(shop, old.version)
    assert shop.logs_in(old)
    assert shop.rotate(force=False)[0].verdict == "ok"
    assert not shop.logs_in(old)
    converged(shop, env_file)


def _drop(shop: Shop, version: str) -> None:
    index = pathlib.Path(shop.store.place, "index.json")
    content = json.loads(index.read_text())
    del content["versions"][version]
    index.write_text(json.dumps(content))


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_what_leaked_while_a_rotation_was_open_is_replaced_as_well(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path, strategy: str
) -> None:
    shop = shop_with_file(postgres, tmp_path, strategy, env_file)
    assert shop.rotate_and_be_killed("+done reload")
    leaked = shop.current()
    shop.policy = {"old_sessions": "end"}
    assert shop.rotate()[1].rotated
    assert shop.current().password != leaked.password
    assert not shop.logs_in(leaked)
    converged(shop, env_file)
    # One that was begun because of the leak has replaced it.
    assert shop.rotate_and_be_killed("+done reload")
    new = shop.current()
    back = shop.roll_back()[0]
    assert (back.verdict, "others know the old secret" in back.reason) == ("failed", True)
    assert shop.rotate()[0].verdict == "ok"
    assert shop.current() == new
    converged(shop, env_file)


def test_both_are_good_as_long_as_it_was_said_and_no_run_waits_for_it(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, env_file: pathlib.Path
) -> None:
    shop = shop_with_file(postgres, tmp_path, ALTERNATING, env_file)
    old = shop.current()
    shop.policy = {"overlap": 3600}
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.rotated, outcome.stays_open) == ("ok", True, True), result
    assert 3500 < result.figures["wait_seconds"] <= 3600
    assert stages(shop.store)["previous"] == old.version
    result, outcome = shop.rotate(force=False)
    assert result.figures["wait_seconds"] < 3600, "the time begins anew with each run"
    assert shop.logs_in(old)
    assert shop.logs_in(shop.current())
    shop.policy = {"overlap": 1}
    time.sleep(1.1)
    assert shop.rotate(force=False)[0].verdict == "ok"
    assert not shop.logs_in(old)
    converged(shop, env_file)
