# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long clients wait because of maintenance: the longest wait while we vacuum, and while vacuumdb does.

    python benchmarks/bench_politeness.py [--rounds 2] [--jobs 2] [--ddl-every 5] [--ddl-count 6]

Four neglected tables, so large, and the server's vacuum cost delay such, that one VACUUM takes longer than ten seconds
for both sides alike. Meanwhile pgbench reads and writes them, and every few seconds an ALTER TABLE arrives for one that
is being vacuumed: whoever does not give way has all others queue behind it. Each run starts on a fresh copy of the same
cluster. Ends with `bar longest_wait_seconds VALUE 3 ok|short`, and with exit status 1 when it is short.
STEWARD_PG_BIN names the directory of another version's programs. See docs/benchmarks.md.
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
from bars import Bars, NotWorked, ends_cleanly_when_told, say  # noqa: E402
from load import Load  # noqa: E402
from neglect import CopiedPostgres, Neglected, Sizes  # noqa: E402

LIMIT = 3
#: Seconds that one VACUUM has to take, or the comparison says nothing.
LONG = 10
_COST_DELAY = "20ms"
_QUIET_SECONDS = 20


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: pathlib.Path) -> None:
        self.options = options
        self.sizes = Sizes(tables=4, rows=options.rows, bloated=0, bloated_rows=0)
        self.clusters = Neglected(scratch, self.sizes, vacuum_cost_delay=_COST_DELAY)
        self.longest: dict[str, list[float]] = {}

    def run(self) -> int:
        self._undisturbed()
        sides_: dict[str, t.Callable[[CopiedPostgres], str]] = {
            "postgres_vacuum": self._ours,
            "vacuumdb --analyze": self._vacuumdb,
        }
        self._under_load("no maintenance", self._nothing)
        for _round in range(self.options.rounds):
            for name, work in sides_.items():
                self._under_load(name, work)
        for name, waits in self.longest.items():
            say(f"longest wait of a client: {name}: {max(waits):.2f} s")
        bars = Bars()
        bars.judge("longest_wait_seconds", max(self.longest["postgres_vacuum"]), LIMIT)
        return bars.status

    def _undisturbed(self) -> None:
        """What one VACUUM takes, and so what a client may have to wait for it."""
        with self.clusters.copy("all") as server, sides.vacuums(server, self.sizes.names[:1]):
            seconds = sides.program(server, "vacuumdb", "--analyze", *sides.for_tables(self.sizes.names[:1]))
        say(f"one VACUUM (ANALYZE) without load: {seconds:.1f} s (vacuum_cost_delay {_COST_DELAY} on all sides)")
        if seconds < LONG:
            raise NotWorked(f"one VACUUM has to take {LONG} s at least: give more --rows")

    def _under_load(self, name: str, work: t.Callable[[CopiedPostgres], str]) -> None:
        options = self.options
        arguments = (self.sizes.names, self.sizes.rows, options.ddl_every, options.ddl_count)
        with self.clusters.copy("all") as server, Load(server, *arguments) as load:
            told = work(server)
        self.longest.setdefault(name, []).append(load.longest)
        usual = statistics.median(load.transactions) * 1000
        say(
            f"{name}: {told}; {len(load.transactions)} transactions, median {usual:.0f} ms,"
            f" longest {max(load.transactions):.2f} s; {len(load.ddl)} ALTER TABLE, longest {max(load.ddl):.2f} s"
        )

    # -- sides -----------------------------------------------------------------------------------------------

    def _nothing(self, server: CopiedPostgres) -> str:
        server.run_sql("SELECT pg_sleep(%s)", parameters=(_QUIET_SECONDS,))
        return f"{_QUIET_SECONDS} s"

    def _ours(self, server: CopiedPostgres) -> str:
        seconds, answer = sides.module(server, "postgres_vacuum", budget="10m", jobs=self.options.jobs)
        done = {entry["subject"] for entry in answer["done"]}
        told = {entry["subject"]: entry["reason"] for entry in answer["not_done"]}
        counts = sides.vacuum_counts(server)
        unproved = [name for name in done if 0 in counts[name]]
        silent = set(self.sizes.names) - done - set(told)
        if unproved or silent:
            raise NotWorked(f"told as done but not done: {unproved}; not told at all: {sorted(silent)}")
        rest = "".join(f", {name} not done: {reason}" for name, reason in sorted(told.items()))
        return f"{seconds:.0f} s, {len(done)} of {len(self.sizes.names)} tables done{rest}"

    def _vacuumdb(self, server: CopiedPostgres) -> str:
        with sides.vacuums(server, self.sizes.names):
            jobs = ("--jobs", str(self.options.jobs))
            seconds = sides.program(server, "vacuumdb", "--analyze", *jobs, *sides.for_tables(self.sizes.names))
        return f"{seconds:.0f} s, {len(self.sizes.names)} of {len(self.sizes.names)} tables done"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side under load")
    parser.add_argument("--jobs", type=int, default=2, help="connections at a time, on both sides")
    parser.add_argument("--rows", type=int, default=250_000, help="rows of each of the four tables")
    parser.add_argument("--ddl-every", type=float, default=5, help="seconds from one ALTER TABLE to the next")
    parser.add_argument("--ddl-count", type=int, default=6, help="how many of them arrive in a run")
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
