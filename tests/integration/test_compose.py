# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of a real compose project: stopped for a restore and started again, and given a new password."""

from __future__ import annotations

import contextlib
import json
import pathlib
import sys
import typing as t

import pytest
from support import shop_application
from support.compose import ComposeProject
from support.modules import run_module
from support.postgres import PrivatePostgres, wait_for
from support.restores import LIVE_ROWS, SAVED_ROWS, Restores
from support.secrets import ALTERNATING, DATABASE, OWNER, TWIN, USER, Shop, files_store

from ansible_collections.steward.maintenance.plugins.module_utils._core.application import (
    Application,
    ApplicationError,
    Compose,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_files import Files

pytest_plugins = ("support.restores_fixtures", "support.postgres_fixtures")
pytestmark = pytest.mark.compose

#: The first process of a container, which ends when it is told to and hands that on.
_FIRST = ["/usr/bin/catatonit"]
_IDLE = {"command": [*_FIRST, "-P"]}


# -- stopped and started ---------------------------------------------------------------------------------------


def test_services_are_stopped_for_a_restore_and_started_again(restores: Restores) -> None:
    application = restores.application
    directory = restores.place / "project"
    directory.mkdir()
    serve = [*_FIRST, "--", sys.executable, shop_application.__file__, str(application.directory), "serve"]
    # More services than are named, and one of the named ones that does nothing.
    names = ["mail", "queue", "search", "worker"]
    with contextlib.ExitStack() as stack:
        # Its number in the container is that of another process here.
        stack.callback((application.directory / "pid").unlink, missing_ok=True)
        mounts = [application.directory, restores.server.socket_dir]
        project = stack.enter_context(ComposeProject(directory, mounts))
        project.write({"api": {"command": serve}, **dict.fromkeys(names, _IDLE)})
        project.tell("up", "--detach")
        first = _processes(project)
        assert len(first) == 5
        given = {
            "compose_directory": str(directory),
            "compose_services": ["api", "worker"],
            "compose_command": project.command,
            "health_url": application.arguments["health_url"],
            "health_timeout": "30s",
        }
        misspelt = restores.restore(**{**given, "compose_services": ["apl"]})
        assert misspelt["verdict"] == "failed", misspelt
        assert "compose_services: unknown service 'apl'" in misspelt["reason"]
        restores.assert_untouched()
        assert _processes(project) == first

        answer = restores.restore(**given)
        assert answer["verdict"] == "ok", answer
        assert restores.rows() == SAVED_ROWS
        assert 0 < answer["figures"]["swap_seconds"] < answer["figures"]["stopped_seconds"]
        second = _processes(project)
        assert _differing(first, second) == {"api", "worker"}

        # The way back stops and starts them as well.
        back = restores.roll_back(**given)
        assert not back["failed"], back
        assert restores.rows() == LIVE_ROWS
        assert _differing(second, _processes(project)) == {"api", "worker"}
    assert not project.running()


def test_all_services_of_a_project(tmp_path: pathlib.Path) -> None:
    with ComposeProject(tmp_path) as project:
        project.write({"one": _IDLE, "two": _IDLE}, version="3")
        project.tell("up", "--detach")
        application = Application([Compose(str(tmp_path), (), tuple(project.command))], 30, 30)
        assert application.is_running()
        application.stop()
        assert application.is_stopped()
        assert not project.running()
        application.start()
        assert len(project.running()) == 2
        project.file.write_text("services: [")
        with pytest.raises(ApplicationError, match="ps ended with status"):
            application.is_stopped()


def _processes(project: ComposeProject) -> dict[str, str]:
    """By service, its first process with the moment of its start."""
    found = {}
    for container in project.running():
        (pid,) = project.podman("inspect", "--format", "{{.State.Pid}}", container).split()
        (service,) = project.podman(
            "inspect", "--format", '{{index .Config.Labels "com.docker.compose.service"}}', container
        ).split()
        found[service] = f"{pid} {pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"
    return found


def _differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


# -- given a new password --------------------------------------------------------------------------------------

_WORKER = """
import os, signal, sys
import psycopg2

try:
    session = psycopg2.connect(
        host="127.0.0.1", port=sys.argv[1], dbname=sys.argv[2], user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"], application_name="worker",
    )
except psycopg2.Error as exc:
    print(exc)
signal.pause()
"""


def test_a_service_takes_up_its_env_file_only_when_it_is_made_anew(
    postgres: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    shop = Shop(postgres, tmp_path, ALTERNATING, files_store(tmp_path))
    shop.make_roles()
    shop.fill_store()
    old = shop.current()
    directory = tmp_path / "project"
    directory.mkdir()
    env = directory / "worker.env"
    env.write_text(f"DB_USER={old.username}\nDB_PASSWORD={old.password}\n")
    program = directory / "worker.py"
    program.write_text(_WORKER)
    words = [*_FIRST, "--", sys.executable, str(program), str(postgres.port), DATABASE]
    with ComposeProject(directory, [directory]) as project:
        name = f"{project.name}-the-worker"
        project.write(
            {"worker": {"command": words, "env_file": [str(env)], "container_name": name}, "other": dict(_IDLE)}
        )
        project.tell("up", "--detach")
        wait_for(lambda: _users(postgres) == [USER], "the worker's login")
        first = project.running()

        def rotate(*telling: str, **more: t.Any) -> dict[str, t.Any]:
            file = {"path": str(env), "kind": "env", "values": {"DB_USER": "{username}", "DB_PASSWORD": "{password}"}}
            consumer = {
                "name": "worker",
                "files": [file],
                "commands": [[*project.command, "--file", str(project.file), *telling, "worker"]],
                "processes": project.processes(name),
                "prove_sessions": True,
                "application_name": "worker",
                "timeout": "15s",
            }
            answer = run_module("secret_rotate", _arguments(shop, consumers=[consumer], **more))
            assert shop.current().password not in json.dumps(answer)
            return answer

        # A restart makes another process of the same container, with what that was made with.
        stale = rotate("restart", force=True)
        assert stale["verdict"] == "failed", stale
        assert "was not started with the new DB_" in stale["reason"]
        assert (shop.current(), shop.logs_in(old)) == (old, True)
        assert env.read_text() == f"DB_USER={old.username}\nDB_PASSWORD={old.password}\n"
        wait_for(lambda: _users(postgres) == [USER], "the worker's login with the old one")
        assert project.running() == first

        done = rotate("up", "--detach", "--force-recreate", force=True)
        assert done["verdict"] == "ok", done
        assert _users(postgres) == [TWIN]
        assert not shop.logs_in(old)
        second = project.running()
        assert {one for one in first if first[one] != second.get(one)} == {name}, "another service was made anew"
        again = rotate("up", "--detach", "--force-recreate")
        assert (again["verdict"], again["changed"]) == ("ok", False), again
        assert project.running() == second


def _users(server: PrivatePostgres) -> list[str]:
    found = server.run_sql("SELECT DISTINCT usename::text FROM pg_stat_activity WHERE application_name = 'worker'")
    return [row[0] for row in found]


def _arguments(shop: Shop, **more: t.Any) -> dict[str, t.Any]:
    store = t.cast("Files", shop.store)
    return {
        **shop.server.login_arguments,
        "name": "shop",
        "users": [USER, TWIN],
        "owner": OWNER,
        "databases": [DATABASE],
        "observe_for": "0s",
        "state_dir": str(shop.directory / "state"),
        "store": {
            "kind": "files",
            "directory": store.directory,
            "recipients": list(store.recipients),
            "identity_file": store.identity_file,
        },
        **more,
    }
