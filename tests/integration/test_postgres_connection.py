# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not work about a connection is named; one bad database does not hide the others."""

from __future__ import annotations

import typing as t

import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import connection
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.binaries import MissingBinary, find_binary

pytest_plugins = ("support.postgres_fixtures",)

_MODULES = ("postgres_vacuum", "postgres_reindex", "postgres_review_info")


@pytest.mark.parametrize("module", _MODULES)
def test_a_wrong_password_is_named_and_not_shown(postgres: PrivatePostgres, module: str) -> None:
    answer = run_module(module, {**postgres.login_arguments, "login_password": "not-the-one"})

    assert answer["failed"]
    assert answer["verdict"] == "failed"
    assert f'password authentication failed for user "{postgres.superuser}"' in answer["reason"]
    assert f"127.0.0.1:{postgres.port}" in answer["reason"]
    assert "not-the-one" not in str(answer)


@pytest.mark.parametrize("module", _MODULES)
def test_a_stopped_server_is_named(postgres: PrivatePostgres, module: str) -> None:
    postgres.stop()
    try:
        answer = run_module(module, postgres.login_arguments)
    finally:
        postgres.start()

    assert answer["failed"]
    assert answer["verdict"] == "failed"
    assert "Connection refused" in answer["reason"]
    assert answer["findings"] == []


@pytest.mark.parametrize("module", _MODULES)
def test_a_missing_database_fails_and_is_named(shop: PrivatePostgres, module: str) -> None:
    answer = run_module(module, {**shop.login_arguments, "databases": ["shpo", SHOP]})

    assert answer["failed"]
    assert answer["verdict"] in ("failed", "unknown")
    assert "shpo" in answer["reason"]
    if module == "postgres_vacuum":  # an empty database has no index, and a review of the wrong ones is not begun
        assert answer["coverage"]["looked"] > 0


@pytest.mark.parametrize("module", ["postgres_vacuum", "postgres_reindex"])
def test_databases_that_refuse_connections_are_left_out_and_told(shop: PrivatePostgres, module: str) -> None:
    shop.run_sql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    try:
        answer = run_module(module, shop.login_arguments)
    finally:
        shop.run_sql("DROP DATABASE closed")

    assert (answer["verdict"], answer["failed"]) == ("findings", False)
    assert [(finding["severity"], finding["subject"]) for finding in answer["findings"]] == [("info", "closed")]


def test_a_socket_and_a_service_lead_to_the_same_server(
    postgres: PrivatePostgres, tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_socket = connection.Login(unix_socket=postgres.socket_dir, port=postgres.port, user=postgres.superuser)
    service_file = tmp_path / "services.conf"
    service_file.write_text(f"[here]\nhost={postgres.socket_dir}\nport={postgres.port}\nuser={postgres.superuser}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service_file))
    by_service = connection.Login(service="here")

    ports = []
    for login in (by_socket, by_service):
        conn = connection.connect(login, application="test")
        ports.append(connection.query(conn, "SHOW port")[0][0])
        name, path = connection.query(
            conn, "SELECT current_setting('application_name'), current_setting('search_path')"
        )[0]
        conn.close()
        assert name == "steward.maintenance:test"
        assert path in ("", '""')

    assert ports == [str(postgres.port)] * 2


def test_client_programs_get_the_login_by_their_environment(postgres: PrivatePostgres) -> None:
    environment = postgres.login.environment()
    assert environment["PGPASSWORD"] == postgres.password
    psql = find_binary("psql", postgres.major, postgres.bin_dir)

    told = postgres.program(psql, "-Atc", "SELECT current_user", env=environment)

    assert told.strip() == postgres.superuser


def test_a_program_of_another_version_is_refused(postgres: PrivatePostgres) -> None:
    with pytest.raises(MissingBinary, match=rf"version {postgres.major}\)"):
        find_binary("psql", postgres.major - 1, postgres.bin_dir)


def test_list_databases_names_what_is_missing(shop: PrivatePostgres) -> None:
    conn = connection.connect(shop.login)
    try:
        assert connection.list_databases(conn) == ["postgres", SHOP]
        assert connection.list_databases(conn, [SHOP]) == [SHOP]
        with pytest.raises(connection.PostgresError, match=r"'shpo' does not exist; there are: .*shop"):
            connection.list_databases(conn, ["shpo"])
    finally:
        conn.close()


def test_a_standby_is_skipped_with_the_reason_and_can_be_reviewed(shop: PrivatePostgres) -> None:
    standby = shop.make_standby()
    try:
        for module in ("postgres_vacuum", "postgres_reindex"):
            answer = run_module(module, standby.login_arguments)
            assert (answer["verdict"], answer["changed"], answer["failed"]) == ("skipped", False, False)
            assert "standby" in answer["reason"]
        review = run_module("postgres_review_info", standby.login_arguments)
    finally:
        standby.close()

    assert review["verdict"] == "findings"
    assert review["facts"]["replay_lag_seconds"] == 0
