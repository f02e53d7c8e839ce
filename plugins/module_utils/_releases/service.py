# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs the application: units of systemd, or commands with files that name its processes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

That a restart ended well proves nothing. Each start has an identity: of a unit, what systemd calls its invocation; of a
process, its number and when it was started. A restart is one after which no identity is the old one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
import typing as t

from .._core.application import run_command
from .._core.durations import format_duration
from .place import ReleaseError
from .programs import must, run

Argv = t.Tuple[str, ...]
_PROPERTIES = ("LoadState", "ActiveState", "MainPID", "InvocationID", "NRestarts")
_POLL = 0.1
_LOOK = 20


@dataclasses.dataclass(frozen=True)
class Service:
    """Units or commands; `pid_files` name the processes of what the commands start."""

    units: tuple[str, ...]
    commands: tuple[Argv, ...]
    pid_files: tuple[str, ...]
    timeout: float

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.units, *self.pid_files)

    def starts(self) -> dict[str, str]:
        """The identity of each that runs, by its name; of what does not run there is none.

        :raises ReleaseError: when it cannot be seen.
        """
        found = {name: self._of_unit(name) for name in self.units}
        found.update({path: _of_process(path) for path in self.pid_files})
        return {name: identity for name, identity in found.items() if identity}

    def restart(self, before: t.Mapping[str, str]) -> dict[str, str]:
        """Restart all, and wait until none is what it was; the new identities.

        :raises ReleaseError: naming what was not started anew, and why.
        """
        if self.units:
            must(
                ["systemctl", "restart", "--", *self.units], "/", self.timeout, f"{', '.join(self.units)} not restarted"
            )
        for argv in self.commands:
            # What it starts lives on, so it is not run like the programs that make a release.
            status, said = run_command(argv, self.timeout)
            if status:
                raise ReleaseError(f"{argv[0]} does not restart the application: status {status}: {said or 'no word'}")
        deadline = time.monotonic() + self.timeout
        while True:
            now = self.starts()
            old = [name for name in self.names if now.get(name, "") in ("", before.get(name, ""))]
            if not old:
                return now
            if time.monotonic() >= deadline:
                what = "does not run" if old[0] not in now else "is still the process of before"
                raise ReleaseError(f"{old[0]} {what}, {format_duration(self.timeout)} after the restart")
            time.sleep(_POLL)

    def stop_others(self, before: t.Mapping[str, str]) -> None:
        """Stop what did not run before."""
        others = [name for name in self.units if name not in before]
        if others:
            must(["systemctl", "stop", "--", *others], "/", self.timeout, f"{', '.join(others)} not stopped")
        for path in self.pid_files:
            start = _of_process(path)
            if start and path not in before:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(start.partition("/")[0]), signal.SIGTERM)

    @staticmethod
    def _of_unit(name: str) -> str:
        words = ["systemctl", "show", *(f"--property={key}" for key in _PROPERTIES), "--", name]
        ran = run(words, "/", _LOOK)
        told = dict(line.split("=", 1) for line in ran.text.splitlines() if "=" in line)
        if ran.status or told.get("LoadState") not in ("loaded", "masked"):
            state = told.get("LoadState") or ran.told()
            raise ReleaseError(f"the systemd unit {name!r} is {state}: write its name as systemctl lists it")
        if told.get("ActiveState") not in ("active", "reloading"):
            return ""
        # A unit that died and was started again by systemd has another invocation, and one more restart.
        return f"{told.get('InvocationID') or told.get('MainPID')}/{told.get('NRestarts', '0')}"


def _of_process(path: str) -> str:
    """Number and start of the process that a file names, or nothing when it does not run."""
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read().split()[0])
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (OSError, ValueError, IndexError):
        return ""
    # The state is the third field of proc(5), the start the twenty-second.
    return "" if fields[0] in "ZX" else f"{pid}/{fields[19]}"


def users_of(directory: str) -> list[str]:
    """Processes that stand in a directory or below it, as texts for a person. One that cannot be seen is not told."""
    found = []
    for name in sorted(os.listdir("/proc")):
        if name.isdigit():
            try:
                where = os.readlink(f"/proc/{name}/cwd")
                with open(f"/proc/{name}/comm", encoding="utf-8", errors="replace") as file:
                    command = file.read().strip()
            except OSError:
                continue
            if where == directory or where.startswith(f"{directory}/"):
                found.append(f"{command} ({name})")
    return found
