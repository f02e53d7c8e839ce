# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL maintenance side by side with what a user would run otherwise.

    python benchmarks/bench_postgres.py [--rounds 5] [--jobs 2] [--tables 1000] [--only idle all few loop reindex]

Every measured run starts on a fresh copy of the same stopped cluster, the sides take turns, and a side is only counted
when the catalog shows that it did its work. Prints `bar NAME VALUE LIMIT ok|short` for each bar, and ends with exit
status 1 when one is short. STEWARD_PG_BIN names the directory of another version's programs. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import tempfile
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
import sides  # noqa: E402
from bars import Bars, NotWorked, ends_cleanly_when_told, in_turn, ratio, say, tell  # noqa: E402
from neglect import INDEXES, MEASURED, CopiedPostgres, Neglected, Sizes  # noqa: E402

from playbooks import Playbooks  # noqa: E402

#: What the bars are judged on; other sizes are for trying things out.
STANDARD = Sizes(tables=1000, rows=10_000, bloated=12, bloated_rows=2_000_000)
LIMITS = {
    "idle_1000_tables_seconds": 2,
    "idle_1000_tables_analyze_seconds": 2,
    "idle_1000_tables_reindex_seconds": 2,
    "vacuum_all_ratio": 1.05,
    "vacuum_few_ratio": 0.15,
    "vacuum_loop_ratio": 0.02,
    "reindex_ratio": 1.05,
}


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: pathlib.Path) -> None:
        self.options = options
        self.scratch = scratch
        self.sizes = Sizes(options.tables, options.rows, options.bloated, options.bloated_rows)
        self.clusters = Neglected(scratch, self.sizes)
        self.bars = Bars()
        self.jobs = {"jobs": options.jobs}

    # -- scenarios -------------------------------------------------------------------------------------------

    def idle(self) -> None:
        """Nothing is due on any table. What a rebuild knows of the indexes is forgotten before each round."""

        def vacuum(server: CopiedPostgres, **more: str) -> float:
            return _idle(server, "postgres_vacuum", {**more, **self.jobs})

        def reindex(server: CopiedPostgres) -> float:
            with tempfile.TemporaryDirectory(dir=self.scratch) as state, sides.measures(server, MEASURED):
                return _idle(server, "postgres_reindex", {"state_dir": state, **self.jobs})

        with self.clusters.copy("measured") as server:
            seconds = in_turn(
                {
                    "postgres_vacuum": lambda: vacuum(server),
                    "postgres_vacuum, task analyze": lambda: vacuum(server, task="analyze"),
                    "postgres_reindex": lambda: reindex(server),
                },
                self.options.rounds,
            )
        tell("idle", seconds)
        say(f"idle: the server's log has no VACUUM, ANALYZE or REINDEX; each time {MEASURED} indexes were measured")
        for name, each in zip(("", "analyze_", "reindex_"), seconds.values()):  # noqa: B905 - Python 3.9
            self._judge(f"idle_1000_tables_{name}seconds", statistics.median(each))

    def all(self) -> None:
        """Every table is due: the same statements on both sides, so vacuumdb gets the tables by name."""
        self._against_vacuumdb("all", self.sizes.names, "vacuum_all_ratio")

    def few(self) -> None:
        """One table in twenty is due: who does not decide by need does all of them."""
        self._against_vacuumdb("few", self.sizes.few, "vacuum_few_ratio")

    def loop(self) -> None:
        """In a playbook on both sides. The loop runs once, between ours, and does every table: it knows no need."""
        playbooks = Playbooks(self.scratch, self.options.jobs)
        for state in self.options.loop_due:
            self._loop(playbooks, state)

    def _loop(self, playbooks: Playbooks, state: str) -> None:
        due = {"few": self.sizes.few, "all": self.sizes.names}[state]
        tables = self.sizes.names[: self.options.loop_tables or None]

        def ours() -> float:
            with self.clusters.copy(state) as server, sides.vacuums(server, due):
                return playbooks.ours(server)

        def theirs() -> float:
            with self.clusters.copy(state) as server, sides.vacuums(server, tables):
                return playbooks.loop(server, tables)

        seconds = [ours()]
        loop = theirs()
        seconds += [ours(), ours()]
        title = f"{len(due)} of {self.options.tables} due"
        looped = f"community.postgresql.postgresql_query over {len(tables)} tables"
        tell(f"loop, {title}", {"a playbook with postgres_vacuum": seconds, looped: [loop]})
        if len(tables) != self.options.tables:
            say("loop: it was shortened, so there is no ratio")
        elif state == "few":
            self._judge("vacuum_loop_ratio", statistics.median(seconds) / loop)
        else:
            ratio_ = statistics.median(seconds) / loop
            say(f"vacuum_loop_all_ratio {ratio_:.3g}: told, not judged, because the bar is for few tables that are due")

    def reindex(self) -> None:
        """The same bloated indexes; ours has to find them first, reindexdb gets their tables by name."""
        tables = self.sizes.bloated_names

        def ours(server: CopiedPostgres) -> float:
            seconds, answer = sides.module(
                server, "postgres_reindex", state_dir=str(server.directory / "state"), **self.jobs
            )
            _expect(answer, INDEXES * len(tables))
            return seconds

        def theirs(server: CopiedPostgres, **environment: str) -> float:
            words = ["--concurrently", "--jobs", str(self.options.jobs), *sides.for_tables(tables)]
            return sides.program(server, "reindexdb", *words, **environment)

        def like_ours(server: CopiedPostgres) -> float:
            return theirs(server, PGOPTIONS="-c max_parallel_maintenance_workers=0")

        def proved(server: CopiedPostgres) -> t.ContextManager[None]:
            return sides.rebuilds(server, tables)

        contenders = {"postgres_reindex": (ours, proved), "reindexdb --concurrently": (theirs, proved)}
        if self.options.like_ours:
            contenders["reindexdb --concurrently, without parallel workers as ours"] = (like_ours, proved)
        self._compare("reindex", "bloated", contenders, "reindex_ratio")

    # -- how -------------------------------------------------------------------------------------------------

    def _against_vacuumdb(self, cluster: str, due: t.Sequence[str], bar: str) -> None:
        def ours(server: CopiedPostgres) -> float:
            seconds, answer = sides.module(server, "postgres_vacuum", **self.jobs)
            _expect(answer, len(due))
            return seconds

        def theirs(server: CopiedPostgres) -> float:
            jobs = ("--jobs", str(self.options.jobs))
            return sides.program(server, "vacuumdb", "--analyze", *jobs, *sides.for_tables(self.sizes.names))

        self._compare(
            cluster,
            cluster,
            {
                "postgres_vacuum": (ours, lambda server: sides.vacuums(server, due)),
                "vacuumdb --analyze": (theirs, lambda server: sides.vacuums(server, self.sizes.names)),
            },
            bar,
        )

    def _compare(self, scenario: str, cluster: str, contenders: t.Mapping[str, t.Any], bar: str) -> None:
        """Each on its own copy, in turn, and proved. The bar is for the second one, what else there is is told."""

        def measured(work: t.Any, proved: t.Any) -> float:
            with self.clusters.copy(cluster) as server, proved(server):
                return float(work(server))

        seconds = in_turn(
            {name: lambda pair=pair: measured(*pair) for name, pair in contenders.items()}, self.options.rounds
        )
        tell(f"{scenario}, {self.options.jobs} jobs", seconds)
        ours, theirs, *others = seconds
        for other in others:
            say(f"{scenario}: {ratio(seconds[ours], seconds[other]):.3g} times {other}")
        self._judge(bar, ratio(seconds[ours], seconds[theirs]))

    def _judge(self, bar: str, value: float) -> None:
        if self.sizes == STANDARD:
            self.bars.judge(bar, value, LIMITS[bar])
        else:
            say(f"{bar} {value:.3g}: not judged, the sizes are not those of the bar")


def _idle(server: CopiedPostgres, name: str, given: t.Mapping[str, t.Any]) -> float:
    with sides.leaves_alone(server):
        seconds, answer = sides.module(server, name, **given)
    if answer["changed"] or answer["planned"]:
        raise NotWorked(f"{name} found something due on a healthy database: {answer['planned'][:3]}")
    return seconds


def _expect(answer: sides.Answer, count: int) -> None:
    if len(answer["done"]) != count or answer["not_done"]:
        raise NotWorked(f"{len(answer['done'])} of {count} done; not done: {answer['not_done'][:3]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scenarios = ("idle", "all", "few", "loop", "reindex")
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each side (the loop runs once)")
    parser.add_argument("--jobs", type=int, default=2, help="connections at a time, on both sides")
    parser.add_argument("--tables", type=int, default=STANDARD.tables)
    parser.add_argument("--rows", type=int, default=STANDARD.rows, help="rows of each of them")
    parser.add_argument("--bloated", type=int, default=STANDARD.bloated, help=f"tables of {INDEXES} bloated indexes")
    parser.add_argument("--bloated-rows", type=int, default=STANDARD.bloated_rows, help="before half are deleted")
    parser.add_argument("--loop-tables", type=int, default=0, help="shorten the loop; then its bar is not judged")
    parser.add_argument(
        "--loop-due", nargs="+", choices=("few", "all"), default=["few"], help="the states that the loop finds, in turn"
    )
    parser.add_argument("--like-ours", action="store_true", help="reindexdb without parallel workers as a third side")
    parser.add_argument(
        "--only", nargs="+", choices=scenarios, default=scenarios, metavar="SCENARIO", help="of: %(choices)s"
    )
    return parser.parse_args()


def main() -> int:
    options = _options()
    ends_cleanly_when_told()
    with tempfile.TemporaryDirectory(prefix="bench-postgres-") as directory:
        scratch = pathlib.Path(directory)
        scratch.chmod(0o755)  # root's servers run as another account
        bench = Bench(options, scratch)
        try:
            for scenario in options.only:
                getattr(bench, scenario)()
        except NotWorked as exc:
            say(f"no result: {exc}")
            return 1
    return bench.bars.status


if __name__ == "__main__":
    sys.exit(main())
