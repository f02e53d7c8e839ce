# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A piece of Python in a process of its own: for what must be killed, starved or done by several at once."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t

_IMPORTS = """
import os, sys
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import RecordsError, open_store
"""


def start_script(script: str, *args: object, within: t.Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a script that finds `os`, `sys`, `open_store` and `RecordsError`; `within` is a command to run it by."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [*within, sys.executable, "-c", _IMPORTS + script, *map(str, args)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_script(script: str, *args: object, within: t.Sequence[str] = ()) -> list[str]:
    """Run a script to its good end and return the lines that it printed."""
    return finish_scripts([start_script(script, *args, within=within)])[0]


def finish_scripts(started: t.Iterable[subprocess.Popen[str]], timeout: float = 120) -> list[list[str]]:
    """Wait for scripts; the lines that each printed."""
    printed = []
    for process in started:
        stdout, stderr = process.communicate(timeout=timeout)
        assert process.returncode == 0, stderr
        printed.append(stdout.splitlines())
    return printed
