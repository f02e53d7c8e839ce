# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore beside `pg_restore -j`, and how long the application stands while the databases change places.

    python benchmarks/bench_restore.py [--rounds 5] [--jobs 2] [--rows 12500000]

The database of bench_backup.py. Ours is the whole module: all files hashed, unpacked, restored beside the database in
use, counted and compared, exchanged under a running application with open sessions. The other side is `createdb` and
`pg_restore -j` of what `pg_dump -Fd` wrote, with zstd where pg_dump has it (16 and newer), as our backup is. How long
the application stood is measured from outside, by asking it for its health every 50 ms; what it takes from its own
start to its first good answer is subtracted, and nothing else. Prints `bar NAME VALUE LIMIT ok|short` for each bar, and
ends with exit status 1 when one is short. STEWARD_PG_BIN names the directory of another version's programs. See
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
import sides  # noqa: E402
from bars import Bars, NotWorked, ends_cleanly_when_told, in_turn, ratio, say, tell  # noqa: E402
from support.postgres import SHOP  # noqa: E402
from support.restores import Application  # noqa: E402
from warehouse import STANDARD_BYTES, STANDARD_ROWS, Warehouse, timed  # noqa: E402

LIMITS = {"restore_ratio": 1.1, "standstill_seconds": 2}

_SIDE = "restored_by_hand"
_ASK_EVERY = 0.05
_SESSIONS = 5
_FIRST_WITH_ZSTD = 16
_PHASES = ("rehash_seconds", "restore_seconds", "verify_seconds", "swap_seconds", "stopped_seconds")


class Bench:
    def __init__(self, options: argparse.Namespace, warehouse: Warehouse, scratch: pathlib.Path) -> None:
        self.options = options
        self.warehouse = warehouse
        self.server = warehouse.server
        self.scratch = scratch
        self.bars = Bars()
        self.stood: list[float] = []
        self.phases: dict[str, list[float]] = {}
        self.login = {
            "login_unix_socket": self.server.socket_dir,
            "login_port": self.server.port,
            "login_user": self.server.superuser,
        }
        self.given = {"path": str(scratch / "backups"), "bin_dir": self.server.bin_dir}
        self.application = Application(self.server, scratch / "application", query="SELECT id FROM orders LIMIT 1")

    def run(self) -> None:
        jobs = self.options.jobs
        timed("postgres_backup", {**self.login, "databases": [SHOP], "jobs": jobs, **self.given})
        polite = {"nice": 0, "io_class": "none", "scratch_path": str(self.scratch)}
        timed("postgres_backup_verify", {**self.given, "jobs": jobs, **polite})
        method = "zstd" if self.server.major >= _FIRST_WITH_ZSTD else "gzip"
        packed = [f"--compress={method}"] if self.server.major >= _FIRST_WITH_ZSTD else []
        self._program("pg_dump", "-Fd", f"-j{jobs}", *packed, "-f", str(self.scratch / "dump"), SHOP)
        own = self._own_start()
        theirs_is = f"pg_restore -j{jobs}, of {method}"
        seconds = in_turn({"postgres_restore": self._ours, theirs_is: self._theirs}, self.options.rounds)
        tell(f"restore, {jobs} jobs", seconds)
        ours, theirs = seconds.values()
        tell("of ours", self.phases)
        self._judge("restore_ratio", ratio(ours, theirs))
        tell("standstill", {"from the last answer to the next": self.stood, "the application's own start": [own]})
        self._judge("standstill_seconds", max(self.stood) - own)

    # -- the sides -------------------------------------------------------------------------------------------

    def _ours(self) -> float:
        before = self._oid(SHOP)
        with self._in_use() as asking:
            answer, seconds = timed(
                "postgres_restore",
                {
                    **self.login, **self.given, **self.application.arguments, "database": SHOP,
                    "jobs": self.options.jobs, "state_dir": str(self.scratch / "state"),
                    "scratch_path": str(self.scratch),
                },
            )  # fmt: skip
            asking.wait_for_an_answer()
        if self._oid(SHOP) == before or not answer["kept"]:
            raise NotWorked("the database is still the old one")
        self._require_rows(SHOP)
        self.stood.append(asking.longest_gap())
        for phase in _PHASES:
            self.phases.setdefault(phase, []).append(answer["figures"][phase])
        self._program("dropdb", answer["kept"])
        return seconds

    def _theirs(self) -> float:
        dump = str(self.scratch / "dump")
        with self._in_use():
            begin = time.monotonic()
            self._program("createdb", "--template=template0", _SIDE)
            self._program("pg_restore", f"-j{self.options.jobs}", "--exit-on-error", "-d", _SIDE, dump)
            seconds = time.monotonic() - begin
        self._require_rows(_SIDE)
        self._program("dropdb", _SIDE)
        return seconds

    # -- how -------------------------------------------------------------------------------------------------

    def _program(self, name: str, *arguments: str) -> None:
        login = ["-h", self.server.socket_dir, "-p", str(self.server.port), "-U", self.server.superuser]
        sides.run([os.path.join(self.server.bin_dir, name), *login, *arguments], {})

    def _oid(self, name: str) -> int:
        sql = "SELECT oid::bigint FROM pg_database WHERE datname = %s"
        return int(self.server.run_sql(sql, parameters=(name,))[0][0])

    def _require_rows(self, database: str) -> None:
        for table, rows in self.warehouse.counts().items():
            found = self.server.run_sql(f"SELECT count(*) FROM {table}", database)[0][0]
            if found != rows:
                raise NotWorked(f"{table} has {found} rows in {database}, not {rows}")

    @contextlib.contextmanager
    def _in_use(self) -> t.Iterator[_Asking]:
        """The application at work on the database, and its pool's sessions, which are in the way of a rename."""
        self.application.start()
        conns = [self.server.connect(SHOP) for _number in range(_SESSIONS)]
        try:
            with _Asking(self.application) as asking:
                yield asking
        finally:
            for conn in conns:
                conn.close()
            self.application.kill()

    def _own_start(self) -> float:
        """What the application takes from its start to its first good answer, without a stop and with nobody's help."""
        with self._in_use() as asking:
            subprocess.run(self.application.command("stop"), check=True, stdout=subprocess.DEVNULL)
            while self.application.runs():
                time.sleep(0.001)
            begin = time.monotonic()
            self.application.start()
            return asking.wait_for_an_answer() - begin

    def _judge(self, bar: str, value: float) -> None:
        if self.options.rows == STANDARD_ROWS and self.warehouse.bytes >= STANDARD_BYTES:
            self.bars.judge(bar, value, LIMITS[bar])
        else:
            say(f"{bar} {value:.3g}: not judged, the size is not that of the bar")


class _Asking:
    """Asks the application for its health all the time, as its users would."""

    def __init__(self, application: Application) -> None:
        self._url = application.arguments["health_url"]
        self._over = threading.Event()
        self._well: list[float] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> _Asking:
        self._thread.start()
        self.wait_for_an_answer()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join(10)

    def wait_for_an_answer(self) -> float:
        """The moment of the next good answer, by the clock that :meth:`longest_gap` goes by."""
        asked = len(self._well)
        deadline = time.monotonic() + 30
        while len(self._well) == asked:
            if time.monotonic() > deadline:
                raise NotWorked("the application does not answer")
            time.sleep(_ASK_EVERY / 10)
        return self._well[asked]

    def longest_gap(self) -> float:
        """Seconds from a good answer to the next one, where they lie farthest apart."""
        return max(later - earlier for earlier, later in zip(self._well, self._well[1:]))  # noqa: B905 - Python 3.9

    def _ask(self) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not self._over.is_set():
            with contextlib.suppress(OSError, urllib.error.URLError), opener.open(self._url, timeout=5) as answer:
                if answer.status == 200:
                    self._well.append(time.monotonic())
            time.sleep(_ASK_EVERY)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each side")
    parser.add_argument("--jobs", type=int, default=2, help="connections at a time, on both sides")
    parser.add_argument("--rows", type=int, default=STANDARD_ROWS, help="of all tables; others judge no bar")
    return parser.parse_args()


def main() -> int:
    options = _options()
    ends_cleanly_when_told()
    # On a disk, not on a tmpfs: /tmp may be one.
    with tempfile.TemporaryDirectory(prefix="bench-restore-", dir="/var/tmp") as directory:
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
