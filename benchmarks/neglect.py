# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that were neglected on purpose: built once, stopped cleanly, and copied before each measurement."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import typing as t

from bars import NotWorked, say
from support.postgres import SHOP, PrivatePostgres, wait_for

#: Over PrivatePostgres' own. All statements are logged, on every side alike: the log is the proof of what was done.
#: What is committed is on the disk, as in production.
_SETTINGS = {"fsync": "on", "shared_buffers": "128MB", "max_wal_size": "8GB", "checkpoint_timeout": "1h"}

#: The many tables look like an application's, a bit: nine columns of the usual types and two indexes.
_ORDERS = """CREATE TABLE {name} (
    id int PRIMARY KEY, customer int NOT NULL, product int NOT NULL, quantity smallint NOT NULL, state text NOT NULL,
    amount numeric NOT NULL, created timestamptz NOT NULL, paid boolean NOT NULL, shipped date);
INSERT INTO {name}
    SELECT id, id % 500, id % 77, id % 9, (ARRAY['new', 'paid', 'sent'])[1 + id % 3], id * 1.17,
        timestamptz '2026-01-01' + id * interval '1 min', id % 3 > 0, date '2026-01-01' + id % 300
    FROM generate_series(1, {rows}) AS id;
CREATE INDEX ON {name} (customer)"""
#: Over the limit of autovacuum's formula, which is a fifth of the rows and 50.
_NEGLECT = "UPDATE {name} SET quantity = quantity + 1 WHERE id % 10 < 3"
#: Every twentieth table is neglected where only few are.
_ONE_IN = 20

#: Tables whose indexes are large enough to be measured, and well.
_HISTORY = """CREATE TABLE {name} (id int PRIMARY KEY, token text NOT NULL);
INSERT INTO {name} SELECT id, md5(id::text) FROM generate_series(1, {rows}) AS id;
CREATE INDEX ON {name} (token)"""
_MEASURED_TABLES = 10
#: The index of its primary key is just over one MiB, from which on an index is measured; that of its tokens is larger.
_MEASURED_ROWS = 60_000
#: Large indexes that a rebuild has to look into before it can say that nothing is due.
MEASURED = 2 * _MEASURED_TABLES

#: An index that takes long to be built, whatever the processor: it naps for a millisecond every so many rows, and so
#: many times in all.
_SLOW_INDEX = """CREATE INDEX ON {name} (slowly(id))"""
_SLOWLY = """CREATE OR REPLACE FUNCTION slowly(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  IF i % {every} = 0 THEN PERFORM pg_catalog.pg_sleep(0.001); END IF; RETURN i; END $$"""
_NAPS = 12_500

#: Each index of these tables is bloated: every other row goes, so that no page of the index becomes free.
_EVENTS = """CREATE TABLE {name} (id int PRIMARY KEY, state int NOT NULL, token text NOT NULL);
INSERT INTO {name} SELECT id, id / 1000, md5(id::text) FROM generate_series(1, {rows}) AS id;
CREATE INDEX ON {name} (token);
CREATE INDEX ON {name} (state, token);
DELETE FROM {name} WHERE id % 2 = 0"""
#: Indexes of such a table.
INDEXES = 3


@dataclasses.dataclass(frozen=True)
class Sizes:
    tables: int
    rows: int
    bloated: int
    bloated_rows: int
    naps: int = _NAPS

    @property
    def names(self) -> list[str]:
        return [f"public.t_{number:04d}" for number in range(1, self.tables + 1)]

    @property
    def history(self) -> list[str]:
        return [f"public.h_{number:02d}" for number in range(1, _MEASURED_TABLES + 1)]

    @property
    def few(self) -> list[str]:
        return self.names[::_ONE_IN]

    @property
    def bloated_names(self) -> list[str]:
        return [f"public.b_{number:02d}" for number in range(1, self.bloated + 1)]


class CopiedPostgres(PrivatePostgres):
    """A server whose data directory is a copy of a stopped one's."""

    def __init__(self, origin: pathlib.Path, directory: pathlib.Path, **settings: str) -> None:
        super().__init__(directory=directory, settings={**_SETTINGS, **settings})
        self.origin = origin

    def create(self) -> None:
        self._own(self.directory, self.socket_dir)
        subprocess.run(["cp", "-a", "--reflink=auto", str(self.origin), str(self.data)], check=True)
        os.sync()  # else the disk writes the copy while the side is measured, for some more and for others less
        self.configure()


class Neglected:
    """The clusters of one benchmark, each built when it is first asked for.

    :param settings: lines for the postgresql.conf of the copies.
    """

    def __init__(self, scratch: pathlib.Path, sizes: Sizes, **settings: str) -> None:
        self.scratch = scratch
        self.sizes = sizes
        self.settings = settings
        self._built: dict[str, pathlib.Path] = {}
        self._copies = 0

    def copy(self, name: str) -> CopiedPostgres:
        """A fresh copy, not yet started; a context manager."""
        origin = self._origin(name)
        self._copies += 1
        return CopiedPostgres(origin, self.scratch / f"copy-{self._copies}", **self.settings)

    def _origin(self, name: str) -> pathlib.Path:
        if name not in self._built:
            origin, change = {
                "healthy": ("", self._fill),
                "all": ("healthy", lambda server: self._neglect(server, self.sizes.names)),
                "few": ("healthy", lambda server: self._neglect(server, self.sizes.few)),
                "measured": ("healthy", self._add_history),
                "slow": ("healthy", self._slow_down),
                "bloated": ("", self._bloat),
            }[name]
            hasty = {**_SETTINGS, "fsync": "off"}  # of a cluster that is being built nothing has to last
            server: PrivatePostgres = PrivatePostgres(directory=self.scratch / name, settings=hasty)
            if origin:
                server = CopiedPostgres(self._origin(origin), self.scratch / name, fsync="off")
            say(f"building the cluster '{name}'")
            try:
                server.create()
                server.start()
                change(server)
                _shed_wal(server)
                server.stop()  # not `immediate`: a clean stop saves the statistics
            except BaseException:
                server.close()
                raise
            self._built[name] = server.data
        return self._built[name]

    def _fill(self, server: PrivatePostgres) -> None:
        server.run_sql(f"CREATE DATABASE {SHOP}")
        _for_each(server, self.sizes.names, _ORDERS, self.sizes.rows)
        _wait_for_statistics(server, "n_tup_ins", self.sizes.tables * self.sizes.rows)
        _vacuum(server)

    def _neglect(self, server: PrivatePostgres, names: t.Sequence[str]) -> None:
        _for_each(server, names, _NEGLECT)
        _wait_for_statistics(server, "n_tup_upd", len(names) * self.sizes.rows * 3 // 10)

    def _add_history(self, server: PrivatePostgres) -> None:
        server.run_sql("CREATE EXTENSION pgstattuple", SHOP)
        _for_each(server, self.sizes.history, _HISTORY, _MEASURED_ROWS)
        _wait_for_statistics(server, "n_tup_ins", len(self.sizes.history) * _MEASURED_ROWS)
        _vacuum(server)

    def _slow_down(self, server: PrivatePostgres) -> None:
        server.run_sql(_SLOWLY.format(every=self.sizes.rows + 1), SHOP)  # no nap while we build
        _for_each(server, self.sizes.names, _SLOW_INDEX)
        server.run_sql(_SLOWLY.format(every=max(1, self.sizes.rows // self.sizes.naps)), SHOP)

    def _bloat(self, server: PrivatePostgres) -> None:
        server.run_sql(f"CREATE DATABASE {SHOP}")
        server.run_sql("CREATE EXTENSION pgstattuple", SHOP)
        _for_each(server, self.sizes.bloated_names, _EVENTS, self.sizes.bloated_rows)
        _wait_for_statistics(server, "n_tup_del", self.sizes.bloated * self.sizes.bloated_rows // 2)
        _vacuum(server)


def _for_each(server: PrivatePostgres, names: t.Sequence[str], sql: str, rows: int = 0) -> None:
    conn = server.connect(SHOP)
    try:
        with conn.cursor() as cursor:
            for name in names:
                cursor.execute(sql.format(name=name, rows=rows))
    finally:
        conn.close()


def _shed_wal(server: PrivatePostgres) -> None:
    """Gigabytes of it, kept to be used again, would be copied with each copy."""
    for sql in (
        "ALTER SYSTEM SET min_wal_size = '64MB'",
        "ALTER SYSTEM SET max_wal_size = '64MB'",
        "SELECT pg_reload_conf(), pg_sleep(1)",
        "CHECKPOINT",
        "SELECT pg_switch_wal()",
        "CHECKPOINT",
        "ALTER SYSTEM RESET min_wal_size",
        "ALTER SYSTEM RESET max_wal_size",
    ):
        server.run_sql(sql)


def _vacuum(server: PrivatePostgres) -> None:
    socket = ("--host", server.socket_dir, "--port", str(server.port), "--username", server.superuser)
    server.program("vacuumdb", *socket, "--analyze", "--jobs", "2", "--dbname", SHOP)


def _wait_for_statistics(server: PrivatePostgres, column: str, least: int) -> None:
    """Up to 14 they travel through a collector, from 15 on a session hands them in when it ends."""
    sql = f"SELECT coalesce(sum({column}), 0) FROM pg_stat_user_tables"
    try:
        wait_for(lambda: server.run_sql(sql, SHOP)[0][0] >= least, f"{column} of {least} rows in the statistics")
    except AssertionError as exc:
        raise NotWorked(str(exc)) from exc
