# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that hand their output on to each other, and of which each must have ended well: no shell, no lost status.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import time
import typing as t

from .connection import PostgresError
from .processes import ProgramFailed, program_of, spawn, stop

_LOOK_SECONDS = 0.05
# fcntl(2): Python knows it from 3.10 on.
_SET_PIPE_SIZE, _PIPE_SIZE = 1031, 1 << 20


class Pipeline:
    """A chain of programs whose last one writes a new file that only its owner reads.

    :param stages: argument lists, in the order in which the data goes through them.
    :param source: what the first one reads; nothing by default.
    """

    def __init__(
        self,
        stages: t.Sequence[t.Sequence[str]],
        target: str,
        env: t.Mapping[str, str] | None = None,
        nice: int = 0,
        source: t.Any = subprocess.DEVNULL,
    ) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        # Into files without names, not pipes: nobody reads while the chain runs, and a full pipe would stop it.
        self._said: list[t.Any] = []
        stdin = source
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            for number, argv in enumerate(stages):
                last = number == len(stages) - 1
                said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
                self._said.append(said)
                stdout = descriptor if last else subprocess.PIPE
                process = spawn(argv, env, None, nice, stdout, said, stdin=stdin)
                self._processes.append(process)
                if stdin is not source:
                    stdin.close()  # the pipe belongs to the two programs: were it open here, neither would see its end
                stdin = process.stdout
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(descriptor)

    def poll(self) -> None:
        """:raises ProgramFailed: when one of the programs has failed already."""
        if any(process.poll() for process in self._processes):
            self.wait()

    def wait(self, between: t.Callable[[], None] = lambda: None) -> None:
        """Wait for all of them.

        :param between: called again and again while they run; what it raises ends the waiting.
        :raises ProgramFailed: for the one that is to blame: the first that failed by itself, not because the one behind
            it was gone.
        """
        while any(process.poll() is None for process in self._processes):
            between()
            time.sleep(_LOOK_SECONDS)
        failures = []
        for process, said in zip(self._processes, self._said):
            if process.returncode:
                said.seek(0)
                words = said.read().decode("utf-8", "replace")
                failures.append((process, words))
        victims = [process for process, words in failures if _lost_its_reader(process, words)]
        for process, words in failures:
            if process not in victims or len(victims) == len(failures):
                raise ProgramFailed(program_of(process), process.returncode, words)

    def stop(self) -> None:
        """End what still runs and let go of everything; nothing happens when all have ended."""
        for process in self._processes:
            stop(process)
        for said in self._said:
            said.close()


def _lost_its_reader(process: subprocess.Popen[bytes], words: str) -> bool:
    return process.returncode == -signal.SIGPIPE or "broken pipe" in words.lower()


def run_pipeline(
    stages: t.Sequence[t.Sequence[str]],
    target: str,
    env: t.Mapping[str, str] | None = None,
    nice: int = 0,
    source: t.Any = subprocess.DEVNULL,
) -> None:
    """:raises ProgramFailed: for the program that is to blame."""
    chain = Pipeline(stages, target, env, nice, source)
    try:
        chain.wait()
    finally:
        chain.stop()


def widen(pipe: int) -> None:
    """Make a pipe larger, where the system lets us, for its two ends to wait for each other less often."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_SIZE)


def in_memory(data: bytes) -> int:
    """A descriptor that gives these bytes and is on no disk; the caller closes it.

    :raises PostgresError: where the system has no such thing.
    """
    if not hasattr(os, "memfd_create"):
        raise PostgresError("this system has no memory files (memfd_create), which encryption needs")
    descriptor = os.memfd_create("steward")
    with os.fdopen(os.dup(descriptor), "wb") as handle:
        handle.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
