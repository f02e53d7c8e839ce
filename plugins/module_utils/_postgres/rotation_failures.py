# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins that the server refused because of their password, counted in its log.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

PostgreSQL counts refused logins nowhere: no session came to be, so no statistics know of them. Its log does. That is
read as a file of this host, or through the server itself, which needs no superuser but a few grants. Whether refused
logins are to be seen there at all (language, format, another file) is not assumed: one that we cause ourselves has to
turn up first.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .connection import PostgresError, StatementError, query

#: In place of a path: the log file that the server writes itself, read through the server.
SERVER = "server"

_CHUNK = 2**20
_GRANTS = (
    "GRANT pg_monitor TO it; and in that database GRANT EXECUTE ON FUNCTION pg_catalog.pg_current_logfile(),"
    " pg_catalog.pg_read_binary_file(text, bigint, bigint) TO it"
)


class Reader(t.Protocol):
    def end(self) -> None:
        """Have what is there now count as read."""

    def more(self) -> bytes:
        """What has been written since."""


@dataclasses.dataclass
class FileReader:
    """A file of this host; one that is rotated or cut off meanwhile is read to its end, and the new one after it."""

    path: str
    _file: t.Any = None

    def end(self) -> None:
        self._open()
        self._file.seek(0, os.SEEK_END)

    def more(self) -> bytes:
        try:
            content: bytes = self._file.read()
            now = os.stat(self.path)
            if now.st_ino != os.fstat(self._file.fileno()).st_ino:
                self._open()
                content += self._file.read()
            elif now.st_size < self._file.tell():
                self._file.seek(0)
                content += self._file.read()
        except OSError as exc:
            raise PostgresError(f"failed_logins_log {self.path} cannot be read: {exc.strerror}") from None
        return content

    def _open(self) -> None:
        if self._file is not None:
            self._file.close()
        try:
            self._file = open(self.path, "rb")  # noqa: SIM115 - read again and again
        except OSError as exc:
            raise PostgresError(f"failed_logins_log {self.path} cannot be read: {exc.strerror}") from None


@dataclasses.dataclass
class ServerReader:
    """The log that the server's collector writes, read over a session."""

    admin: t.Callable[[], t.Any]
    _path: str = ""
    _place: int = 0

    def end(self) -> None:
        self._path = self._current()
        name = os.path.basename(self._path)
        rows = self._ask("SELECT size FROM pg_catalog.pg_ls_logdir() WHERE name = %s", (name,))
        self._place = int(rows[0][0]) if rows else 0

    def more(self) -> bytes:
        content = self._rest()
        current = self._current()
        if current != self._path:
            self._path, self._place = current, 0
            content += self._rest()
        return content

    def _rest(self) -> bytes:
        parts = []
        while True:
            sql = "SELECT pg_catalog.pg_read_binary_file(%s, %s, %s)"
            part = bytes(self._ask(sql, (self._path, self._place, _CHUNK))[0][0])
            self._place += len(part)
            parts.append(part)
            if len(part) < _CHUNK:
                return b"".join(parts)

    def _current(self) -> str:
        path = self._ask("SELECT pg_catalog.pg_current_logfile()", None)[0][0]
        if not path:
            raise PostgresError(
                "failed_logins_log is 'server', but the server writes no log file itself (logging_collector is off):"
                " name its log file on this host"
            )
        return str(path)

    def _ask(self, sql: str, parameters: t.Any) -> list[t.Any]:
        try:
            return query(self.admin(), sql, parameters)
        except StatementError as exc:
            raise PostgresError(f"failed_logins_log: the server's log cannot be read: {exc} ({_GRANTS})") from None


class FailedLogins:
    """Counts from L{begin} on."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lines: list[bytes] = []
        self._half = b""

    def begin(self) -> None:
        self._reader.end()
        self._lines, self._half = [], b""

    def count(self, user: str) -> int:
        """Refused logins of a role since then."""
        *whole, self._half = (self._half + self._reader.more()).split(b"\n")
        self._lines += [line for line in whole if is_refusal(line)]
        quoted = re.compile(rb'"' + re.escape(user.encode()) + rb'\\?"')
        return sum(bool(quoted.search(line)) for line in self._lines)


def is_refusal(line: bytes) -> bool:
    """Whether a line of a log (plain, CSV or JSON) tells of a password that was wrong.

    By the SQLSTATE, where the log has it, else by the English words. A DETAIL belongs to a line that was counted.
    """
    if b"DETAIL:" in line:
        return False
    return b"28P01" in line or b"password authentication failed for user" in line
