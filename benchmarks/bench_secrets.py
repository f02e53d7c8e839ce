# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many logins are refused while a password is rotated, and for how long with a single user.

    python benchmarks/bench_secrets.py [--rounds 3] [--clients 2] [--pool]

The application is pgbench -C, which logs in anew for each transaction, started over and over with the user and the
password that the store gives out at that moment. With two users no login may be refused: `bar
secret_alternating_refused_logins 0 0 ok`. With one, those between the change in the database and the next reading of
the store are refused; how many, and for how long from outside, is told and judged by no bar, since it depends on how
long the application goes on with what it has read. With --pool, the same behind a PgBouncer, which has to be in PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
from bars import Bars, NotWorked, ends_cleanly_when_told, say  # noqa: E402
from support.pgbouncer import ADMIN, ADMIN_PASSWORD, PgBouncerService  # noqa: E402
from support.postgres import PrivatePostgres  # noqa: E402
from support.secret_load import EACH, Load  # noqa: E402
from support.secrets import ALTERNATING, DATABASE, SINGLE, USER, Shop, files_store  # noqa: E402

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import Login  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_pool import (  # noqa: E402
    PgBouncer,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import gates_from  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotate import rotate  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.work import Outcome  # noqa: E402

#: As long as one pgbench may go on with what it has read, and more.
_OBSERVE = {ALTERNATING: 5, SINGLE: 0}


def _rotations(server: PrivatePostgres, strategy: str, rounds: int, clients: int, behind: bool) -> tuple[int, int]:
    """Good and refused logins of all rotations, with a line for each.

    :raises NotWorked: when a rotation did not end well.
    """
    good, refused = 0, 0
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-secrets-")))
        shop = Shop(server, directory, strategy, files_store(directory))
        shop.make_roles()
        shop.fill_store()
        wait = "wait" if strategy == ALTERNATING else "keep"
        shop.policy = {"observe_for": _OBSERVE[strategy], "observe_timeout": 60, "old_sessions": wait}
        port, gates = server.port, ()
        if behind:
            ((verifier,),) = server.run_sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{USER}'")
            pool = stack.enter_context(PgBouncerService(server, DATABASE, {USER: verifier}))
            console = Login("127.0.0.1", pool.port, ADMIN, ADMIN_PASSWORD, ssl_mode="disable")
            port, gates = pool.port, gates_from([(PgBouncer(console, DATABASE), str(pool.userlist))])
        name = f"{strategy}{' behind PgBouncer' if behind else ''}"
        for number in range(rounds):
            with Load(server, shop.current, DATABASE, port=port, clients=clients) as load:
                work = shop.work()
                work.gates = gates
                begun = time.monotonic()
                result = rotate(work, False, Outcome())
                seconds = time.monotonic() - begun
                if result.verdict not in ("ok", "findings"):  # a pool's sessions of one user live on
                    raise NotWorked(f"{name}: {result.summary}: {result.reason}")
                load.wait_for_more(2)
            moments = [moment for moment, _said in load.logins.refused]
            outside = max(moments) - min(moments) if moments else 0.0
            gap = result.figures.get("store_gap_seconds", 0.0)
            say(
                f"{name}, rotation {number + 1} ({seconds:.1f} s): {load.logins.good} logins, {len(moments)} refused"
                f" over {outside:.2f} s; the store was behind for {gap:.3f} s"
            )
            good, refused = good + load.logins.good, refused + len(moments)
    return good, refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--pool", action="store_true", help="behind a PgBouncer as well")
    options = parser.parse_args()
    ends_cleanly_when_told()
    bars = Bars()
    say(f"each pgbench makes {EACH} transactions, each with a login of its own, with one reading of the store")
    with PrivatePostgres() as server:
        try:
            for behind in (False, True) if options.pool else (False,):
                words = "_pool" if behind else ""
                good, refused = _rotations(server, ALTERNATING, options.rounds, options.clients, behind)
                say(f"{good} logins during {options.rounds} rotations with two users")
                bars.judge(f"secret_alternating{words}_refused_logins", refused, 0)
                single = [_rotations(server, SINGLE, 1, options.clients, behind)[1] for _ in range(options.rounds)]
                say(f"secret_single{words}_refused_logins {statistics.median(single)}")
        except NotWorked as exc:
            say(f"no result: {exc}")
            return 1
    return bars.status


if __name__ == "__main__":
    sys.exit(main())
