# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation under an application that logs in anew for each transaction, and one that goes back when logins fail."""

from __future__ import annotations

import dataclasses
import pathlib
import threading
import typing as t

import pytest
from support.postgres import PrivatePostgres, wait_for
from support.secret_load import Load
from support.secrets import ALTERNATING, DATABASE, SINGLE, TWIN, USER, Shop, files_store, logs_in, stages

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_failures import (
    FailedLogins,
    FileReader,
    is_refusal,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rollback import roll_back
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.work import Outcome


@pytest.fixture(scope="module")
def postgres() -> t.Iterator[PrivatePostgres]:
    """It writes its log files itself, so that they can be read through it."""
    with PrivatePostgres(settings={"logging_collector": "on", "log_directory": "log"}) as server:
        yield server


def a_shop(server: PrivatePostgres, directory: pathlib.Path, strategy: str) -> Shop:
    shop = Shop(server, directory, strategy, files_store(directory))
    shop.make_roles()
    shop.fill_store()
    return shop


def test_with_two_users_nobody_is_refused(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = a_shop(postgres, tmp_path, ALTERNATING)
    # Whoever has read the store goes on with it for a moment: so long both have to be good.
    shop.policy = {"observe_for": 3, "observe_timeout": 20}
    with Load(postgres, shop.current, DATABASE) as load:
        result, outcome = shop.rotate()
        assert (result.verdict, outcome.rotated) == ("ok", True), result
        load.wait_for_more(2)
    assert not load.logins.refused
    assert load.logins.good >= 40
    assert shop.current().username == TWIN


def test_with_one_user_the_gap_is_what_is_told(postgres: PrivatePostgres, tmp_path: pathlib.Path) -> None:
    shop = a_shop(postgres, tmp_path, SINGLE)
    shop.policy = {"old_sessions": "keep"}
    with Load(postgres, shop.current, DATABASE) as load:
        result, _outcome = shop.rotate()
        assert result.verdict == "ok", result
        load.wait_for_more(2)
    # There is a gap, it is short, and afterwards everybody is in again.
    assert 0 < result.figures["store_gap_seconds"] < 10
    assert all("authentication failed" in said for _moment, said in load.logins.refused)


@pytest.mark.parametrize("source", ["file", "server"])
@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_refused_logins_after_the_switch_bring_the_old_one_back(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, strategy: str, source: str
) -> None:
    shop = a_shop(postgres, tmp_path, strategy)
    log = str(next((postgres.data / "log").glob("*.log"))) if source == "file" else "server"
    shop.target = {"failed_logins_log": log}
    shop.policy = {"observe_for": 6, "observe_timeout": 20, "failed_logins_allowed": 3, "old_sessions": "end"}
    first, user = shop.current(), TWIN if strategy == ALTERNATING else USER

    def have_it_wrong() -> None:
        wait_for(lambda: shop.current().version != first.version, "the switch")
        wait_for(lambda: "done reload" in str([f"{e['event']} {e.get('step')}" for e in shop.events()]), "reload")
        for _login in range(5):
            assert not logs_in(postgres, user, "what somebody believes to be the new one")

    somebody = threading.Thread(target=have_it_wrong)
    somebody.start()
    result, _outcome = shop.rotate()
    somebody.join()
    assert result.verdict == "failed", result
    assert f"logins of {user} were refused since the switch, and 3 may be" in result.reason
    assert "all was undone; the old secret was seen to open" in result.reason
    assert shop.current() == first
    assert shop.logs_in(first)
    # With fewer of them it goes on, and says how many there were.
    shop.policy = {"observe_for": 0, "failed_logins_allowed": 3}
    result, outcome = shop.rotate()
    assert (outcome.rotated, result.figures["failed_logins"]) == (True, 0), result


def test_where_refused_logins_cannot_be_seen_nothing_is_begun(
    postgres: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    shop = a_shop(postgres, tmp_path, SINGLE)
    first = shop.current()
    other = tmp_path / "another.log"
    other.write_text('FATAL:  password authentication failed for user "shop_a"\n')
    run = postgres.run_sql
    run("DROP ROLE IF EXISTS changer")
    run("CREATE ROLE changer LOGIN PASSWORD 'x' CREATEROLE")
    run("GRANT pg_monitor TO changer")
    if postgres.major >= 16:
        run(f"GRANT {USER} TO changer WITH ADMIN OPTION")
    for source, words in (
        (str(other), "does not tell of it"),
        (str(tmp_path / "missing"), "cannot be read: No such file"),
        ("server", "GRANT EXECUTE ON FUNCTION pg_catalog.pg_current_logfile()"),
    ):
        shop.target = {"failed_logins_log": source}
        shop.login = dataclasses.replace(postgres.login, user="changer", password="x")
        result, outcome = shop.rotate()
        assert (result.verdict, outcome.changed) == ("failed", False), source
        assert words in result.reason
        assert shop.current() == first
    # A few grants make a superuser unnecessary.
    for function in ("pg_current_logfile()", "pg_read_binary_file(text, bigint, bigint)"):
        run(f"GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO changer")
    result, _outcome = shop.rotate()
    assert result.verdict == "ok", result
    run("DROP OWNED BY changer; DROP ROLE changer")


def test_lines_of_logs_in_all_formats(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    failed = FailedLogins(FileReader(str(path)))
    failed.begin()
    lines = [
        b'2026-11-26 [7] FATAL:  password authentication failed for user "shop_a"',
        b'2026-11-26 [7] DETAIL:  User "shop_a" has no password assigned. 28P01',
        b'2026-11-26,"shop_a","shop",7,"127.0.0.1:1",,FATAL,28P01,"Passwort falsch, Benutzer ""shop_a""",,,',
        b'{"user":"shop_a","state_code":"28P01","message":"auth for \\"shop_a\\""}',
        b'2026-11-26 [7] FATAL:  password authentication failed for user "shop_ab"',
        b"2026-11-26 [7] LOG:  statement: SELECT '\"shop_a\"'",
    ]
    path.write_bytes(b"before\n" + b"\n".join(lines[:3]) + b"\n" + lines[3][:20])
    assert failed.count("shop_a") == 2
    with path.open("ab") as file:
        file.write(lines[3][20:] + b"\n" + b"\n".join(lines[4:]) + b"\n")
    assert failed.count("shop_a") == 3
    # Rotated by renaming, with a last line in the old file; then cut off.
    with path.open("ab") as file:
        file.write(lines[0] + b"\n")
    path.rename(tmp_path / "log.1")
    path.write_bytes(lines[0] + b"\n")
    assert failed.count("shop_a") == 5
    path.write_bytes(b"")
    assert failed.count("shop_a") == 5
    assert not is_refusal(b"ERROR:  28000")


# -- the way back on demand ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_what_was_left_open_is_taken_back_on_demand(
    postgres: PrivatePostgres, tmp_path: pathlib.Path, strategy: str
) -> None:
    shop = a_shop(postgres, tmp_path, strategy)
    first = shop.current()

    def back(check: bool = False) -> tuple[t.Any, Outcome]:
        outcome = Outcome()
        return roll_back(shop.work(), check, outcome), outcome

    result, outcome = back()
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "there is nothing to go back to" in result.reason
    # From each step, see tests/faults/test_secret_way_back.py.
    assert shop.rotate_and_be_killed("+done reload")
    assert back(check=True)[1].changed
    result, outcome = back()
    assert result.verdict == "ok", result
    assert (outcome.version, shop.current().password) == (first.version, first.password)
    assert stages(shop.store) == {"current": first.version}
    # Once the old one is closed there is no way back, and nobody is locked out by asking for it.
    assert shop.rotate_and_be_killed("-done retire")
    result, outcome = back()
    assert (result.verdict, outcome.changed) == ("failed", False), result
    assert "no way back" in result.reason
    assert shop.logs_in(shop.current())
    assert shop.rotate(force=False)[0].verdict == "ok"
