# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database for backups: text that compresses as an application's does, one table as large as all others together."""

from __future__ import annotations

import pathlib
import time
import typing as t

from bars import NotWorked, say
from support.modules import run_with_start
from support.postgres import SHOP, PrivatePostgres

#: What the bars are judged on; other sizes are for trying things out.
STANDARD_ROWS = 12_500_000
STANDARD_BYTES = 3_000_000_000

_LONGEST = 1800  # seconds that one module may take
_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "log_statement": "none"}

#: Half of all rows are in one table: its dump bounds every way of dumping that is parallel by table.
_SHARES = {"events": 24, "orders": 8, "invoices": 8, "messages": 6, **{f"small_{number}": 1 for number in range(2)}}
_PARTS = sum(_SHARES.values())

_SENTENCES = """CREATE TABLE sentences AS
SELECT id, string_agg(word, ' ') AS text FROM (
  SELECT id, (ARRAY['the','order','customer','has','been','sent','paid','returned','to','from','address','please',
    'call','back','invoice','number','delivery','late','thank','you','for','your','reply','we','will','look','into','it'])
    [1 + (hashint8(id * 31 + n)::bigint + 2147483648) % 28] AS word
  FROM generate_series(0, 19999) AS id, generate_series(1, 14) AS n) AS words
GROUP BY id"""
_TABLE = """CREATE TABLE {name} AS
SELECT g AS id, (g * 7919) % 500000 AS customer, timestamptz '2026-01-01' + g * interval '7 s' AS at,
  ((g * 104729) % 1000000) / 100.0 AS amount, substr(md5(g::text), 1, 12) AS reference, a.text || '. ' || b.text AS note
FROM generate_series(1::bigint, {rows}) AS g
  JOIN sentences a ON a.id = (g * 104729) % 20000 JOIN sentences b ON b.id = (g * 1299709 + g / 20000) % 20000"""


class Warehouse:
    """A running server with that database, built when it is entered.

    :param rows: over all tables; a million are about 0.27 GB.
    """

    def __init__(self, scratch: pathlib.Path, rows: int) -> None:
        self.rows = rows
        self.server = PrivatePostgres(directory=scratch / "warehouse", settings=_SETTINGS)

    def __enter__(self) -> Warehouse:
        say(f"building a database of {self.rows} rows")
        self.server.create()
        try:
            self.server.start()
            self._fill()
        except BaseException:
            self.server.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.server.close()

    @property
    def bytes(self) -> int:
        return int(self.server.run_sql("SELECT pg_database_size(%s)", parameters=(SHOP,))[0][0])

    def counts(self) -> dict[str, int]:
        """Rows of each table, by arithmetic."""
        return {name: self.rows * share // _PARTS for name, share in _SHARES.items()}

    def _fill(self) -> None:
        run: t.Callable[..., t.Any] = self.server.run_sql
        run(f"CREATE DATABASE {SHOP}")
        run(_SENTENCES, SHOP)
        for name, rows in self.counts().items():
            run(_TABLE.format(name=name, rows=rows), SHOP)
            run(f"ALTER TABLE {name} ADD PRIMARY KEY (id)", SHOP)
        run("DROP TABLE sentences", SHOP)
        run("VACUUM ANALYZE", SHOP)
        run("CHECKPOINT", SHOP)


def timed(name: str, arguments: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], float]:
    """The answer of a module that has to change something, and the seconds of its process."""
    begin = time.monotonic()
    answer = run_with_start(name, arguments, timeout=_LONGEST)
    seconds = time.monotonic() - begin
    if answer["failed"] or not answer["changed"]:
        raise NotWorked(f"{name} did not work: {answer.get('msg')}")
    return answer, seconds
