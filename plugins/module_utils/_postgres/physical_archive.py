# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the server's WAL gets into the archive, and what would be lost if the server were gone now.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from .connection import StatementError, query
from .objectives import missed_objectives

_STATE = """
SELECT current_setting('archive_mode'), current_setting('archive_command'),
  coalesce(current_setting('archive_library', true), ''),
  (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'),
  (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
  coalesce(a.last_archived_wal, ''), extract(epoch FROM clock_timestamp() - a.last_archived_time)::float8,
  coalesce(a.last_failed_wal, ''), extract(epoch FROM clock_timestamp() - a.last_failed_time)::float8, a.failed_count,
  pg_current_wal_lsn()::text, (SELECT system_identifier::text FROM pg_control_system())
FROM pg_stat_archiver a"""

_WAITING = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}[.]ready$'"

#: The finding that a segment that gets into the archive takes away.
FAILING = "archive-failing"

#: A segment that was just begun holds its own header and nothing else.
_HEADER_BYTES = 40
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")


@dataclasses.dataclass(frozen=True)
class Archiver:
    """What the server tells of its archiving; ages in seconds, none where it never happened or may not be read."""

    mode: str
    command: str
    library: str
    timeout: int
    segment_bytes: int
    last_wal: str
    last_age: float | None
    failed_wal: str
    failed_age: float | None
    failed_count: int
    position: int
    system_identifier: str
    waiting: int | None = None

    @property
    def is_failing(self) -> bool:
        """Its last attempt failed."""
        return self.failed_age is not None and (self.last_age is None or self.failed_age < self.last_age)

    @property
    def exposure(self) -> float | None:
        """For how long at most what was committed is not in the archive yet; none where nothing ever got there."""
        if self.last_age is None:
            return None
        end = end_of(self.last_wal, self.segment_bytes)
        if end is not None and self.position - end <= _HEADER_BYTES and not self.waiting:
            return 0.0
        # The server itself ends a segment after that time, when something is in it.
        bounded = self.timeout and self.waiting == 0 and not self.is_failing
        return min(self.last_age, float(self.timeout)) if bounded else self.last_age


def look(conn: t.Any) -> Archiver:
    """Ask a primary."""
    row = query(conn, _STATE)[0]
    try:
        waiting = int(query(conn, _WAITING)[0][0])
    except StatementError as exc:
        if exc.connection_lost:
            raise
        waiting = None  # only pg_monitor and superusers may list that directory
    told: tuple[t.Any, ...] = (*row[:10], lsn(row[10]), row[11], waiting)
    return Archiver(*told)


def lsn(text: str) -> int:
    """A place in the WAL as a number of bytes: "0/5000148" is 83886408."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def segment_number(name: str, segment_bytes: int) -> int | None:
    """Which segment a file of the archive is, counted from the beginning of all WAL; none where it is no segment."""
    parts = _SEGMENT.match(name)
    if not parts:
        return None
    return int(parts.group(2), 16) * ((1 << 32) // segment_bytes) + int(parts.group(3), 16)


def end_of(name: str, segment_bytes: int) -> int | None:
    """The place in the WAL where a segment ends."""
    number = segment_number(name, segment_bytes)
    return None if number is None else (number + 1) * segment_bytes


def why_no_archiving(archiver: Archiver, stanza: str, wanted: str) -> str:
    """Why the server's WAL cannot get into the archive of this stanza, with the lines that change it; else nothing."""
    lines = f"set in postgresql.conf:  archive_mode = on  and  archive_command = '{wanted}'"
    if archiver.mode == "off":
        return f"archive_mode is off, so no WAL is archived: {lines}  and restart the server, which archive_mode needs"
    if archiver.library:
        return (
            f"archive_library is {archiver.library!r}, so archive_command does not count and no WAL gets to pgBackRest:"
            f" set archive_library = ''  and  archive_command = '{wanted}'  and reload the server"
        )
    if not names_stanza(archiver.command, stanza):
        set_to = f"archive_command is {archiver.command!r}" if archiver.command else "archive_command is empty"
        return (
            f"{set_to} and does not push to the stanza {stanza!r}: set archive_command = '{wanted}'"
            "  and reload the server"
        )
    return ""


def names_stanza(command: str, stanza: str) -> bool:
    """Whether an archive_command pushes to this stanza."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    named = f"--stanza={stanza}" in words or ("--stanza", stanza) in zip(words, words[1:])
    return named and "archive-push" in words and "pgbackrest" in command


def findings(archiver: Archiver, place: str, rpo: int) -> list[Finding]:
    """What somebody should know of an archiver that is set up."""
    found = []
    if archiver.is_failing:
        waiting = "" if archiver.waiting is None else f", {archiver.waiting} segments wait"
        message = (
            f"the archiver's last attempt failed {format_duration(archiver.failed_age or 0)} ago, at"
            f" {archiver.failed_wal}{waiting}; it failed {archiver.failed_count} times"
        )
        action = "read the server's log for what pgbackrest archive-push said; pg_wal grows until it succeeds"
        found.append(Finding(FAILING, "critical", place, message, archiver.failed_count, 0, action))
    if archiver.waiting is None:
        message = "how many segments wait for the archiver could not be looked at: the role may not list the directory"
        found.append(
            Finding("archive-unseen", "low", place, message, action="GRANT pg_monitor TO the role that logs in")
        )
    if rpo and not 0 < archiver.timeout <= rpo:
        now = "0, which is never" if not archiver.timeout else format_duration(archiver.timeout)
        message = (
            f"archive_timeout is {now}: on a quiet server the last transactions can stay out of the archive for longer"
            f" than the recovery point objective of {format_duration(rpo)}"
        )
        action = f"set archive_timeout = '{max(1, rpo // 2)}s' in postgresql.conf and reload the server"
        found.append(Finding("archive-timeout", "medium", place, message, archiver.timeout, rpo, action))
    if archiver.exposure is not None:
        found += missed_objectives(place, None, archiver.exposure, 0, rpo)
    return found


def figures(archiver: Archiver) -> dict[str, float]:
    told: dict[str, float] = {"archive_failures": archiver.failed_count}
    if archiver.waiting is not None:
        told["waiting_wal_segments"] = archiver.waiting
    if archiver.exposure is not None:
        told["rpo_seconds"] = round(archiver.exposure, 3)
    return told
