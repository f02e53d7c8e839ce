# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore in a process of its own that is killed with SIGKILL at a chosen line of its journal.

Real are the server, the files, the application and the kill. A process is killed before or after a line is on the disk.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import traceback
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core import journal as journals
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import restore as restoring
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import restore_rollback as rolling_back
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_arguments import surroundings_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_choice import Wanted
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_opening import Opening

from .restores import Restores

#: Event and step of a line of the journal; the beginning and the end of a change have no step.
Line = tuple[str, str]

_DEFAULTS = {
    "systemd_units": [], "compose_directory": "", "compose_services": [], "compose_command": ["docker", "compose"],
    "start_timeout": "10s", "health_command": [], "health_status": 200,
}  # fmt: skip


def run(restores: Restores) -> Result:
    settings = restoring.Settings(
        wanted=Wanted(str(restores.backups.path), "shop"),
        opening=Opening(jobs=1),
        bin_dir=restores.server.bin_dir,
        state_dir=str(restores.state),
    )
    around = surroundings_from({**_DEFAULTS, **restores.application.arguments})
    return restoring.restore(restores.server.login, settings, around, False, restoring.Outcome())


def roll_back(restores: Restores) -> Result:
    settings = rolling_back.Settings("shop", state_dir=str(restores.state))
    around = surroundings_from({**_DEFAULTS, **restores.application.arguments})
    return rolling_back.roll_back(restores.server.login, settings, around, False, restoring.Outcome())


@dataclasses.dataclass
class Killer:
    """Kills this process when a line comes that `dies_at` wants, before or after it is written."""

    dies_at: t.Callable[[Line], bool]
    before: bool

    def install(self) -> None:
        append, begin = journals.Journal._append, journals.Journal._begin

        def append_and_die(journal: t.Any, event: dict[str, t.Any]) -> None:
            line = (event["event"], event.get("step", event.get("how", "")))
            self._around(line, lambda: append(journal, event))

        def begin_and_die(journal: t.Any, steps: t.Any, references: t.Any) -> None:
            self._around(("begun", references["phase"]), lambda: begin(journal, steps, references))

        journals.Journal._append = append_and_die  # type: ignore[method-assign]
        journals.Journal._begin = begin_and_die  # type: ignore[method-assign]

    def _around(self, line: Line, write: t.Callable[[], None]) -> None:
        dies = self.dies_at(line)
        if dies and self.before:
            os.kill(os.getpid(), signal.SIGKILL)
        write()
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(restores: Restores, dies_at: t.Callable[[Line], bool], before: bool, what: t.Any = run) -> bool:
    """Run in a process of its own; False when it came to its end before a line at which it was to die."""
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must not go on with the tests of its parent.
        try:
            Killer(dies_at, before).install()
            what(restores)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - reported by its exit status
            traceback.print_exc()
            os._exit(9)
    _pid, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


class FirstTime:
    """Wants to die at each line that was not written in an earlier process: once at every step of the way."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def follow(self, restores: Restores, before: bool, what: t.Any, check: t.Callable[[], None]) -> int:
        """Run, be killed at the next new line, look at production, run again, to the end; how often it was killed."""
        kills = 0
        path = restores.place / f"seen-{before}"
        path.touch()

        def is_new(line: Line) -> bool:
            told = " ".join(line)
            known = path.read_text().splitlines()
            if told in known:
                return False
            with path.open("a") as file:  # the parent and the next process have to know
                file.write(f"{told}\n")
            return True

        while killed(restores, is_new, before, what):
            kills += 1
            check()
            assert kills < 100
        self.seen = path.read_text().splitlines()
        return kills
