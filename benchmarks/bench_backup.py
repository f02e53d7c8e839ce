# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups side by side: ours, the guide's `pg_dump | gzip`, and what else a user would run. And what a proof costs.

    python benchmarks/bench_backup.py [--rounds 3] [--jobs 2] [--rows 12500000] [--only OURS GUIDE ...]

One generated database of at least 3 GB, one server, the sides take turns. Ours is the whole module: dump, row counts,
hashes of all files, manifest, fsync. The others end when their file is written. Each side's size is printed. Prints
`bar NAME VALUE LIMIT ok|short` for each bar, and ends with exit status 1 when one is short. STEWARD_PG_BIN names the
directory of another version's programs. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shlex
import shutil
import statistics
import sys
import tempfile
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
import sides  # noqa: E402
from bars import Bars, NotWorked, ends_cleanly_when_told, in_turn, ratio, say, tell  # noqa: E402
from support.postgres import SHOP  # noqa: E402
from warehouse import STANDARD_BYTES, STANDARD_ROWS, Warehouse, timed  # noqa: E402

LIMITS = {"backup_guide_ratio": 0.4, "backup_zstd_ratio": 1.15, "verify_backup_ratio": 3}

OURS, GUIDE = "ours", "guide"


class Bench:
    def __init__(self, options: argparse.Namespace, warehouse: Warehouse, scratch: pathlib.Path) -> None:
        self.options = options
        self.warehouse = warehouse
        self.scratch = scratch
        self.sizes: dict[str, int] = {}
        self.verified: list[float] = []
        self.bars = Bars()
        server = warehouse.server
        self.login = {"login_unix_socket": server.socket_dir, "login_port": server.port, "login_user": server.superuser}

    def run(self) -> None:
        contenders = {name: side for name, side in self._contenders().items() if name in self.options.only}
        seconds = in_turn(contenders, self.options.rounds)
        titles = {
            name: f"{title}, {self.sizes[name] / 1e6:.0f} MB"
            for name, title in self._titles().items()
            if name in seconds
        }
        tell(f"backup, {self.options.jobs} jobs", {titles[name]: each for name, each in seconds.items()})
        if OURS not in seconds:
            return
        if GUIDE in seconds:
            self._judge("backup_guide_ratio", ratio(seconds[OURS], seconds[GUIDE]))
        equal = {name: each for name, each in seconds.items() if name.startswith("zstd")}
        if equal:
            fastest = min(equal, key=lambda name: statistics.median(equal[name]))
            say(f"the fastest pg_dump with zstd: {titles[fastest]}")
            self._judge("backup_zstd_ratio", ratio(seconds[OURS], equal[fastest]))
        tell("verify", {"all of it restored and compared": self.verified})
        self._judge("verify_backup_ratio", ratio(self.verified, seconds[OURS]))

    # -- the sides -------------------------------------------------------------------------------------------

    def _titles(self) -> dict[str, str]:
        jobs = self.options.jobs
        return {
            OURS: "postgres_backup, with counts, hashes and manifest",
            GUIDE: "pg_dump | gzip",
            "custom": "pg_dump -Fc",
            "directory": f"pg_dump -Fd -j{jobs}",
            "zstd-pipe": f"pg_dump -Fc -Z0 | zstd -T{jobs}",
            "zstd-custom": "pg_dump -Fc --compress=zstd",
            "zstd-directory": f"pg_dump -Fd -j{jobs} --compress=zstd",
        }

    def _contenders(self) -> dict[str, t.Callable[[], float]]:
        jobs = self.options.jobs
        dump = shlex.join(
            [
                os.path.join(self.warehouse.server.bin_dir, "pg_dump"), "-h", self.warehouse.server.socket_dir,
                "-p", str(self.warehouse.server.port), "-U", self.warehouse.server.superuser, SHOP,
            ]
        )  # fmt: skip
        sides_of = {
            OURS: self._ours,
            GUIDE: self._shell(GUIDE, f"{dump} | gzip > {{target}}"),
            "custom": self._shell("custom", f"{dump} -Fc -f {{target}}"),
            "directory": self._shell("directory", f"{dump} -Fd -j{jobs} -f {{target}}"),
            "zstd-pipe": self._shell("zstd-pipe", f"{dump} -Fc -Z0 | zstd -q -T{jobs} -o {{target}}"),
        }
        if self.warehouse.server.major >= 16:
            sides_of["zstd-custom"] = self._shell("zstd-custom", f"{dump} -Fc --compress=zstd -f {{target}}")
            directory = f"{dump} -Fd -j{jobs} --compress=zstd -f {{target}}"
            sides_of["zstd-directory"] = self._shell("zstd-directory", directory)
        return sides_of

    def _shell(self, name: str, command: str) -> t.Callable[[], float]:
        """A side that is a command; with pipefail, so that no stage's failure is taken for speed."""

        def measured() -> float:
            target = self.scratch / f"dump-{name}"
            try:
                script = "set -o pipefail; " + command.format(target=shlex.quote(str(target)))
                seconds = sides.run(["bash", "-c", script], {})
                self._note_size(name, target)
            finally:
                _remove(target)
            return seconds

        return measured

    def _ours(self) -> float:
        """A backup, and as its proof the verification, whose time counts for a bar of its own."""
        path = self.scratch / "backups"
        given = {"path": str(path), "bin_dir": self.warehouse.server.bin_dir, "jobs": self.options.jobs}
        try:
            backup, seconds = timed("postgres_backup", {**self.login, "databases": [SHOP], **given})
            (entry,) = [one for one in _manifest(backup["backup"])["databases"] if one["name"] == SHOP]
            counted = {table["name"]: table["rows"] for table in entry["stored_tables"]}
            if counted != self.warehouse.counts():
                raise NotWorked(f"the backup counted {counted}")
            self._note_size(OURS, path)
            polite = {"nice": 0, "io_class": "none", "scratch_path": str(self.scratch)}
            verified, its_seconds = timed("postgres_backup_verify", {**given, **polite})
            if verified["figures"]["restored_rows"] != sum(counted.values()):
                raise NotWorked(f"the verification restored {verified['figures']['restored_rows']} rows")
            self.verified.append(its_seconds)
        finally:
            _remove(path)
        return seconds

    def _note_size(self, name: str, target: pathlib.Path) -> None:
        files = [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]
        self.sizes[name] = sum(path.stat().st_size for path in files)
        if self.sizes[name] < self.options.rows:  # a byte a row would be a wonder
            raise NotWorked(f"{name} wrote only {self.sizes[name]} bytes")

    def _judge(self, bar: str, value: float) -> None:
        if self.options.rows == STANDARD_ROWS and self.warehouse.bytes >= STANDARD_BYTES:
            self.bars.judge(bar, value, LIMITS[bar])
        else:
            say(f"{bar} {value:.3g}: not judged, the size is not that of the bar")


def _manifest(path: str) -> dict[str, t.Any]:
    from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_sets import read_manifest

    return read_manifest(path)


def _remove(target: pathlib.Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


def _options() -> argparse.Namespace:
    names = (OURS, GUIDE, "custom", "directory", "zstd-pipe", "zstd-custom", "zstd-directory")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each side")
    parser.add_argument("--jobs", type=int, default=2, help="connections at a time, on all sides")
    parser.add_argument("--rows", type=int, default=STANDARD_ROWS, help="of all tables; others judge no bar")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SIDE", help="of: %(choices)s")
    return parser.parse_args()


def main() -> int:
    options = _options()
    ends_cleanly_when_told()
    # On a disk, not on a tmpfs: /tmp may be one.
    with tempfile.TemporaryDirectory(prefix="bench-backup-", dir="/var/tmp") as directory:
        scratch = pathlib.Path(directory)
        scratch.chmod(0o1777)  # root's servers, the throwaway ones too, run as another account
        with Warehouse(scratch, options.rows) as warehouse:
            say(f"PostgreSQL {warehouse.server.major}, {warehouse.bytes / 1e9:.2f} GB in {options.rows} rows")
            bench = Bench(options, warehouse, scratch)
            try:
                bench.run()
            except NotWorked as exc:
                say(f"no result: {exc}")
                return 1
    return bench.bars.status


if __name__ == "__main__":
    sys.exit(main())
