# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One word that ends everything that is done at the same time: statements are cancelled, waiting ends.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import threading
import typing as t

from .connection import PostgresError, cancel


class Halted(PostgresError):
    """Something else failed in a way that ends the whole run."""


class Halt:
    """Said once, by any thread; heard by all that look, and by the statements that they wait for."""

    def __init__(self) -> None:
        self._said = threading.Event()
        self._guard = threading.Lock()
        self._connections: list[t.Any] = []

    def say(self) -> None:
        self._said.set()
        with self._guard:
            for conn in self._connections:
                cancel(conn)

    def check(self) -> None:
        """:raises Halted: when it was said."""
        if self._said.is_set():
            raise Halted("the run was ended by another failure")

    @contextlib.contextmanager
    def cancels(self, conn: t.Any) -> t.Iterator[None]:
        """Cancel the statement of this connection when it is said."""
        with self._guard:
            self._connections.append(conn)
        try:
            self.check()
            yield
        finally:
            with self._guard:
                self._connections.remove(conn)
