# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long clients wait because of maintenance: the longest wait while we do it, and while vacuumdb or reindexdb does.

    python benchmarks/bench_politeness.py [--rounds 2] [--jobs 2] [--ddl-every 5] [--ddl-count 6] [--only vacuum]

Four neglected tables, so large, and the server's vacuum cost delay such, that one VACUUM takes longer than ten seconds
for both sides alike; and four with an index that takes as long to be built. Meanwhile pgbench reads and writes them,
and every few seconds an ALTER TABLE arrives for one that is being maintained: whoever does not give way has all others
queue behind it. Each run starts on a fresh copy of the same cluster, and counts only if an ALTER TABLE met its work.
Ends with `bar NAME VALUE 3 ok|short` for each, and with exit status 1 when one is short. STEWARD_PG_BIN names the
directory of another version's programs. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
import sides  # noqa: E402
from bars import Bars, NotWorked, collisions_with, ends_cleanly_when_told, say  # noqa: E402
from load import Load  # noqa: E402
from neglect import CopiedPostgres, Neglected, Sizes  # noqa: E402
from support.postgres import SHOP  # noqa: E402

LIMIT = 3
#: Seconds that one VACUUM, and one rebuild, has to take, or the comparison says nothing: then no bar is judged.
LONG = 10
_QUIET_SECONDS = 20

_OURS, _THEIRS = ("steward.maintenance:",), ("vacuumdb", "reindexdb")
_BARS = {"vacuum": "longest_wait_seconds", "reindex": "longest_wait_reindex_seconds"}

Work = t.Callable[[CopiedPostgres], str]


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: pathlib.Path) -> None:
        self.options = options
        self.sizes = Sizes(options.tables, options.rows, bloated=0, bloated_rows=0, naps=options.naps)
        self.clusters = Neglected(scratch, self.sizes, vacuum_cost_delay=options.cost_delay)
        self.longest: dict[str, list[float]] = {}
        self.bars = Bars()

    def run(self) -> int:
        for what in self.options.only:
            getattr(self, what)()
        return self.bars.status

    def vacuum(self) -> None:
        with self.clusters.copy("all") as server, sides.vacuums(server, self.sizes.names[:1]):
            seconds = sides.program(server, "vacuumdb", "--analyze", *sides.for_tables(self.sizes.names[:1]))
        say(
            f"one VACUUM (ANALYZE) without load: {seconds:.1f} s"
            f" (vacuum_cost_delay {self.options.cost_delay} on all sides)"
        )
        self._compare("vacuum", "all", seconds, ("postgres_vacuum", self._vacuum), ("vacuumdb", self._vacuumdb))

    def reindex(self) -> None:
        with self.clusters.copy("slow") as server, sides.rebuilds(server, self.sizes.names[:1]):
            words = ("--concurrently", *sides.for_tables(self.sizes.names[:1]))
            seconds = sides.program(server, "reindexdb", *words)
        say(f"the rebuild of one table's indexes without load: {seconds:.1f} s")
        self._compare("reindex", "slow", seconds, ("postgres_reindex", self._reindex), ("reindexdb", self._reindexdb))

    def _compare(
        self, what: str, cluster: str, one_seconds: float, ours: tuple[str, Work], theirs: tuple[str, Work]
    ) -> None:
        if one_seconds < self.options.long:
            raise NotWorked(f"it has to take {self.options.long:g} s at least: give more --rows")
        self._under_load(f"{what}: no maintenance", cluster, self._nothing)
        for _round in range(self.options.rounds):
            self._under_load(ours[0], cluster, ours[1], _OURS)
            self._under_load(theirs[0], cluster, theirs[1], _THEIRS)
        for name, _work in (ours, theirs):
            say(f"longest wait of a client: {name}: {max(self.longest[name]):.2f} s")
        longest = max(self.longest[ours[0]])
        if one_seconds >= LONG:
            self.bars.judge(_BARS[what], longest, LIMIT)
        else:
            say(f"{_BARS[what]} {longest:.3g}: not judged, what is done has to take {LONG} s for that")

    def _under_load(self, name: str, cluster: str, work: Work, applications: t.Sequence[str] = ()) -> None:
        """
        :param applications: beginnings of the names of its sessions, one of which an ALTER TABLE has to meet at work.
        """
        options = self.options
        arguments = (self.sizes.names, self.sizes.rows, options.ddl_every, options.ddl_count)
        with self.clusters.copy(cluster) as server, Load(server, *arguments) as load:
            told = work(server)
        self.longest.setdefault(name, []).append(load.longest)
        usual = statistics.median(load.transactions) * 1000
        met = collisions_with(name, applications, load.collisions)
        ddl = f"{len(load.ddl)} ALTER TABLE, {met} for a table at work, longest {max(load.ddl, default=0):.2f} s"
        say(
            f"{name}: {told}; {len(load.transactions)} transactions, median {usual:.0f} ms,"
            f" longest {max(load.transactions):.2f} s; {ddl}"
        )

    # -- sides -----------------------------------------------------------------------------------------------

    def _nothing(self, server: CopiedPostgres) -> str:
        server.run_sql("SELECT pg_sleep(%s)", parameters=(self.options.quiet_seconds,))
        return f"{self.options.quiet_seconds:g} s"

    def _vacuum(self, server: CopiedPostgres) -> str:
        seconds, answer = sides.module(server, "postgres_vacuum", budget="10m", jobs=self.options.jobs)
        done = {entry["subject"] for entry in answer["done"]}
        counts = sides.vacuum_counts(server)
        unproved = [name for name in done if 0 in counts[name]]
        return self._ours(answer, unproved, set(self.sizes.names), seconds, "tables")

    def _reindex(self, server: CopiedPostgres) -> str:
        before = _files(server)
        arguments = {"state_dir": str(server.directory / "state"), "every_index": True, "budget": "10m"}
        seconds, answer = sides.module(server, "postgres_reindex", jobs=self.options.jobs, **arguments)
        after = _files(server)
        if set(after) != set(before):
            raise NotWorked(f"indexes that were not there before, or are gone: {sorted(set(after) ^ set(before))}")
        done = {entry["subject"] for entry in answer["done"]}
        unproved = [name for name in before if name in done and after[name] == before[name]]
        return self._ours(answer, unproved, set(before), seconds, "indexes")

    def _ours(self, answer: sides.Answer, unproved: list[str], wanted: set[str], seconds: float, noun: str) -> str:
        """What ours calls done must be so, and what it did not do it must have named."""
        done = {entry["subject"] for entry in answer["done"]} & wanted  # those of TOAST tables are done as well
        told = {entry["subject"]: entry["reason"] for entry in answer["not_done"]}
        silent = wanted - done - set(told)
        if unproved or silent:
            raise NotWorked(f"told as done but not done: {unproved}; not told at all: {sorted(silent)}")
        rest = "".join(f", {name} not done: {reason}" for name, reason in sorted(told.items()))
        return f"{seconds:.0f} s, {len(done)} of {len(wanted)} {noun} done{rest}"

    def _vacuumdb(self, server: CopiedPostgres) -> str:
        with sides.vacuums(server, self.sizes.names):
            jobs = ("--jobs", str(self.options.jobs))
            seconds = sides.program(server, "vacuumdb", "--analyze", *jobs, *sides.for_tables(self.sizes.names))
        return f"{seconds:.0f} s, {len(self.sizes.names)} of {len(self.sizes.names)} tables done"

    def _reindexdb(self, server: CopiedPostgres) -> str:
        """An ALTER TABLE that waits for it can end it: the server calls that a deadlock. That is told."""
        before, begin, told = _files(server), time.monotonic(), ""
        try:
            words = ("--concurrently", "--jobs", str(self.options.jobs), *sides.for_tables(self.sizes.names))
            sides.program(server, "reindexdb", *words)
        except NotWorked as exc:
            if "deadlock detected" not in str(exc):
                raise
            left = server.run_sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid", SHOP)[0][0]
            told = f", then ended by a deadlock with an ALTER TABLE; invalid indexes left behind: {left}"
        seconds, after = time.monotonic() - begin, _files(server)
        done = [name for name in before if after[name] != before[name]]
        return f"{seconds:.0f} s, {len(done)} of {len(before)} indexes done{told}"


def _files(server: CopiedPostgres) -> dict[str, int]:
    """The file of each index of the tables."""
    return {f"public.{index}": file for (_table, index), file in sides.index_files(server).items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side under load")
    parser.add_argument("--jobs", type=int, default=2, help="connections at a time, on both sides")
    parser.add_argument("--tables", type=int, default=4)
    parser.add_argument("--rows", type=int, default=250_000, help="rows of each of the tables")
    parser.add_argument("--naps", type=int, default=12_500, help="milliseconds of them in the building of an index")
    parser.add_argument("--cost-delay", default="20ms", help="the server's vacuum_cost_delay")
    parser.add_argument(
        "--long", type=float, default=LONG, help="seconds that one must take; under 10: no bar is judged"
    )
    parser.add_argument("--ddl-every", type=float, default=5, help="seconds from one ALTER TABLE to the next")
    parser.add_argument("--ddl-count", type=int, default=6, help="how many of them arrive in a run")
    parser.add_argument("--quiet-seconds", type=float, default=_QUIET_SECONDS, help="of the load without maintenance")
    parser.add_argument("--only", nargs="+", choices=("vacuum", "reindex"), default=["vacuum", "reindex"])
    return parser.parse_args()


def main() -> int:
    options = _options()
    ends_cleanly_when_told()
    with tempfile.TemporaryDirectory(prefix="bench-politeness-") as directory:
        scratch = pathlib.Path(directory)
        scratch.chmod(0o755)  # root's servers run as another account
        try:
            return Bench(options, scratch).run()
        except NotWorked as exc:
            say(f"no result: {exc}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
