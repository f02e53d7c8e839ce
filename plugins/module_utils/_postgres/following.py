# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file is compressed while another program still writes it, from its beginning to its end, and then removed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
import typing as t

from .compression import SUFFIX
from .connection import PostgresError
from .durable import flush
from .pipeline import widen
from .processes import ProgramFailed, program_of, spawn, stop

_CHUNK = 1 << 20
#: More than any pipe of ours holds.
_IN_THE_PIPE = 4 << 20
_FREED_AT_ONCE = 32 << 20
_WAIT_SECONDS = 0.02
#: As fallocate(2) has them.
_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 0x1, 0x2


class Follower:
    """Reads a file that is only ever appended to, and gives what it reads to zstd.

    What was read is taken out of the file, where the file system can do that: most of it is never written to the disk.
    """

    def __init__(self, zstd: str, path: str) -> None:
        self.error: PostgresError | None = None
        self._zstd = zstd
        self._path = path
        self._closed = threading.Event()
        self._stopped = False
        # zstd dies with the thread that started it.
        self._thread = threading.Thread(target=self._run, name="follower")
        self._thread.start()

    def close(self) -> None:
        """The file will not grow any more."""
        self._closed.set()

    def join(self) -> None:
        self._thread.join()

    def stop(self) -> None:
        """Leave it undone, if it is not done."""
        self._stopped = True
        self._closed.set()
        self.join()

    def _run(self) -> None:
        try:
            self._follow()
        except (PostgresError, OSError) as exc:
            self.error = exc if isinstance(exc, PostgresError) else PostgresError(str(exc))

    def _follow(self) -> None:
        target = self._path + SUFFIX
        command = [self._zstd, "--quiet", "--threads=1", "-o", target]
        process = spawn(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            complete = self._feed(t.cast(t.IO[bytes], process.stdin).fileno())
            # It says little, and only when it fails: no pipe is full before it ends.
            said = process.communicate()[1]
        finally:
            stop(process)
        if self._stopped:
            return
        if process.returncode:
            raise ProgramFailed(program_of(process), process.returncode, said.decode("utf-8", "replace"))
        if not complete:
            raise PostgresError(f"{self._path} became shorter while it was compressed")
        flush(target)
        os.unlink(self._path)

    def _feed(self, pipe: int) -> bool:
        """Whether zstd was given all of the file; that it has ended before, its own words tell best."""
        widen(pipe)
        freed = done = 0
        with open(self._path, "r+b", buffering=0) as file:
            while not self._stopped:
                # Asked before it is read: what is read after the last word is all that there is.
                closed = self._closed.is_set()
                try:
                    given = os.sendfile(pipe, file.fileno(), done, _CHUNK)
                except BrokenPipeError:
                    return False
                if not given and closed:
                    return done == os.fstat(file.fileno()).st_size
                if not given:
                    self._closed.wait(_WAIT_SECONDS)
                done += given
                # What may still lie in the pipe is the file's own memory, and stays.
                if freed >= 0 and done - _IN_THE_PIPE - freed >= _FREED_AT_ONCE:
                    freed = freed + _FREED_AT_ONCE if _free(file.fileno(), freed, _FREED_AT_ONCE) else -1
        return False


def _free(file: int, offset: int, length: int) -> bool:
    """Take a part out of a file that keeps its size; False where there is no such thing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fallocate64"):
        return False
    mode = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
    return bool(libc.fallocate64(file, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) == 0)
