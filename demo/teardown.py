# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a demonstration down, with nothing but Python's own library: it must work when the environment is gone."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal

from . import processes
from .layout import Layout

POSTGRES = "postgres"
APPLICATION = "application"


def take_down(layout: Layout) -> list[str]:
    """Stop exactly what was started and remove every file. Return what there was."""
    done = []
    # SIGINT asks PostgreSQL to throw its clients out and shut down cleanly; SIGTERM would wait for them.
    for name, gently in ((APPLICATION, signal.SIGTERM), (POSTGRES, signal.SIGINT)):
        if processes.stop(layout.processes, name, gently):
            done.append(f"{name} stopped")
    if (layout.state / "scratch").exists():
        done += [f"throwaway server {pid} stopped" for pid in stop_servers_below(layout.scratch)]
    return done + [f"{path} removed" for path in layout.remove()]


def stop_servers_below(directory: pathlib.Path) -> list[int]:
    """Stop the PostgreSQL servers a killed run left in there: those whose own pid file and working directory agree."""
    stopped = []
    for note in directory.rglob("postmaster.pid"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(note.read_text(encoding="utf-8").splitlines()[0])
            identity = processes.Identity.of(pid)
            if pathlib.Path(os.readlink(f"/proc/{pid}/cwd")) == note.parent and identity.alive:
                os.kill(pid, signal.SIGQUIT)
                processes.wait_for(identity, seconds=30)
                stopped.append(pid)
    return stopped
