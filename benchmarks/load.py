# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of a database: pgbench's transactions at a steady rate, and DDL that arrives every few seconds."""

from __future__ import annotations

import os
import pathlib
import subprocess
import threading
import time
import typing as t

from bars import NotWorked
from support.postgres import SHOP, PrivatePostgres

_SCRIPT = """\\set id random(1, {rows})
SELECT quantity FROM {table} WHERE id = :id;
UPDATE {table} SET quantity = quantity + 1 WHERE id = :id;
"""
_CLIENTS = 8
_RATE = 50  # transactions a second: little, so that a wait is not for the processor
_LONGEST = 900  # seconds after which pgbench ends by itself
_LOOK_SECONDS, _PATIENCE_SECONDS = 0.05, 10
#: The table that is being vacuumed, or whose index is being built, now, and by whom: the DDL comes where it hurts.
_MAINTAINED = """
SELECT p.relid::regclass::text, a.application_name
FROM (SELECT pid, relid FROM pg_stat_progress_vacuum
      UNION ALL SELECT pid, relid FROM pg_stat_progress_create_index) AS p
JOIN pg_stat_activity AS a ON a.pid = p.pid AND a.datname = current_database()
JOIN pg_class AS c ON c.oid = p.relid AND c.relkind = 'r' ORDER BY p.pid LIMIT 1"""


class Load:
    """A context manager; afterwards `transactions` and `ddl` have the seconds that each client had to wait.

    `collisions` has, for each ALTER TABLE that came while its table was being maintained, the application that did it.

    :param tables: with the columns `id` and `quantity`, and `rows` rows.
    :param ddl_every: seconds from one ALTER TABLE to the next, and up to ten more while nothing is at work.
    :param ddl_count: so many of them.
    """

    def __init__(
        self, server: PrivatePostgres, tables: t.Sequence[str], rows: int, ddl_every: float, ddl_count: int
    ) -> None:
        self.server = server
        self.tables = tables
        self.rows = rows
        self.transactions: list[float] = []
        self.ddl: list[float] = []
        self.collisions: list[str] = []
        self._ddl_every = ddl_every
        self._ddl_count = ddl_count
        self._over = threading.Event()
        self._ddl_error: Exception | None = None
        self._ddl_thread = threading.Thread(target=self._keep_sending_ddl, daemon=True)

    def __enter__(self) -> Load:
        self._pgbench = self._start_pgbench()
        self._ddl_thread.start()
        return self

    def __exit__(self, exc_type: object, *_exc: object) -> None:
        self._over.set()
        self._ddl_thread.join(_LONGEST)
        # pgbench writes the rest of its log when it ends by itself, which it does when its sessions are gone.
        self.server.run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'")
        output = self._pgbench.communicate(timeout=60)[0].decode(errors="replace")
        if exc_type is None:
            if self._ddl_error:
                raise NotWorked(f"an ALTER TABLE ended in an error: {self._ddl_error}")
            for log in self._directory.glob("transactions.*"):
                self.transactions += transaction_seconds(log.read_text(encoding="utf-8"))
            if not self.transactions:
                raise NotWorked(f"pgbench recorded no transaction: {output[-1000:]}")

    @property
    def longest(self) -> float:
        return max([*self.transactions, *self.ddl])

    def _start_pgbench(self) -> subprocess.Popen[bytes]:
        self._directory = pathlib.Path(self.server.directory) / "load"
        self._directory.mkdir()
        scripts = []
        for number, table in enumerate(self.tables):
            script = self._directory / f"{number}.sql"
            script.write_text(_SCRIPT.format(rows=self.rows, table=table), encoding="utf-8")
            scripts += ["--file", str(script)]
        server = self.server
        place = ["--host", server.socket_dir, "--port", str(server.port), "--username", server.superuser]
        how = ["--no-vacuum", f"--client={_CLIENTS}", f"--rate={_RATE}", f"--time={_LONGEST}", "--log"]
        return subprocess.Popen(
            [os.path.join(server.bin_dir, "pgbench"), *place, *how, *scripts, "--log-prefix", "transactions", SHOP],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _keep_sending_ddl(self) -> None:
        try:
            self._send_ddl()
        except Exception as exc:  # noqa: BLE001 - of a thread; it is raised where the load ends
            self._ddl_error = exc

    def _send_ddl(self) -> None:
        conn = self.server.connect(SHOP)
        with conn.cursor() as cursor:
            for number in range(self._ddl_count):
                if self._over.wait(self._ddl_every):
                    break
                maintained = self._maintained(cursor)
                table = maintained[0] if maintained else self.tables[number % len(self.tables)]
                begin = time.monotonic()
                cursor.execute(f"ALTER TABLE {table} ADD COLUMN added_{number} int")
                self.ddl.append(time.monotonic() - begin)
                if maintained:
                    self.collisions.append(maintained[1])
        conn.close()

    def _maintained(self, cursor: t.Any) -> tuple[str, str] | None:
        """The table at work and by whom; where nothing is, it is waited for, and not for ever."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while True:
            cursor.execute(_MAINTAINED)
            found = cursor.fetchone()
            if found or time.monotonic() > give_up or self._over.wait(_LOOK_SECONDS):
                return t.cast("tuple[str, str] | None", found)


def transaction_seconds(log: str) -> list[float]:
    """The third column of `pgbench --log --rate`: microseconds from when a transaction was due until it was over."""
    columns = (line.split() for line in log.splitlines())
    return [int(words[2]) / 1e6 for words in columns if len(words) > 2 and words[2].isdigit()]
