# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection that works without being waited for: psycopg2's asynchronous mode.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from .connection import Login, PostgresError, StatementError, connect_in_background, poll, send


class NoConnection(PostgresError):
    """The connection could not be made."""


class Worker:
    """A connection, the settings it has, and what it still has to send before the statement."""

    def __init__(self, login: Login, database: str, application: str, setup: str) -> None:
        self.place = f"cannot connect to database {database!r} at {login.place}"
        self._give_up = time.monotonic() + login.connect_timeout
        self._conn = connect_in_background(login, database, application)
        self._cursor: t.Any = None  # psycopg2 needs somebody to hold it
        self._setup = setup
        self._before = [setup]  # what is to be sent before the statement
        self._sql = ""
        self._settings: dict[str, str] = {}
        self._waits_for = "write"
        self._is_set_up = False
        self.began: float | None = None  # when the statement itself was sent, by the monotonic clock
        self.pid = 0

    def fileno(self) -> int:
        """For select()."""
        return int(self._conn.fileno())

    @property
    def wants_to_write(self) -> bool:
        return self._waits_for == "write"

    @property
    def is_late(self) -> bool:
        """Whether the connection takes longer than the login allows: in this mode, libpq does not look."""
        return not self.pid and time.monotonic() > self._give_up

    def begin(self, sql: str, settings: t.Mapping[str, str]) -> None:
        """Run a statement with the settings it needs; `step` says when it ended."""
        self._sql, self.began = sql, None
        changes = [f"RESET {name}" for name in self._settings if name not in settings]
        changes += [f"SET {name} = {literal(to)}" for name, to in settings.items() if self._settings.get(name) != to]
        self._settings = dict(settings)
        if changes:
            self._before.append("; ".join(changes))
        if self._is_set_up:
            self._send_next()

    def step(self) -> bool:
        """Go on as far as the server lets us; True when the statement is done.

        :raises NoConnection: when the connection could not be made.
        :raises StatementError: as the statement ended, or the connection.
        """
        try:
            while True:
                self._waits_for = poll(self._conn)
                if self._waits_for:
                    return False
                if self.began is not None:
                    return True
                self._is_set_up = self.pid != 0
                self.pid = self.pid or int(self._conn.info.backend_pid)
                self._send_next()
        except StatementError as exc:
            if not self._is_set_up:
                raise NoConnection(f"{self.place}: {exc}") from None
            if self.began is None:  # the settings were refused, so which of them count is forgotten
                self._settings, self._before = {}, [f"RESET ALL; {self._setup}"]
            raise

    def _send_next(self) -> None:
        del self._conn.notices[:]
        if self._before:
            self._cursor = send(self._conn, self._before.pop(0))
        else:
            self.began = time.monotonic()
            self._cursor = send(self._conn, self._sql)
        self._waits_for = "read"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server said during the statement, in its own language: VACUUM tells so that it skipped something."""
        return tuple(notice.strip() for notice in self._conn.notices)

    @property
    def rows(self) -> tuple[t.Any, ...]:
        """What the statement gave, if it was a query."""
        return tuple(self._cursor.fetchall()) if self._cursor.description else ()

    def close(self) -> None:
        with contextlib.suppress(Exception):  # whatever state it is in, it goes
            self._conn.close()


def literal(value: str) -> str:
    """A value as an SQL literal, where a statement parameter cannot be."""
    return "'" + value.replace("'", "''") + "'"
