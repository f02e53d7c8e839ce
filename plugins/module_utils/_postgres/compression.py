# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a dump is made smaller: by pg_dump itself where it can, else by the program zstd, file by file.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A dump of one file for each table, each compressed by itself, can be restored by several connections at once, whoever
compressed it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import select
import shutil
import struct
import subprocess
import sys
import threading
import typing as t

from .connection import PostgresError
from .processes import run

COMPRESSIONS = ("auto", "zstd", "lz4", "gzip", "none")
SUFFIX = ".zst"

# Level 1 takes half the time of gzip's default and gives files a few hundredths larger.
_ARGUMENTS = {"gzip": "--compress=1", "none": "--compress=0"}
_FIRST_MAJOR_WITH_METHODS = 16

_IN_CLOSE_WRITE = 0x8
_EVENT = struct.Struct("iIII")
_LOOK_MILLISECONDS = 200
_MOST_FILES_A_CALL = 500


@dataclasses.dataclass(frozen=True)
class Compression:
    """A method, and who does it: pg_dump, unless the program zstd is named."""

    method: str
    zstd: str = ""

    @property
    def by(self) -> str:
        return "zstd" if self.zstd else "pg_dump"

    @property
    def argument(self) -> str:
        """For pg_dump before 16, which knows levels only, and after."""
        return "--compress=0" if self.zstd else _ARGUMENTS.get(self.method, f"--compress={self.method}")

    def stage(self, threads: int) -> list[list[str]]:
        """The program between pg_dump and what comes after it, if there is one."""
        return [[self.zstd, "--quiet", "--stdout", f"--threads={threads}"]] if self.zstd else []


def choose_compression(pg_dump: str, major: int, wanted: str) -> Compression:
    """The compression to use: for `auto` zstd, by this very pg_dump where it can, else by the program zstd, else gzip.

    :raises PostgresError: when the one that is asked for is not possible here.
    """
    if wanted in ("gzip", "none"):
        return Compression(wanted)
    method = "zstd" if wanted == "auto" else wanted
    lacks = f"{pg_dump} is older than version 16" if major < _FIRST_MAJOR_WITH_METHODS else _probe(pg_dump, method)
    if not lacks:
        return Compression(method)
    program = shutil.which("zstd") if method == "zstd" else None
    if program:
        return Compression(method, program)
    if wanted == "auto":
        return Compression("gzip")
    also = ", and the program zstd is not in PATH" if method == "zstd" else ""
    raise PostgresError(f"compression {wanted} is not possible: {lacks}{also}; use auto, gzip or none")


def _probe(pg_dump: str, method: str) -> str:
    # It looks at its options before it connects; where it does connect, there is nothing.
    argv = [pg_dump, f"--compress={method}", "--format=custom", "--schema-only", "--dbname=host=/nonexistent"]
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
        timeout=30,
    )
    said = done.stderr.decode("utf-8", "replace")
    return said.strip().splitlines()[0] if "compression" in said else ""


class DirectoryCompressor:
    """Compresses the files of a pg_dump directory with the program zstd, each as soon as pg_dump has closed it.

    So the clear files never lie there all at once, and the time of compressing is the time of dumping. Where the system
    does not tell which files were closed, all is done by :meth:`finish`.

    The directory must be there, and empty, when this is made.
    """

    def __init__(self, zstd: str, directory: str) -> None:
        self.zstd = zstd
        self.directory = directory
        self.error: PostgresError | None = None
        self._over = threading.Event()
        self._watch = _watch(directory)
        # Its programs die with this thread, so it is the thread that waits for them.
        self._thread = threading.Thread(target=self._follow, name="compressor")
        self._thread.start()

    def look(self) -> None:
        """:raises PostgresError: when a file could not be compressed."""
        if self.error:
            raise self.error

    def finish(self, threads: int) -> None:
        """Compress what is left, now that pg_dump has ended.

        :raises PostgresError: when a file could not be compressed.
        """
        self.stop()
        self.look()
        self._compress([name for name in os.listdir(self.directory) if _is_data(name)], threads)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        if self._watch >= 0:
            os.close(self._watch)
            self._watch = -1

    def _follow(self) -> None:
        try:
            while not self._over.is_set() and self._watch >= 0:
                closed = [name for name in _closed_files(self._watch) if _is_data(name)]
                if closed:
                    self._compress(closed, 1)
        except (PostgresError, OSError) as exc:
            self.error = exc if isinstance(exc, PostgresError) else PostgresError(str(exc))

    def _compress(self, names: t.Sequence[str], threads: int) -> None:
        there = [path for path in (os.path.join(self.directory, name) for name in names) if os.path.exists(path)]
        for start in range(0, len(there), _MOST_FILES_A_CALL):
            part = there[start : start + _MOST_FILES_A_CALL]
            run([self.zstd, "--quiet", "--rm", f"--threads={threads}", "--", *part])


def decompress_directory(zstd: str, source: str, target: str, threads: int) -> None:
    """A clear copy of such a directory, which pg_restore can read.

    :raises ProgramFailed: when a file is not what zstd wrote, or does not fit there.
    """
    os.mkdir(target, 0o700)
    names = sorted(os.listdir(source))
    compressed = [os.path.join(source, name) for name in names if name.endswith(SUFFIX)]
    for name in names:
        if not name.endswith(SUFFIX):
            shutil.copyfile(os.path.join(source, name), os.path.join(target, name))
    decompress_files(zstd, compressed, target, threads)


def decompress_files(zstd: str, compressed: t.Sequence[str], target: str, threads: int = 1) -> None:
    """Clear copies of files, under the same names without the suffix.

    :raises ProgramFailed: when a file is not what zstd wrote, or does not fit there.
    """
    for start in range(0, len(compressed), _MOST_FILES_A_CALL):
        part = compressed[start : start + _MOST_FILES_A_CALL]
        run([zstd, "--quiet", "--decompress", f"--threads={threads}", "--output-dir-flat", target, "--", *part])


def _is_data(name: str) -> bool:
    """The contents of a table or a large object; the table of contents stays readable for pg_restore --list."""
    return name.endswith(".dat") and name != "toc.dat"


def _watch(directory: str) -> int:
    """A descriptor that tells which files in a directory were closed after writing; -1 where there is no such thing."""
    if not sys.platform.startswith("linux"):
        return -1
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if descriptor < 0:
        return -1
    if libc.inotify_add_watch(descriptor, os.fsencode(directory), _IN_CLOSE_WRITE) < 0:
        os.close(descriptor)
        return -1
    return descriptor


def _closed_files(descriptor: int) -> list[str]:
    """The names that the system tells within a moment; what it forgets to tell is done at the end."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if not poller.poll(_LOOK_MILLISECONDS):
        return []
    names = []
    with contextlib.suppress(BlockingIOError):
        data = os.read(descriptor, 1 << 16)
        position = 0
        while position < len(data):
            _watch_number, _mask, _cookie, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size
            names.append(os.fsdecode(data[position : position + length].rstrip(b"\0")))
            position += length
    return names
