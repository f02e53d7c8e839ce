# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump at work, and what is done with what it writes: a directory of files, or one encrypted archive.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A directory is written, and restored, by several connections. An encrypted dump is one stream, for files that pg_dump
writes itself would lie on the disk in clear until they are encrypted; it is decrypted into one archive, from which
several connections can restore as well.
"""

from __future__ import annotations

import os
import subprocess
import typing as t

from .._core.sealing import SUFFIX as ENCRYPTED
from .compression import SUFFIX as COMPRESSED
from .compression import Compression
from .encryption import Seal
from .packing import DirectoryCompressor
from .pipeline import Pipeline
from .processes import spawn, stop, wait

_ARCHIVE = "archive"


class Writing(t.Protocol):
    """A dump that is being written."""

    def look(self) -> None:
        """:raises PostgresError: when it has failed already."""

    def finish(self, between: t.Callable[[], None]) -> None:
        """Wait for its end.

        :raises PostgresError: when it failed.
        """

    def stop(self) -> None:
        """End it if it still runs."""


def archive_name(compression: Compression, seal: Seal | None) -> str:
    """The file in a database's directory that holds its encrypted archive."""
    return _ARCHIVE + (COMPRESSED if compression.zstd else "") + (ENCRYPTED if seal else "")


def write_directory(
    argv: t.Sequence[str], env: t.Mapping[str, str], directory: str, compression: Compression, jobs: int
) -> Writing:
    """:param directory: there, and empty."""
    return _Directory(argv, env, directory, compression, jobs)


def write_archive(
    argv: t.Sequence[str], env: t.Mapping[str, str], directory: str, compression: Compression, seal: Seal, threads: int
) -> Writing:
    stages = [[*argv, "--format=custom"], *compression.stage(threads), seal.argv]
    return _Archive(Pipeline(stages, os.path.join(directory, archive_name(compression, seal)), env))


class _Directory:
    def __init__(
        self, argv: t.Sequence[str], env: t.Mapping[str, str], directory: str, compression: Compression, jobs: int
    ) -> None:
        self._jobs = jobs
        self._compressor = DirectoryCompressor(compression.zstd, directory) if compression.zstd else None
        try:
            # Everything is flushed once, when it has its last form.
            options = ["--format=directory", f"--file={directory}", f"--jobs={jobs}", "--no-sync"]
            self._process = spawn([*argv, *options], env, stdout=subprocess.DEVNULL)
        except BaseException:
            if self._compressor:
                self._compressor.stop()
            raise

    def look(self) -> None:
        if self._compressor:
            self._compressor.look()
        if self._process.poll():
            wait(self._process)

    def finish(self, between: t.Callable[[], None]) -> None:
        def each() -> None:
            between()
            if self._compressor:
                self._compressor.look()

        wait(self._process, each)
        if self._compressor:
            self._compressor.finish(self._jobs)

    def stop(self) -> None:
        stop(self._process)
        if self._compressor:
            self._compressor.stop()


class _Archive:
    def __init__(self, chain: Pipeline) -> None:
        self._chain = chain

    def look(self) -> None:
        self._chain.poll()

    def finish(self, between: t.Callable[[], None]) -> None:
        self._chain.wait(between)

    def stop(self) -> None:
        self._chain.stop()
