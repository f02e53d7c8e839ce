# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a dump is made smaller: by pg_dump itself where it can, else by the program zstd, file by file.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A dump of one file for each table, each compressed by itself, can be restored by several connections at once, whoever
compressed it.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import typing as t

from .connection import PostgresError
from .processes import run

COMPRESSIONS = ("auto", "zstd", "lz4", "gzip", "none")
SUFFIX = ".zst"

# Level 1 takes half the time of gzip's default and gives files a few hundredths larger.
_ARGUMENTS = {"gzip": "--compress=1", "none": "--compress=0"}
_FIRST_MAJOR_WITH_METHODS = 16

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


def compress_files(zstd: str, paths: t.Sequence[str], threads: int) -> None:
    """Put each file into one with the suffix, which takes its place.

    :raises ProgramFailed: when one cannot be compressed, or does not fit there.
    """
    for start in range(0, len(paths), _MOST_FILES_A_CALL):
        part = paths[start : start + _MOST_FILES_A_CALL]
        run([zstd, "--quiet", "--rm", f"--threads={threads}", "--", *part])


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
