# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump that the program zstd packed, restored without being unpacked first: large tables come through pipes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

pg_restore looks at the size of each table's file before it begins, gives the largest ones to its connections first, and
opens a file only when its COPY has got the lock of the table (pg_backup_directory.c and pg_backup_archiver.c of
PostgreSQL 13 to 18). So it finds files as large as the packed ones, empty of blocks, while we hold the locks; when one
of its connections waits for us, the sizes have been looked at, pipes take the place of the files, and the locks go.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

from .compression import SUFFIX, decompress_files
from .connection import PostgresError, query, quote
from .pouring import Pour
from .processes import ProgramFailed, program_of, run, spawn, stop

#: What is smaller when packed is unpacked beforehand, for a pipe costs a program: bytes.
SMALLEST = 1 << 20
#: Each has a lock and a look every moment.
MOST = 200

_LOOK_SECONDS = 0.01
_LINE_BREAK = re.compile(r"[\r\n]")

# pg_stat_activity would stay the same for the whole of our transaction.
_WAITS_FOR_US = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"

Names = t.Tuple[str, str]


class _Writer(t.NamedTuple):
    """A zstd at work, what takes its output on, and the file of its words."""

    process: subprocess.Popen[bytes]
    pour: Pour
    words: t.Any


class StreamedDump:
    """A directory that pg_restore can read in time.

    :param source: the directory in the backup.
    :param target: a new directory that only we can enter.
    :param tables: schema and name of all tables in the dump, by its manifest.
    """

    def __init__(self, zstd: str, pg_restore: str, source: str, target: str, tables: t.Iterable[Names]) -> None:
        self._zstd = zstd
        self._source = source
        self.target = target
        self._large = _large_tables(source, run([pg_restore, "--list", source]).splitlines(), tables)
        self._waiting: dict[str, str] = {}
        self._writers: list[_Writer] = []

    @property
    def unpacked_share(self) -> float:
        """Which part of the packed data is unpacked beforehand."""
        sizes = {name: os.path.getsize(os.path.join(self._source, name)) for name in os.listdir(self._source)}
        return sum(size for name, size in sizes.items() if name not in self._large) / (sum(sizes.values()) or 1)

    def prepare(self) -> None:
        """Everything but the large tables, of which there are only sizes.

        :raises ProgramFailed: when a file is not what zstd wrote, or does not fit there.
        """
        os.mkdir(self.target, 0o700)
        packed = []
        for name in sorted(os.listdir(self._source)):
            path = os.path.join(self._source, name)
            if name in self._large:
                with open(self._clear(name), "wb") as file:
                    file.truncate(os.path.getsize(path))
            elif name.endswith(SUFFIX):
                packed.append(path)
            else:
                shutil.copyfile(path, os.path.join(self.target, name))
        decompress_files(self._zstd, packed, self.target)

    def restore(self, conn: t.Any, argv: t.Sequence[str], environment: t.Mapping[str, str]) -> None:
        """Restore all of it.

        :param conn: a session of our own in the database that is filled.
        :param argv: pg_restore with all arguments but what it is to read and of which section.
        :raises ProgramFailed: with what pg_restore or zstd said.
        """
        run([*argv, "--section=pre-data", self.target], environment)
        query(conn, "BEGIN")
        tables = sorted({names for candidates in self._large.values() for names in candidates})
        for names in tables:
            query(conn, f"LOCK TABLE ONLY {quote(*names)} IN SHARE MODE")
        with tempfile.TemporaryFile() as said:
            sections = ["--section=data", "--section=post-data"]
            reader = spawn([*argv, *sections, self.target], environment, stdout=subprocess.DEVNULL, stderr=said)
            try:
                while tables and reader.poll() is None and not query(conn, _WAITS_FOR_US)[0][0]:
                    time.sleep(_LOOK_SECONDS)
                self._lay_pipes()
                query(conn, "COMMIT")
                while reader.poll() is None:
                    self._serve()
                    time.sleep(_LOOK_SECONDS)
                if reader.returncode:
                    raise ProgramFailed(argv[0], reader.returncode, _words(said))
                self._require_all_read()
            finally:
                stop(reader)
                for writer in self._writers:
                    stop(writer.process)
                    writer.pour.join()
                    writer.words.close()

    def _clear(self, name: str) -> str:
        return os.path.join(self.target, name[: -len(SUFFIX)])

    def _lay_pipes(self) -> None:
        for name in self._large:
            path = self._clear(name)
            pipe = f"{path}.pipe"
            os.mkfifo(pipe, 0o600)
            os.rename(pipe, path)
            self._waiting[path] = os.path.join(self._source, name)

    def _serve(self) -> None:
        """Give each pipe that somebody has opened its zstd.

        :raises ProgramFailed: when one has failed by itself, not because pg_restore is gone.
        """
        for path, packed in list(self._waiting.items()):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:  # nobody reads it yet
                continue
            os.set_blocking(descriptor, True)
            pour = Pour(descriptor)
            words = tempfile.TemporaryFile()  # noqa: SIM115 - closed where the programs are stopped
            try:
                command = [self._zstd, "--quiet", "--decompress", "--stdout", "--", packed]
                self._writers.append(_Writer(spawn(command, stdout=pour.end, stderr=words), pour, words))
            finally:
                pour.start()
            del self._waiting[path]
        for writer in self._writers:
            if writer.process.poll() and not _lost_its_reader(writer):
                raise _failure_of(writer)

    def _require_all_read(self) -> None:
        for writer in self._writers:
            if writer.process.wait():
                raise _failure_of(writer)
            writer.pour.join()
            if writer.pour.error:
                raise PostgresError(f"what zstd wrote did not all come to pg_restore: {writer.pour.error}")
        if self._waiting:
            names = ", ".join(sorted(os.path.basename(path) for path in self._waiting))
            raise PostgresError(f"pg_restore ended well, but did not read {names}")


def _large_tables(source: str, listed: t.Sequence[str], tables: t.Iterable[Names]) -> dict[str, list[Names]]:
    """The packed files of the largest tables, and which tables' locks are waited for before they are opened.

    A line of the list is like "123; 0 16390 TABLE DATA public orders app", and the file of that table is 123.dat. Names
    with blanks, which line breaks become, may be read in two ways: then both tables are locked. Where a name is not
    found, its file is unpacked.
    """
    known: dict[str, list[Names]] = {}
    for names in tables:
        known.setdefault(_LINE_BREAK.sub(" ", " ".join(names)), []).append(names)
    found: dict[str, tuple[int, list[Names]]] = {}
    for line in listed:
        number, _semicolon, rest = line.partition("; ")
        _ids, mark, words = rest.partition(" TABLE DATA ")
        name = f"{number}.dat{SUFFIX}"
        path = os.path.join(source, name)
        if not mark or not number.isdigit() or not os.path.exists(path):
            continue
        parts = words.split(" ")
        candidates = [names for end in range(1, len(parts) + 1) for names in known.get(" ".join(parts[:end]), [])]
        size = os.path.getsize(path)
        if candidates and size >= SMALLEST:
            found[name] = (size, candidates)
    largest = sorted(found, key=lambda name: -found[name][0])[:MOST]
    return {name: found[name][1] for name in largest}


def _lost_its_reader(writer: _Writer) -> bool:
    return writer.process.returncode == -signal.SIGPIPE or "broken pipe" in _words(writer.words).lower()


def _failure_of(writer: _Writer) -> ProgramFailed:
    return ProgramFailed(program_of(writer.process), writer.process.returncode, _words(writer.words))


def _words(file: t.Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", "replace"))
