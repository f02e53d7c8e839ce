# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that kill: at how many random moments (STEWARD_KILLS; `make faults` asks for 20, `bin/test` has less time), or
at each call of what changes something."""

from __future__ import annotations

import os
import signal
import traceback
import typing as t

KILLS = int(os.environ.get("STEWARD_KILLS", "5"))
#: The same where each of them costs two runs of the whole main job.
KILLS_OF_ALL = int(os.environ.get("STEWARD_KILLS", "2"))

Point = tuple[t.Any, str]
#: What is changed on the disk: files and lines that are there to stay, names, links.
ON_DISK: tuple[Point, ...] = tuple((os, name) for name in ("fsync", "rename", "symlink", "unlink"))


def kill_at(at: int, points: t.Iterable[Point]) -> None:
    """Kill this process before the at-th call, from now on, of any of these functions of modules."""
    left = [at]

    def deadly(function: t.Any) -> t.Any:
        def call(*given: t.Any, **named: t.Any) -> t.Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*given, **named)

        return call

    for module, name in points:
        setattr(module, name, deadly(getattr(module, name)))


def killed_at(at: int, points: t.Iterable[Point], action: t.Callable[[], object]) -> bool:
    """Do it in a process of its own that is killed so; False when it has ended before."""
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must not go on with the tests of its parent.
        try:
            kill_at(at, points)
            action()
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
