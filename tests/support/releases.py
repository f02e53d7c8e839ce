# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository whose commits are released, and hosts on which that is done, each with a server of its own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t
import urllib.request

from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._releases import installing, steps
from ansible_collections.steward.maintenance.plugins.module_utils._releases.arguments import (
    INSTALL_ARGUMENTS,
    SWITCH_ARGUMENTS,
    install_settings_from,
    switch_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._releases.switching import switch

from .dependencies import clean_environment_of, write_lock, write_requirements
from .postgres import free_port
from .registries import Registries
from .updates import locked

APPLICATION = pathlib.Path(__file__).with_name("released_application.py")
#: Packages without an index: what a command copies, by a lock of its own.
COPIED: list[dict[str, t.Any]] = [
    {"kind": "command", "lock": "lock.json", "modules": True, "command": ["cp", "-r", "vendor", "node_modules"]}
]
PARTS: list[dict[str, t.Any]] = [{"kind": "pip"}, {"kind": "npm"}]
TESTS = "import jinja2, json, sys\nprint('jinja2', jinja2.version)\nsys.exit(json.load(open('tests.json')))\n"


class Project:
    """Commits of an application, with parts of pip and npm where there are registries, else with a copied package."""

    def __init__(self, directory: pathlib.Path, registries: Registries | None = None) -> None:
        self.path = directory / "project"
        self.registries = registries
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.name", "Jane Doe")
        self.git("config", "user.email", "jane@example.org")

    def git(self, *words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    def commit(self, jinja2: str = "3.1.0", qs: str = "6.0.0", tests: int = 0, **more: t.Any) -> str:
        """A commit with packages in these versions; its whole id. `more`: broken, or the hosts it is broken_on."""
        shutil.copyfile(APPLICATION, self.path / "app.py")
        (self.path / "run_tests.py").write_text(TESTS)
        (self.path / "tests.json").write_text(str(tests))
        for name in ("broken", "broken_on"):
            (self.path / name).unlink(missing_ok=True)
            if more.get(name):
                (self.path / name).write_text(str(more[name]))
        if self.registries:
            markupsafe = "2.0" if jinja2 == "3.1.0" else "2.1"
            pinned = {"jinja2": jinja2, "markupsafe": markupsafe}
            write_requirements(self.path, self.registries.catalogue, pinned, self.registries)
            packages = {f"node_modules/{name}": locked(self.registries, name, version)
                        for name, version in {"express": "4.0.0", "qs": qs}.items()}  # fmt: skip
            write_lock(self.path, {"express": "^4.0.0"}, packages, self.registries)
        else:
            (self.path / "lock.json").write_text(json.dumps({"qs": qs}))
            (self.path / "vendor" / "qs").mkdir(parents=True, exist_ok=True)
            (self.path / "vendor" / "qs" / "package.json").write_text(json.dumps({"name": "qs", "version": qs}))
        (self.path / "number").write_text(f"{self.git('rev-list', '--all', '--count')}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"jinja2 {jinja2}, qs {qs}")
        return self.git("rev-parse", "HEAD")


class Host:
    """A directory for releases and a server on a port; use it as a context manager."""

    def __init__(self, directory: pathlib.Path, project: Project, name: str = "shop") -> None:
        self.directory = directory / name
        self.state = directory / f"{name}-state"
        self.project = project
        self.port = free_port()
        self.directory.mkdir(parents=True)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_exc: object) -> None:
        subprocess.run([sys.executable, str(APPLICATION), "stop", str(self.directory), "--hard"], check=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def restart_command(self) -> list[str]:
        return [sys.executable, str(APPLICATION), "restart", str(self.directory), str(self.port)]

    def install_arguments(self, commit: str, **more: t.Any) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in INSTALL_ARGUMENTS.items()}
        given = {
            "application": "shop",
            "directory": str(self.directory),
            "repository": str(self.project.path),
            "commit": commit,
            "parts": PARTS if self.project.registries else COPIED,
            "require_tests": False,
            "state_dir": str(self.state),
        }
        return {**defaults, **given, **more}

    def install(self, commit: str, check: bool = False, **more: t.Any) -> tuple[Result, installing.Outcome]:
        """As the module does it, without the second that Ansible takes to start it."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(clean_environment_of(before))
        umask = os.umask(0o022)
        try:
            outcome = installing.Outcome()
            settings = install_settings_from(self.install_arguments(commit, **more))
            return installing.install(settings, check, outcome), outcome
        finally:
            os.umask(umask)
            os.environ.clear()
            os.environ.update(before)

    def switch_arguments(self, release: str, **more: t.Any) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in SWITCH_ARGUMENTS.items()}
        given = {
            "application": "shop",
            "directory": str(self.directory),
            "release": release[:16],
            "restart_commands": [self.restart_command],
            "pid_files": [str(self.directory / "pid")],
            "health_url": f"{self.url}/health",
            "version_url": f"{self.url}/version",
            "health_timeout": "3s",
            "settle": "",
            "restart_timeout": "10s",
            "state_dir": str(self.state),
        }
        return {**defaults, **given, **more}

    def switch(self, release: str = "", check: bool = False, **more: t.Any) -> tuple[Result, steps.Outcome]:
        outcome = steps.Outcome()
        return switch(switch_settings_from(self.switch_arguments(release, **more)), check, outcome), outcome

    def asked(self, path: str) -> str:
        """What the server answers."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:  # noqa: S310 - of our own server
            return str(answer.read().decode())

    def restarts(self) -> list[str]:
        path = self.directory / "restarts"
        return path.read_text().split() if path.exists() else []

    def entries(self) -> list[str]:
        """What is there of releases, and where the links lead to."""
        found = sorted(os.listdir(self.directory / "releases")) if (self.directory / "releases").exists() else []
        links = [name for name in ("current", "previous") if (self.directory / name).is_symlink()]
        return found + [f"{name} -> {os.readlink(self.directory / name)}" for name in links]
