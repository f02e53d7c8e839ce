# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our module in a playbook, and the playbook that a user would write instead: a loop over all tables."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import typing as t

import conftest
from sides import run
from support.postgres import SHOP, PrivatePostgres

ROOT = conftest.ROOT

_OURS = """
- hosts: localhost
  gather_facts: false
  tasks:
    - steward.maintenance.postgres_vacuum:
        login_unix_socket: "{{ socket }}"
        login_port: "{{ socket_port }}"
        login_user: "{{ user }}"
        databases: ["{{ database }}"]
        jobs: "{{ jobs }}"
"""

_LOOP = """
- hosts: localhost
  gather_facts: false
  tasks:
    - community.postgresql.postgresql_query:
        login_unix_socket: "{{ socket }}"
        login_port: "{{ socket_port }}"
        login_user: "{{ user }}"
        login_db: "{{ database }}"
        query: "VACUUM ANALYZE {{ item }}"
        autocommit: true
      loop: "{{ tables }}"
"""


class Playbooks:
    """Both run by the same ansible-playbook, that of the environment `bench`, on localhost, with its Python."""

    def __init__(self, scratch: pathlib.Path, jobs: int) -> None:
        self.scratch = scratch
        self.jobs = jobs
        self.venv = _environment()

    def ours(self, server: PrivatePostgres) -> float:
        return self._play(server, "ours", _OURS, {"jobs": self.jobs})

    def loop(self, server: PrivatePostgres, tables: t.Sequence[str]) -> float:
        return self._play(server, "loop", _LOOP, {"tables": list(tables)})

    def _play(self, server: PrivatePostgres, name: str, playbook: str, variables: t.Mapping[str, t.Any]) -> float:
        place = {"socket": server.socket_dir, "socket_port": server.port, "user": server.superuser, "database": SHOP}
        interpreter = {"ansible_connection": "local", "ansible_python_interpreter": str(self.venv / "bin" / "python")}
        path, given = self.scratch / f"{name}.yml", self.scratch / f"{name}.json"
        path.write_text(playbook, encoding="utf-8")
        given.write_text(json.dumps({**place, **interpreter, **variables}), encoding="utf-8")
        # From an image, the playbook is played by the host that started it: see tests/bed/run-benchmark.
        root = os.environ.get("STEWARD_BENCH_ROOT")
        outside = ["chroot", root, "env", f"--chdir={self.scratch}"] if root else []
        play = [str(self.venv / "bin" / "ansible-playbook"), "-i", "localhost,", "-e", f"@{given}", str(path)]
        environment = {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(conftest.COLLECTIONS),
            "ANSIBLE_HOME": str(self.scratch / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": os.pathsep.join([str(self.venv / "bin"), os.environ["PATH"]]),
        }
        return run([*outside, *play], environment, self.scratch)


def _environment() -> pathlib.Path:
    """The environment of requirements/bench.txt, which has the `ansible` package and so community.postgresql."""
    made = os.environ.get("STEWARD_BENCH_VENV")
    if made:
        return pathlib.Path(made)
    sys.path.insert(0, str(ROOT))
    from tools.layers import venvs

    return venvs.ensure("bench")
