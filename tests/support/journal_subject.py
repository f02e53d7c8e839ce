# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A subject for the journal: a file that is replaced in four steps, in a process that can be killed at any point.

"stage" writes the new file beside the old one, "check" notes that it was looked at, "swap" puts it in its place (the
point of no return), "tidy" removes the old one. All is real: files, fsync, SIGKILL.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import traceback

from ansible_collections.steward.maintenance.plugins.module_utils._core import files
from ansible_collections.steward.maintenance.plugins.module_utils._core.journal import Journal, StepFailed

REFERENCES = {"target": "live"}
NEVER = 10**9


class Killer:
    """Kills this process with SIGKILL when it has come past so many points."""

    def __init__(self, at: int = NEVER) -> None:
        self.left = at

    def point(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclasses.dataclass
class FileStep:
    """A step on files that can be killed before, in the midst of and after everything that it does."""

    name: str
    directory: pathlib.Path
    killer: Killer
    point_of_no_return: bool = False
    fails: str = ""

    def is_done(self) -> bool:
        self.killer.point()
        return bool(getattr(self, f"_{self.name}_is_done")())

    def do(self) -> None:
        self.killer.point()
        getattr(self, f"_{self.name}")()
        self.killer.point()

    def undo(self) -> None:
        self.killer.point()
        if self.fails == "undo":
            raise OSError("the undoing is hindered")
        if self.name == "stage":
            (self.directory / "new").unlink(missing_ok=True)
        else:
            assert self.name != "swap", "past the point of no return nothing is undone"
        self.killer.point()

    def _stage(self) -> None:
        with (self.directory / "new").open("w") as file:
            file.write("ne")
            file.flush()
            self.killer.point()
            if self.fails == "do":
                raise OSError("the staging is hindered")
            file.write("w")

    def _stage_is_done(self) -> bool:
        return self._text("new") == "new" or self._text("live") == "new"

    def _check(self) -> None:
        if self.fails == "do":
            raise OSError("the check is hindered")
        (self.directory / "checked").write_text("yes")

    def _check_is_done(self) -> bool:
        return self.fails != "probe" and self._text("checked") == "yes"

    def _swap(self) -> None:
        (self.directory / "old").unlink(missing_ok=True)
        os.link(self.directory / "live", self.directory / "old")
        self.killer.point()
        os.rename(self.directory / "new", self.directory / "live")

    def _swap_is_done(self) -> bool:
        return self._text("live") == "new"

    def _tidy(self) -> None:
        if self.fails == "do":
            raise OSError("the tidying is hindered")
        (self.directory / "old").unlink(missing_ok=True)

    def _tidy_is_done(self) -> bool:
        return not (self.directory / "old").exists()

    def _text(self, name: str) -> str:
        path = self.directory / name
        return path.read_text() if path.exists() else ""


def steps(directory: pathlib.Path, killer: Killer | None = None, **fails: str) -> list[FileStep]:
    killer = killer or Killer()
    names = ("stage", "check", "swap", "tidy")
    return [FileStep(name, directory, killer, name == "swap", fails.get(name, "")) for name in names]


def fresh(base: pathlib.Path, number: object = "") -> pathlib.Path:
    directory = base / f"subject{number}"
    directory.mkdir()
    (directory / "live").write_text("old")
    return directory


def state(directory: pathlib.Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(directory.iterdir()) if path.is_file()}


DONE = {"checked": "yes", "live": "new"}
UNDONE = {"live": "old"}


def run(directory: pathlib.Path, killer: Killer | None = None, **fails: str) -> None:
    with Journal(str(directory / "journal"), "live file") as journal:
        journal.run(steps(directory, killer, **fails), REFERENCES)


def run_and_be_killed(directory: pathlib.Path, at: int, **fails: str) -> bool:
    """Run in a process of its own that is killed at its at-th point; False when it came to its end before that."""
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must not go on with the tests of its parent.
        try:
            killer = Killer(at)
            fsync = os.fsync

            def killed_before_fsync(file: int) -> None:
                killer.point()
                fsync(file)

            files.os.fsync = killed_before_fsync  # type: ignore[attr-defined]
            try:
                run(directory, killer, **fails)
            except StepFailed:
                os._exit(3)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - reported by its exit status
            traceback.print_exc()
            os._exit(9)
    _pid, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == (3 if fails else 0)
    return False


def kill_points(base: pathlib.Path, **fails: str) -> int:
    count = 1
    while run_and_be_killed(fresh(base, f"-probe-{count}"), count, **fails):
        count += 1
    return count - 1


def events(directory: pathlib.Path) -> list[str]:
    """What stands in the journal of a subject."""
    (path,) = (directory / "journal").glob("*.journal")
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]
