# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system with packages of all kinds, the archives it is upgraded from, and the modules run on it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import time
import typing as t
from unittest import mock

from ansible_collections.steward.maintenance.plugins.module_utils._patching import (
    arguments,
    looking,
    preflight,
    programs,
    upgrading,
)

from .apt import MAIN, SECURITY, Archive, Package, Signer, System, Web
from .modules import run_module, start_module

#: What is installed. `lost` and those whose name tells it are in no archive any more in this version.
INSTALLED = (
    Package("alpha", "1.0"),
    Package("beta", "1.0", conffiles={"/etc/beta.conf": "colour=red\n"}),
    Package("helper", "1.0"),
    Package("needs-helper", "1.0", depends="helper"),
    Package("plain", "1.0"),
    Package("held", "1.0"),
    Package("postgresql-15", "15.1"),
)
FIX = "1.0+deb12u1"
#: Scripts of a package that cannot be configured.
BROKEN = {"postinst": "echo the cause of it all; exit 3"}


class _System(t.Protocol):
    """A system of a test's own, as the modules find it."""

    root: pathlib.Path
    environment: dict[str, str]


class Host:
    """The modules run on a system of a test's own."""

    system: _System

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        www = directory / "www"
        www.mkdir()
        self.web = Web(www)
        self.state = directory / "state"
        self.children: list[subprocess.Popen[bytes]] = []

    def arguments(self, **given: t.Any) -> dict[str, t.Any]:
        return {"state_dir": str(self.state), **given}

    def look(self, *checks: str, **given: t.Any) -> dict[str, t.Any]:
        """What the module says, without a process of its own: there are many of these."""
        outcome = looking.Outcome()
        with self._here():
            settings = arguments.looking_settings_from(self._filled(arguments.INFO_ARGUMENTS, checks=checks, **given))
            result = looking.look(settings, outcome)
        return {**result.to_dict(), **outcome.beside(), "failed": result.is_bad}

    def patch(self, check: bool = False, **given: t.Any) -> dict[str, t.Any]:
        outcome = upgrading.Outcome()
        with self._here():
            settings = arguments.patch_settings_from(self._filled(arguments.PATCH_ARGUMENTS, **given))
            result = upgrading.patch(settings, check, outcome)
        more = {"failed": result.is_bad, "changed": outcome.changed, "diff": outcome.diff}
        return {**result.to_dict(), **outcome.beside(), **more}

    def module(self, name: str, check: bool = False, **given: t.Any) -> dict[str, t.Any]:
        return run_module(name, self.arguments(**given), check=check, env=self.system.environment)

    @contextlib.contextmanager
    def _here(self) -> t.Iterator[None]:
        """With this system's package manager. The clock of the machine is not what is tested."""
        clock = mock.patch.object(preflight, "clock_is_synchronised", return_value=True)
        with mock.patch.dict(os.environ, self.system.environment), clock:
            yield

    def _filled(self, known: dict[str, dict[str, t.Any]], **given: t.Any) -> dict[str, t.Any]:
        defaults = {name: argument.get("default") for name, argument in known.items()}
        return {**defaults, **self.arguments(), **given}

    def start(self, **given: t.Any) -> subprocess.Popen[bytes]:
        process = start_module("system_patch", self.arguments(**given), env=self.system.environment)
        self.children.append(process)
        return process

    def close(self) -> None:
        for process in self.children:
            process.kill()
            process.communicate()
        self.web.close()


class Site(Host):
    """One host with apt, the archive of its release and that of its security fixes."""

    system: System

    def __init__(self, directory: pathlib.Path, signer: Signer) -> None:
        super().__init__(directory)
        # apt's own account for downloads has to come through here.
        directory.chmod(0o755)
        www = directory / "www"
        self.signer = signer
        self.main = Archive(www / "debian", signer, *MAIN)
        self.security = Archive(www / "security", signer, *SECURITY, suite="oldstable-security")
        self.system = System(directory / "root", signer)
        self.system.source("main", f"{self.web.url}/debian", MAIN[1])
        self.system.source("security", f"{self.web.url}/security", SECURITY[1])

    def populate(self, *packages: Package) -> None:
        """Installed packages, whose versions their archive has still."""
        chosen = packages or INSTALLED
        self.system.install(*chosen)
        self.main.publish(*chosen)

    def arguments(self, **given: t.Any) -> dict[str, t.Any]:
        return super().arguments(**{"codename": "bookworm", **given})

    @contextlib.contextmanager
    def apt(self) -> t.Iterator[programs.Apt]:
        with self._here():
            yield programs.Apt()


def ids(answer: dict[str, t.Any]) -> list[str]:
    return [finding["id"] for finding in answer["findings"]]


def states(answer: dict[str, t.Any]) -> dict[str, str]:
    return {package["name"]: package["state"] for package in answer["packages"]}


def wait_for(condition: t.Callable[[], bool], what: str, patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def holding(lock: pathlib.Path) -> t.Iterator[int]:
    """The process that holds a lock as apt does. One of our own would be ours to take again."""
    code = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); print(1, flush=True)"
    argv = [sys.executable, "-c", f"{code}; sys.stdin.read()", str(lock)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        process.communicate()


def descendants(pid: int) -> list[int]:
    """The processes below one, the nearest first."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(name))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(0), [])
        found += children
        queue += children
    return found
