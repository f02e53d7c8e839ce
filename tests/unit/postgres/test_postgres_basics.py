# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins, names, identities of sessions, what a query may show, and the result that follows from what was done."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import connection, identity
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import LOGIN_ARGUMENTS, login_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import Login, PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.review_queries import shown
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import (
    BLOCKED,
    BUDGET,
    FORBIDDEN,
    Done,
    NotDone,
    Outcome,
    Plan,
)

PLAN = Plan("shop", "public.orders", "VACUUM", "300 dead rows, over 250", {"bytes": 8192})


def test_a_login_gives_libpq_only_what_was_said() -> None:
    assert Login(user="me").parameters("shop") == {
        "port": "5432",
        "user": "me",
        "dbname": "shop",
        "sslmode": "prefer",
        "connect_timeout": "10",
    }
    # The service file may know better than our defaults.
    by_service = Login(service="here").parameters()
    assert set(by_service) == {"service", "dbname", "connect_timeout"}
    assert Login(service="here", port=5433).parameters()["port"] == "5433"


def test_the_environment_of_client_programs_keeps_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C")
    environment = Login(host="db", password="secret", ca_cert="/ca.pem", ssl_mode="verify-full").environment("shop")
    assert environment["LANG"] == "C"
    wanted = {"PGHOST": "db", "PGPASSWORD": "secret", "PGSSLROOTCERT": "/ca.pem", "PGSSLMODE": "verify-full"}
    assert wanted.items() <= environment.items()
    assert environment["PGDATABASE"] == "shop"


def test_a_password_is_not_in_the_representation_nor_in_messages() -> None:
    login = Login(password="secret-word")
    assert "secret-word" not in repr(login)
    assert connection.one_line("bad\n  password secret-word \n", "secret-word") == "bad password ********"


def test_every_login_argument_reaches_the_login() -> None:
    defaults = {name: spec["default"] for name, spec in LOGIN_ARGUMENTS.items()}
    assert login_from(defaults) == Login()
    assert len(LOGIN_ARGUMENTS) == len(dataclasses.fields(Login))


def test_a_missing_library_names_itself_and_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "psycopg2", None)
    with pytest.raises(PostgresError, match=r"psycopg2 is missing for .*python3-psycopg2") as caught:
        connection.connect(Login())
    assert sys.executable in str(caught.value)


@pytest.mark.parametrize(
    ("names", "quoted"), [(("public", "My table"), '"public"."My table"'), (('a"b',), '"a""b"'), (("x.y",), '"x.y"')]
)
def test_names_are_quoted(names: tuple[str, ...], quoted: str) -> None:
    assert connection.quote(*names) == quoted


def test_a_session_is_an_orphan_only_when_its_process_is_surely_gone() -> None:
    ours = f"{connection.APPLICATION}:{identity.application_suffix('reindex')}"
    assert len(ours.encode()) <= 63
    assert not identity.owner_is_dead(ours)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    prefix, _dot, started = ours.rpartition(".")
    machine = prefix.rpartition(".")[0]
    child.wait()
    assert identity.owner_is_dead(f"{machine}.{child.pid}.{started}")
    # The number was given to somebody else since.
    assert identity.owner_is_dead(f"{machine}.{os.getpid()}.1")
    for other in (
        f"{connection.APPLICATION}:reindex",
        f"{connection.APPLICATION}:reindex:00000000.{child.pid}.{started}",
        f"myapp:reindex:{machine.rpartition(':')[2]}.{child.pid}.{started}",
        f"{machine}.x.{started}",
        "",
    ):
        assert not identity.owner_is_dead(other), other


def test_query_texts_are_cut_and_secrets_are_not_shown() -> None:
    assert shown("SELECT\n  1") == "SELECT 1"
    assert len(shown("SELECT " + "x" * 1000)) == 300
    assert "geheim" not in shown("ALTER ROLE me PASSWORD 'geheim'")
    assert "geheim" not in shown("CREATE USER MAPPING FOR me SERVER s OPTIONS (user 'x', passwd 'geheim')")
    assert "pg_read_all_stats" in shown(None)


def _outcome(*items: Done | NotDone, check: bool = False) -> Outcome:
    outcome = Outcome("vacuum", check, planned=[item.plan for item in items], looked=5, of=5)
    outcome.done = [item for item in items if isinstance(item, Done)]
    outcome.not_done = [item for item in items if isinstance(item, NotDone)]
    return outcome


def test_what_was_not_done_is_never_told_as_done() -> None:
    done = Done(PLAN, "300 dead rows", "0 dead rows", 0.5)
    blocked = NotDone(PLAN, BLOCKED, "pid 7 holds it", "end it")
    late = NotDone(PLAN, BUDGET, "no time left")
    forbidden = NotDone(PLAN, FORBIDDEN, "role weak may not", "GRANT x TO weak")

    assert _outcome().result("tables").verdict == "ok"
    assert _outcome(done).result("tables").verdict == "ok"
    assert _outcome(done, blocked).result("tables").verdict == "findings"
    assert _outcome(blocked, late).result("tables").verdict == "skipped"
    assert _outcome(done, forbidden).result("tables").verdict == "failed"
    told = _outcome(blocked).result("tables")
    assert told.reason == "public.orders: pid 7 holds it"
    assert told.findings[0].action == "end it"
    assert told.figures["done"] == 0
    assert not _outcome(blocked).changed
    assert _outcome(done, blocked).changed


def test_check_mode_would_change_only_what_nothing_is_in_the_way_of() -> None:
    outcome = Outcome("vacuum", True, planned=[PLAN])
    assert outcome.changed
    assert "VACUUM would be done" in outcome.beside()["diff"]["after"]
    outcome.not_done.append(NotDone(PLAN, BLOCKED, "pid 7 holds it"))
    assert not outcome.changed
    assert outcome.result("tables").verdict == "findings"
