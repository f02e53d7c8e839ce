# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the ecosystems, started so that they end: with a deadline, without input, killed with all they started.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import typing as t

from .._core.durations import format_duration
from .._core.masking import mask_secrets

_MOST_TOLD = 300


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a program ended. `problem` is empty when it ended by itself, whatever its exit status."""

    status: int
    output: str
    errors: str
    problem: str = ""

    def told(self) -> str:
        """What it said of its trouble: the last line of its error output that says something."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower()] or lines
        return shortened(telling[-1]) if telling else f"exit status {self.status}, and not a word"


def shortened(text: str) -> str:
    """A text for a person: secrets masked, on one line, not too long."""
    told = " ".join(str(mask_secrets(text)).split())
    return told if len(told) <= _MOST_TOLD else told[: _MOST_TOLD - 3] + "..."


def find_program(name: str) -> str | None:
    return shutil.which(name)


def run(command: t.Sequence[str], directory: str, timeout: float, environment: t.Mapping[str, str]) -> Ran:
    """Run a program to its end, or to its deadline; whatever happens is in the answer."""
    name = os.path.basename(command[0])
    try:
        process = subprocess.Popen(
            list(command),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as exc:
        return Ran(-1, "", "", f"{name} cannot be started: {exc.strerror}")
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        return Ran(-1, "", "", f"{name} did not end within {format_duration(timeout)}")
    except BaseException:
        _kill(process)
        raise
    return Ran(process.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def as_json(ran: Ran) -> t.Any:
    """The document that was printed; None when it is none, a cut one for example."""
    try:
        return json.loads(ran.output)
    except (ValueError, RecursionError):
        return None
