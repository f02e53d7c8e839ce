# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is, told in a comment that pg_stat_activity shows to whoever asks.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import time
import typing as t

#: The server keeps 1,024 bytes of a query's beginning by default.
_MOST_BYTES = 900

#: Before that, what is left is a guess in the dark.
_SECONDS_TO_LEARN = 2.0

#: The part of each running statement that is done, as far as the server's views let it be guessed.
PARTS = """
SELECT pid, least(1, max(part)) FROM (
  SELECT pid, 0.9 * heap_blks_scanned / nullif(heap_blks_total, 0)::float8 AS part
  FROM pg_catalog.pg_stat_progress_vacuum
  UNION ALL
  SELECT pid, CASE WHEN phase LIKE 'building index%%' THEN 0.6 * greatest(
      blocks_done / nullif(blocks_total, 0)::float8, tuples_done / nullif(tuples_total, 0)::float8)
    WHEN phase LIKE 'waiting for writers before validation' OR phase LIKE 'index validation%%' THEN
      0.6 + 0.3 * coalesce(blocks_done / nullif(blocks_total, 0)::float8, 0)
    WHEN phase LIKE 'waiting for old snapshots' OR phase LIKE 'waiting for readers%%' THEN 0.9 ELSE 0 END
  FROM pg_catalog.pg_stat_progress_create_index
  UNION ALL
  SELECT pid, sample_blks_scanned / nullif(sample_blks_total, 0)::float8 FROM pg_catalog.pg_stat_progress_analyze
) AS parts WHERE pid = ANY (%s) AND part IS NOT NULL GROUP BY pid
"""


class Tally:
    """Counts what is done; weights are bytes, or anything else that time goes with."""

    def __init__(self, task: str, database: str, noun: str = "statements", of: int = 0, weight: int = 0) -> None:
        self._told = {"task": task, "noun": noun, "database": database}
        self.of = of
        self.done = 0
        self._weight = weight
        self._weight_done = 0
        self._running: t.Mapping[t.Any, float] = {}
        self._began = time.monotonic()

    def job_ended(self) -> None:
        self.done += 1

    def statement_ended(self, weight: int) -> None:
        self._weight_done += weight

    def running(self, weights: t.Mapping[int, int], parts: t.Mapping[int, float]) -> None:
        """What is at work at the moment: weight and known part by pid."""
        self._running = {pid: weights[pid] * parts.get(pid, 0.0) for pid in weights}

    @property
    def part(self) -> float:
        """Between 0 and 1; by weight where weights are known."""
        if self._weight > 0:
            return min(1.0, (self._weight_done + sum(self._running.values())) / self._weight)
        return min(1.0, self.done / self.of) if self.of else 0.0

    def comment(self) -> str:
        """To stand before a query. Slashes and percent signs are escaped: a name must not end the comment, nor begin
        one in it, nor look like a parameter."""
        seconds, part = time.monotonic() - self._began, self.part
        told: dict[str, t.Any] = dict(self._told, done=self.done, of=max(self.of, self.done), percent=int(100 * part))
        told["seconds_left"] = None
        if seconds >= _SECONDS_TO_LEARN and part >= 0.01:
            told["seconds_left"] = round(seconds * (1 - part) / part)
        text = json.dumps(told)
        if len(text) > _MOST_BYTES:
            text = json.dumps(dict(told, database=""))
        text = text.replace("/", "\\u002f").replace("%", "\\u0025")
        return f"/* steward.maintenance {text} */ "
