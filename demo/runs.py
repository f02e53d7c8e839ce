# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the main job as a user would type it, and watch the application meanwhile."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import subprocess
import sys
import threading
import time
import typing as t

from .environment import Demonstration, probe

PLAYBOOK = "steward.maintenance.run_maintenance"
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s")


@dataclasses.dataclass(frozen=True)
class HostRecap:
    """One line of Ansible's own recap."""

    changed: int
    unreachable: int
    failed: int


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the main job."""

    status: int
    seconds: float
    log: pathlib.Path
    hosts: dict[str, HostRecap]

    @property
    def changed(self) -> list[str]:
        return [f"{host} ({recap.changed})" for host, recap in self.hosts.items() if recap.changed]

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def command(*arguments: str) -> list[str]:
    """The main job, with the ansible-playbook that belongs to this Python."""
    return [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), PLAYBOOK, *arguments]


def run(
    demonstration: Demonstration, name: str, arguments: t.Sequence[str] = (), see: t.Callable[[str], None] | None = None
) -> Run:
    """Run it to its end, everything it says going to a log file, each line also to `see`."""
    log = demonstration.layout.logs / f"{name}.log"
    started = time.monotonic()
    with (
        log.open("w", encoding="utf-8") as stream,
        subprocess.Popen(
            command(*arguments),
            env=demonstration.environment() | {"ANSIBLE_NOCOLOR": "1"},
            cwd=demonstration.layout.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            stream.write(line)
            if see:
                see(line.rstrip("\n"))
        status = process.wait()
    return Run(status, time.monotonic() - started, log, recap(log.read_text(encoding="utf-8")))


def recap(output: str) -> dict[str, HostRecap]:
    """The hosts of PLAY RECAP."""
    found = (_RECAP.match(line) for line in output.rpartition("PLAY RECAP")[2].splitlines())
    return {match[1]: HostRecap(*(int(number) for number in match.groups()[1:])) for match in found if match}


class Watch:
    """Asks the application twice a second how its database is, as a user's monitoring would."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.asked = 0
        self.slowest = 0.0
        self.problems: list[str] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(0.5):
            started = time.monotonic()
            status, body = probe(f"{self._url}/health/db")
            self.asked += 1
            self.slowest = max(self.slowest, time.monotonic() - started)
            if status != 200:
                self.problems.append(f"{status} {body}".strip())
