# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup of a server at a time, from whichever host and into whichever directory.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The lock of a directory keeps out those who use the same directory. A host beside it that dumps the same server would
double its load and the time for which both hold their snapshots.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import typing as t

from .._core.locks import Busy
from . import contents
from .connection import Login, PostgresError, connect, query

_POLL = 0.2
#: Advisory locks are each database's own, so all take theirs in the same one where they may.
_DATABASE = "postgres"
_KEY = int.from_bytes(hashlib.sha256(b"steward.maintenance backup").digest()[:7], "big")

# A key of 64 bits stands there in two halves.
_HOLDER = """
SELECT l.pid, a.client_addr::text FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s"""


@contextlib.contextmanager
def only_backup(login: Login, conn: t.Any, patience: float) -> t.Iterator[None]:
    """Hold the server's own lock for backups; the server lets go of it when this run dies.

    :param conn: a session with that login, which holds the lock where nobody may connect to the usual database.
    :raises Busy: when another run still holds it after so many seconds.
    """
    with contextlib.ExitStack() as stack:
        session = conn
        with contextlib.suppress(PostgresError):
            session = stack.enter_context(contextlib.closing(connect(login, _DATABASE, "backup")))
            contents.without_limits(session)
        deadline = time.monotonic() + patience
        while not query(session, "SELECT pg_try_advisory_lock(%s)", (_KEY,))[0][0]:
            if time.monotonic() >= deadline:
                raise Busy(f"another run backs up {login.place} at the moment{_holder(session)}")
            time.sleep(_POLL)
        try:
            yield
        finally:
            # The session may be the caller's, and may be gone.
            with contextlib.suppress(PostgresError):
                query(session, "SELECT pg_advisory_unlock(%s)", (_KEY,))


def _holder(session: t.Any) -> str:
    """Who that is, as far as the server says it to this login."""
    for pid, address in query(session, _HOLDER, (_KEY,)):
        return f" (session {pid}, from {address})" if address else f" (session {pid})"
    return ""
