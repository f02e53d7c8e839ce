# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the processes of a consumer were started with the new secret: by their environment, as the kernel has it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A service that was told to restart may have been started with what it had: compose does not read an env_file again for
`restart`, and systemd goes on with the old process where stopping it failed. The environment with which a process was
started is in /proc; it is compared here and never told.
"""

from __future__ import annotations

import subprocess
import typing as t

from .._core.durations import format_duration

_MOST = 10000


def stale(listing: t.Sequence[str], wanted: t.Mapping[str, str], timeout: float) -> str:
    """Why not all processes have what is wanted in their environment; an empty text when they have.

    :param listing: a command that prints the identifiers of the processes.
    :param wanted: variables, and what each has to be.
    """
    try:
        done = subprocess.run(
            list(listing), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired:
        return f"{listing[0]} has not ended after {format_duration(timeout)} and was killed"
    except (OSError, ValueError) as exc:
        return f"{listing[0]} cannot be run: {getattr(exc, 'strerror', None) or type(exc).__name__}"
    words = done.stdout.decode("utf-8", "replace").split()[:_MOST]
    if done.returncode:
        return f"{listing[0]}, which is to list its processes, ended with status {done.returncode}"
    # systemd and Docker tell 0 for a service without a process.
    if not words or not all(word.isdigit() and int(word) for word in words):
        return f"{listing[0]} lists no process of it"
    problems = (_problem(int(word), wanted) for word in words)
    return next((problem for problem in problems if problem), "")


def _problem(pid: int, wanted: t.Mapping[str, str]) -> str:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
    except OSError as exc:
        return f"the environment of process {pid} cannot be looked at: {exc.strerror}"
    entries = set(content.split(b"\0"))
    for name, value in wanted.items():
        if f"{name}={value}".encode() not in entries:
            return f"process {pid} was not started with the new {name}"
    return ""
