# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One restore at a time for each database: the journal on this host, and a lock in the server for all hosts.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import time
import typing as t

from .._core.journal import Journal
from .._core.locks import Busy
from .._core.records import default_path
from .connection import PostgresError, is_standby, query
from .processes import Account, account_for
from .restore_catalog import Site

_LOCK_PATIENCE = 4
_POLL = 0.2


def state_directory(given: str) -> str:
    """Where the journals are: beside the records of this account, unless told otherwise."""
    return given or os.path.join(os.path.dirname(default_path()), "restore")


@contextlib.contextmanager
def as_account(name: str, directory: str, check: bool) -> t.Iterator[None]:
    """Log in to the server, and write the journal, as another account of this system; the commands of an application
    still run as the account that we were started as. Nothing happens without a name, or when we are not root.

    :raises PostgresError: when there is no such account.
    """
    account = account_for(name) if name else None
    if account is None:
        yield
        return
    if not check:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _give(directory, account)
    home, groups, gid = os.environ.get("HOME"), os.getgroups(), os.getegid()
    os.setgroups(list(account.groups))
    os.setegid(account.gid)
    os.seteuid(account.uid)
    os.environ["HOME"] = pwd.getpwuid(account.uid).pw_dir
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        os.setegid(gid)
        os.setgroups(groups)
        if home is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = home


def _give(directory: str, account: Account) -> None:
    for path in [directory, *(os.path.join(directory, name) for name in os.listdir(directory))]:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


@contextlib.contextmanager
def only_one(site: Site) -> t.Iterator[None]:
    """Hold the server's own lock for this database: a journal keeps out only those who use the same directory.

    :raises Busy: when another run holds it; the server lets go of it when that run dies.
    """
    key = int.from_bytes(hashlib.sha256(f"steward.maintenance restore {site.target}".encode()).digest()[:7], "big")
    deadline = time.monotonic() + _LOCK_PATIENCE
    with site.session() as conn:
        while not query(conn, "SELECT pg_try_advisory_lock(%s)", (key,))[0][0]:
            if time.monotonic() >= deadline:
                raise Busy(f"another run restores {site.target!r} on this server at the moment")
            time.sleep(_POLL)
        yield


def open_journal(directory: str, site: Site) -> Journal:
    """The journal of this database on this server; use it as a context manager.

    :raises PostgresError: when the server does not say which one it is, or only replays what another one does.
    """
    with site.session() as conn:
        if is_standby(conn):
            raise PostgresError(f"the server at {site.login.place} is a standby: this is done on its primary")
        rows = query(conn, "SELECT system_identifier::text FROM pg_control_system()")
    if not rows:
        raise PostgresError("the server does not tell its system identifier")
    return Journal(directory, f"database {site.target} of server {rows[0][0]}")
