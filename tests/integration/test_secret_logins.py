# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a password opens a database is seen, or it is said that it cannot be told: never one for the other."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import subprocess
import typing as t

import psycopg2
import pytest
from support.postgres import PrivatePostgres, free_port

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_login import (
    LetsAnyoneIn,
    Place,
    opens,
    refuses_wrong,
)

pytest_plugins = ("support.postgres_fixtures",)

_METHODS = {"scram": "scram-sha-256", "hashed": "md5", "clear": "password"}


@pytest.fixture(scope="module")
def server(postgres: PrivatePostgres) -> PrivatePostgres:
    """One role for each way to ask for a password, and some that are kept out for other reasons."""
    run = postgres.run_sql
    for role in (*_METHODS, "rejected", "trusted", "limited", "closed", "unhashed"):
        run(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    run("ALTER ROLE limited CONNECTION LIMIT 1; ALTER ROLE closed NOLOGIN; ALTER ROLE unhashed PASSWORD NULL")
    run("SET password_encryption = 'md5'; ALTER ROLE hashed PASSWORD 'right'")
    lines = [f"{kind} all {role} {address} {method}" for role, method in {**_METHODS, "rejected": "reject"}.items()
             for kind, address in (("host", "127.0.0.1/32"), ("local", ""))]  # fmt: skip
    lines += ["host all trusted 127.0.0.1/32 trust"]
    hba = postgres.data / "pg_hba.conf"
    hba.write_text("\n".join(lines) + "\n" + hba.read_text())
    run("SELECT pg_reload_conf()")
    return postgres


def place(server: PrivatePostgres, **other: t.Any) -> Place:
    return Place(dataclasses.replace(server.login, connect_timeout=3, **other), "postgres")


@pytest.mark.parametrize("where", ["tcp", "socket"])
@pytest.mark.parametrize("role", [*_METHODS])
def test_a_right_and_a_wrong_password_are_told_apart(server: PrivatePostgres, role: str, where: str) -> None:
    at = place(server) if where == "tcp" else place(server, host="", unix_socket=server.socket_dir)
    assert opens(at, role, "right")
    assert not opens(at, role, "wrong")
    assert not opens(at, role, "w\u00fcrong")
    refuses_wrong(at, role)


@pytest.mark.parametrize("role", ["nobody-of-this-name", "unhashed"])
def test_a_role_that_is_not_there_or_has_no_password_is_not_opened(server: PrivatePostgres, role: str) -> None:
    assert not opens(place(server), role, "right")


@pytest.mark.parametrize(("role", "why"), [("rejected", "pg_hba.conf"), ("closed", "not permitted to log in")])
def test_another_refusal_says_nothing_of_the_password(server: PrivatePostgres, role: str, why: str) -> None:
    with pytest.raises(PostgresError, match=why):
        opens(place(server), role, "right")


def test_no_connection_left_says_nothing_of_the_password(server: PrivatePostgres) -> None:
    login = {"host": "127.0.0.1", "port": server.port, "user": "limited", "dbname": "postgres", "password": "right"}
    with contextlib.closing(psycopg2.connect(**login)), pytest.raises(PostgresError, match="too many connections"):
        opens(place(server), "limited", "right")


def test_no_server_says_nothing_of_the_password(server: PrivatePostgres) -> None:
    with pytest.raises(PostgresError, match="cannot be asked why"):
        opens(place(server, port=free_port()), "scram", "right")
    with pytest.raises(PostgresError, match="cannot"):
        opens(Place(server.login, "no-such-database"), "scram", "right")


def test_what_needs_no_password_proves_nothing(server: PrivatePostgres) -> None:
    with pytest.raises(LetsAnyoneIn, match="with any password"):
        refuses_wrong(place(server), "trusted")


def test_over_tls_it_is_told_as_well(tmp_path: pathlib.Path) -> None:
    with PrivatePostgres(settings={"ssl": "off"}) as server:
        for name in ("server.key", "server.crt"):
            assert not (server.data / name).exists()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(tmp_path / "server.key"), "-out", str(tmp_path / "server.crt")],
            check=True, capture_output=True,
        )  # fmt: skip
        for name in ("server.key", "server.crt"):
            shutil.copy(tmp_path / name, server.data / name)
            (server.data / name).chmod(0o600)
            if server.account:
                shutil.chown(server.data / name, server.account)
        hba = server.data / "pg_hba.conf"
        hba.write_text("hostssl all app 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
        server.configure(ssl="on")
        server.restart()
        server.run_sql("CREATE ROLE app LOGIN PASSWORD 'right'")
        for mode in ("prefer", "require", "verify-ca", "verify-full"):
            at = place(server, ssl_mode=mode, ca_cert=str(tmp_path / "server.crt"))
            assert opens(at, "app", "right"), mode
            assert not opens(at, "app", "wrong"), mode
        with pytest.raises(PostgresError, match="cannot be asked why"):
            opens(place(server, ssl_mode="verify-full", ca_cert=str(tmp_path / "missing.crt")), "app", "wrong")
