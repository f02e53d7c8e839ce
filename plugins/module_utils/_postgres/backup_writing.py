# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup being written: dumps, globals and settings aside, the manifest last, and then its name.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import os
import threading
import time
import typing as t

from .._core.clock import stamp, utc_now, write_time
from .._core.result import Finding
from .._core.sealing import SUFFIX as ENCRYPTED
from .._core.version import COLLECTION_VERSION
from . import contents
from .backup_plan import Planned, all_databases
from .backup_pool import run_all
from .backup_sets import FORMAT, FORMAT_OF_WRAPPED, PARTIAL, write_manifest
from .connection import Login, PostgresError, connect, query
from .dump import DatabaseGone, Tools, directory_name, dump_database
from .durable import files_below, flush, flush_tree, give_to_owner_of, remove_tree, sha256_of
from .globals import globals_of
from .halt import Halt, Halted
from .server_settings import server_settings
from .signatures import sign
from .sources import Source

GLOBALS = "globals.sql"

_DISK_FULL = "no space left on device"


@dataclasses.dataclass
class Written:
    """What became of each database, and what somebody should know."""

    dumped: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)
    failed: list[dict[str, str]] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)


class BackupWriter:
    """Writes one backup; nothing of it is left where it cannot be finished.

    :param login: the primary's, for all that is not a dump.
    :param conn: a connection with that login.
    :param about: what the manifest says of the server and of why there is a backup.
    :param all_wanted: whether a database that appears meanwhile is one that somebody counts on finding in it.
    """

    def __init__(
        self,
        login: Login,
        conn: t.Any,
        source: Source,
        tools: Tools,
        about: t.Mapping[str, t.Any],
        signing_key: str,
        all_wanted: bool = False,
    ) -> None:
        self.login = login
        self.conn = conn
        self.source = source
        self.tools = tools
        self.about = about
        self.signing_key = signing_key
        self.all_wanted = all_wanted
        self.written = Written()
        self._guard = threading.Lock()

    def write(self, path: str, planned: t.Sequence[Planned]) -> tuple[str, dict[str, t.Any]]:
        """The path of the new backup, and its manifest.

        :raises PostgresError: when no database could be dumped, or the disk is full, or the server is gone.
        """
        began = time.monotonic()
        started = _free_moment(path)
        final = os.path.join(path, stamp(started))
        partial = final + PARTIAL
        os.mkdir(partial, 0o700)
        try:
            self._dump_all(planned, partial)
            self._save_globals(partial)
            self._save_settings(partial)
            flush_tree(partial)
            others = [*self.about["others"], *self._newcomers(planned)]
            wrapped = bool(self.tools.seal or self.tools.compression.zstd)
            manifest = write_manifest(
                partial,
                {
                    **self.about,
                    "others": sorted(others),
                    "format": FORMAT_OF_WRAPPED if wrapped else FORMAT,
                    "collection_version": COLLECTION_VERSION,
                    "started": write_time(started),
                    "files": self._files(partial),
                    "roles": contents.roles(self.conn),
                    "databases": self.written.dumped,
                    "skipped": self.written.skipped,
                    "failed": self.written.failed,
                    "compression": self.tools.compression.method,
                    "compressed_by": self.tools.compression.by,
                    "encryption": self._encryption(),
                    "jobs": self.tools.jobs,
                    "pg_dump": self.tools.pg_dump,
                    "pg_dump_version": self.tools.version,
                    "ended": write_time(utc_now()),
                    "duration_seconds": round(time.monotonic() - began, 3),
                },
            )
            if self.signing_key:
                sign(partial, self.signing_key)
            give_to_owner_of(path, partial)
            flush(partial)
            os.rename(partial, final)
            flush(path)
        except BaseException:
            # A full disk gets its space back; the backups of before were never touched.
            remove_tree(partial)
            raise
        return final, manifest

    # -- the databases ---------------------------------------------------------------------------------------

    def _dump_all(self, planned: t.Sequence[Planned], partial: str) -> None:
        halt = Halt()
        by_name = {one.database: one for one in planned}

        def dump(name: str, connections: int) -> None:
            self._dump(by_name[name], partial, connections, halt)

        run_all({one.database: one.stored_bytes for one in planned}, self.tools.jobs, halt, dump)
        written = self.written
        for entries in (written.dumped, written.skipped, written.failed):
            entries.sort(key=lambda entry: str(entry["name"]))
        if not written.dumped:
            raise PostgresError(
                "; ".join(f"{one['name']}: {one['reason']}" for one in written.failed + written.skipped)
            )

    def _dump(self, one: Planned, partial: str, connections: int, halt: Halt) -> None:
        """One database's failure leaves the others their backup, unless it is a failure of the disk or the server."""
        name = one.database
        try:
            entry = dump_database(self.source.login, name, partial, self.tools, connections, halt, self.login)
        except DatabaseGone as exc:
            with self._guard:
                self.written.skipped.append({"name": name, "reason": str(exc)})
                finding = Finding("backup-database-gone", "info", name, str(exc), action="nothing, if that was meant")
                self.written.findings.append(finding)
        except Halted:
            raise
        except PostgresError as exc:
            if _DISK_FULL in str(exc).lower():
                raise
            self._see_whether_the_server_is_there()
            with self._guard:
                self.written.failed.append({"name": name, "reason": str(exc)})
        else:
            with self._guard:
                self.written.dumped.append({**entry, "stored_bytes": one.stored_bytes})
            return
        remove_tree(os.path.join(partial, directory_name(name)))

    def _see_whether_the_server_is_there(self) -> None:
        conn = connect(self.source.login, application="backup")
        try:
            query(conn, "SELECT 1")
        finally:
            conn.close()

    # -- what is above the databases -------------------------------------------------------------------------

    def _save_globals(self, partial: str) -> None:
        data, missing = globals_of(self.login, self.tools.pg_dumpall, self.conn)
        self._save(partial, GLOBALS, data)
        if missing:
            right = "give the login the right to read pg_authid"
            self.written.findings.append(Finding("backup-no-passwords", "medium", GLOBALS, missing, action=right))

    def _save_settings(self, partial: str) -> None:
        saved = server_settings(self.conn)
        for name, data in saved.files.items():
            self._save(partial, name, data)
        if saved.missing:
            reasons = "; ".join(f"{what}: {why}" for what, why in sorted(saved.missing.items()))
            message = f"not all of the server's settings and files could be saved: {reasons}"
            right = "give the login pg_read_all_settings, pg_read_server_files and EXECUTE on what is named"
            self.written.findings.append(Finding("backup-no-server-files", "low", "server", message, action=right))

    def _save(self, partial: str, name: str, data: bytes) -> None:
        path = os.path.join(partial, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if self.tools.seal:
            self.tools.seal.write(data, path + ENCRYPTED)
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)

    def _newcomers(self, planned: t.Sequence[Planned]) -> list[str]:
        """Databases that were created since the backup was planned: they are in it neither as dumps nor as failures."""
        known = {one.database for one in planned} | set(self.about["others"])
        new = [name for name in all_databases(self.conn) if name not in known]
        for name in new if self.all_wanted else []:
            message = "it was created while the backup ran, and is in no backup yet"
            action = "none: the next run finds it and makes a backup; run it at once where that is too late"
            self.written.findings.append(Finding("backup-not-yet-protected", "medium", name, message, action=action))
        return new

    # -- the manifest ----------------------------------------------------------------------------------------

    def _encryption(self) -> dict[str, t.Any] | None:
        seal = self.tools.seal
        return {"tool": "age", "recipients": list(seal.recipients)} if seal else None

    def _files(self, partial: str) -> list[dict[str, t.Any]]:
        """Hashed by several threads: hashlib lets the others run meanwhile."""
        with concurrent.futures.ThreadPoolExecutor(max(1, self.tools.jobs)) as pool:
            return list(pool.map(lambda name: _file_entry(partial, name), files_below(partial)))


def _file_entry(directory: str, name: str) -> dict[str, t.Any]:
    path = os.path.join(directory, name)
    return {"path": name, "bytes": os.stat(path).st_size, "sha256": sha256_of(path)}


def _free_moment(path: str) -> datetime.datetime:
    """Now; a second later when a backup already bears this second's name."""
    while True:
        now = utc_now()
        if not os.path.exists(os.path.join(path, stamp(now))):
            return now
        time.sleep(0.1)
