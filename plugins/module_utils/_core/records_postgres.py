# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in a PostgreSQL table: the central store of a fleet, with one chain for each host.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The table holds the very lines of the file store, so that a hash means the same in both. An account that may only SELECT
and INSERT is enough once the table exists, and makes the table append-only for whoever writes records.
"""

from __future__ import annotations

import contextlib
import sys
import typing as t

from .chain import GENESIS, ChainReport, ChainWalk, Record, RecordsError, complete, link_of, report, seal
from .records_summary import select

_CONNECT_TIMEOUT_SECONDS = 10
_LOCK_TIMEOUT = "60s"
_ENCODINGS = ("UTF8", "SQL_ASCII")
_READ = "SELECT host, record, hash FROM steward_records WHERE %(host)s IS NULL OR host = %(host)s ORDER BY host, seq"

_CREATE_TABLE = """
CREATE TABLE steward_records (
    host   text   NOT NULL,
    seq    bigint NOT NULL,
    record text   NOT NULL,
    hash   text   NOT NULL,
    PRIMARY KEY (host, seq)
)
"""

# Not to_regclass: a session that waited for another one to make the table would hear from its cache that there is none.
_EXISTS = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'steward_records' AND pg_table_is_visible(oid))"

_MAY_WRITE = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only,
       to_regclass('steward_records') IS NOT NULL AS exists,
       CASE WHEN to_regclass('steward_records') IS NOT NULL
            THEN has_table_privilege(to_regclass('steward_records'), 'INSERT')
                 AND has_table_privilege(to_regclass('steward_records'), 'SELECT')
            ELSE current_schema() IS NOT NULL AND has_schema_privilege(current_schema(), 'CREATE') END AS permitted,
       current_user,
       current_setting('server_encoding')
"""


class PostgresStore:
    """See L{RecordStore}. The location is a libpq URL without a password."""

    def __init__(self, location: str, password: str | None = None) -> None:
        self.location = location
        self._password = password

    def append(self, fields: t.Mapping[str, t.Any]) -> Record:
        record = complete(fields)
        with self._transaction("written") as cursor:
            self._create_table(cursor)
            # One writer at a time for each chain. Statements after this one see what the writer before has committed.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('steward_records'), hashtext(%s))", (record["host"],))
            cursor.execute(
                "SELECT seq, record FROM steward_records WHERE host = %s ORDER BY seq DESC LIMIT 1", (record["host"],)
            )
            last = cursor.fetchone()
            sealed, line = seal(record, link_of(last[1].encode()) if last else GENESIS)
            cursor.execute(
                "INSERT INTO steward_records (host, seq, record, hash) VALUES (%s, %s, %s, %s)",
                (record["host"], last[0] + 1 if last else 1, line.decode(), sealed["hash"]),
            )
        return sealed

    def read(
        self, activities: t.Collection[str] | None = None, limit: int | None = None, host: str | None = None
    ) -> list[Record]:
        return select(self.scan(host)[0], activities or (), limit)

    def scan(self, host: str | None = None) -> tuple[list[Record], ChainReport]:
        records: list[Record] = []
        walks: dict[str, ChainWalk] = {}
        for chain, line, stated_hash in self._lines(host):
            walk = walks.setdefault(chain, ChainWalk(chain))
            record = walk.read(line.encode())
            if record is None:
                continue
            if record["host"] != chain or record["hash"] != stated_hash:
                walk.problems.append(f"record {walk.length} of {chain} does not agree with the columns of its row")
                continue
            records.append(record)
        if host is None:
            records.sort(key=lambda record: str(record["ended"]))
        return records, report(list(walks.values()))

    def verify(self) -> ChainReport:
        return self.scan()[1]

    def check_writable(self) -> str:
        try:
            with self._transaction("written") as cursor:
                cursor.execute(_MAY_WRITE)
                read_only, exists, permitted, user, encoding = cursor.fetchone()
        except RecordsError as exc:
            return str(exc)
        where = f"the records in {self.location} cannot be written: "
        if read_only:
            return f"{where}the server is read-only (a standby, or default_transaction_read_only is on)"
        if not permitted:
            needed = "SELECT and INSERT on the table steward_records" if exists else "CREATE on its first schema"
            return f"{where}{user} needs {needed}"
        if encoding not in _ENCODINGS:
            return f"{where}the database has the encoding {encoding}, which lacks characters: use UTF8"
        return ""

    def _lines(self, host: str | None) -> list[tuple[str, str, str]]:
        with self._transaction("read") as cursor:
            cursor.execute(_EXISTS)
            if not cursor.fetchone()[0]:
                return []
            cursor.execute(_READ, {"host": host})
            return t.cast("list[tuple[str, str, str]]", cursor.fetchall())

    def _create_table(self, cursor: t.Any) -> None:
        cursor.execute(_EXISTS)
        if cursor.fetchone()[0]:
            return
        # CREATE TABLE IF NOT EXISTS fails when two sessions try at the same moment; the second waits here instead.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('steward_records'), hashtext('create table'))")
        cursor.execute(_EXISTS)
        if not cursor.fetchone()[0]:
            cursor.execute(_CREATE_TABLE)

    @contextlib.contextmanager
    def _transaction(self, done: str) -> t.Iterator[t.Any]:
        psycopg2 = _psycopg2()
        try:
            connection = psycopg2.connect(
                self.location,
                password=self._password or None,
                connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                application_name="steward.maintenance:records",
                client_encoding="UTF8",
            )
            with contextlib.closing(connection), connection, connection.cursor() as cursor:
                # What was acknowledged must survive a crash, whatever the defaults of this database are.
                cursor.execute("SET LOCAL synchronous_commit = on")
                cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                yield cursor
        except psycopg2.Error as exc:
            raise RecordsError(f"the records in {self.location} cannot be {done}: {self._cause(exc)}") from exc

    def _cause(self, exc: BaseException) -> str:
        cause = " ".join(str(exc).split()) or type(exc).__name__
        return cause.replace(self._password, "********") if self._password else cause


def _psycopg2() -> t.Any:
    try:
        import psycopg2  # only who keeps records in PostgreSQL needs it
    except ImportError as exc:
        raise RecordsError(
            f"records in PostgreSQL need psycopg2 for {sys.executable}: install the package python3-psycopg2"
            f" or, with pip, psycopg2-binary ({exc})"
        ) from exc
    return psycopg2
