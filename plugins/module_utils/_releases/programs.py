# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that make a release, started so that they end: with a deadline, without input, killed with all they started.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import signal
import subprocess
import tempfile
import typing as t

from .._core.durations import format_duration
from .._core.masking import mask_secrets
from .place import ReleaseError

_MOST_TOLD = 400
_MOST_VERSION, _VERSION_SECONDS = 200, 60
#: What is Ansible's or of another Python, and would be found by the programs of the release.
_NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_NO_BINARY", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")


@dataclasses.dataclass(frozen=True)
class Ran:
    """How a program ended by itself."""

    status: int
    output: bytes

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace")

    def told(self) -> str:
        """What it said of its trouble, on one line, with secrets masked."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()] or lines[-3:]
        said = str(mask_secrets(" ".join(" ".join(telling[-3:]).split())))
        return f"status {self.status}: {said[-_MOST_TOLD:]}" if said else f"status {self.status}, and not a word"


def run(
    argv: t.Sequence[str], directory: str, timeout: float, more: t.Mapping[str, str] | None = None, apart: bool = False
) -> Ran:
    """Run a program to its end.

    :param more: what its environment has beside ours.
    :param apart: leave out what it says on its error output.
    :raises ReleaseError: when it cannot be started, or has not ended in time; then it is killed.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=directory,
                env={**environment(), **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL if apart else subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            raise ReleaseError(f"{argv[0]} cannot be started: {getattr(exc, 'strerror', None) or exc}") from None
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ReleaseError(f"{argv[0]} has not ended after {format_duration(timeout)} and was killed") from None
        finally:
            # What it started may live on, and would go on in a directory that is taken away.
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return Ran(status, output.read())


def must(
    argv: t.Sequence[str], directory: str, timeout: float, what: str, more: t.Mapping[str, str] | None = None
) -> Ran:
    """:raises ReleaseError: when it does not end well, with `what` and what it said."""
    ran = run(argv, directory, timeout, more)
    if ran.status:
        raise ReleaseError(f"{what}: {os.path.basename(argv[0])} ended with {ran.told()}")
    return ran


def told_test(argv: t.Sequence[str], ran: Ran, seconds: float) -> dict[str, t.Any]:
    """A test that was run, for the evidence."""
    return {
        "command": str(mask_secrets(" ".join(argv))),
        "duration_seconds": round(seconds, 3),
        "output_sha256": hashlib.sha256(ran.output).hexdigest(),
    }


def version_of(*argv: str) -> str:
    """What a program says of its version, on one line; empty when it does not say."""
    try:
        ran = run(argv, "/", _VERSION_SECONDS)
    except ReleaseError:
        return ""
    lines = ran.text.strip().splitlines()
    return str(mask_secrets(lines[0][:_MOST_VERSION])) if lines and not ran.status else ""


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    return {**kept, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "PIP_NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
