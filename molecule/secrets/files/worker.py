# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shop's worker, which logs in anew for each unit of work.

    worker.py work TALLY [ENV_FILE]     works, and counts in the file TALLY what came of it
    worker.py check REFUSED [ENV_FILE]  ends with 1 when the file REFUSED names the user with whom it is to work

User and password are in the environment, or in ENV_FILE, which is read at the start and on SIGHUP.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import threading
import typing as t

OVER, AGAIN = threading.Event(), threading.Event()
_PAUSE, _WORK = 0.05, 0.1


def settings(env_file: str) -> dict[str, str]:
    if not env_file:
        return dict(os.environ)
    return dict(line.split("=", 1) for line in pathlib.Path(env_file).read_text(encoding="utf-8").splitlines())


def check(refused: pathlib.Path, env_file: str) -> None:
    user = settings(env_file)["DB_USER"]
    if refused.exists() and user in refused.read_text(encoding="utf-8").split():
        sys.exit(f"the worker does not start as {user}, which {refused} names")


def order(given: dict[str, str]) -> None:
    import psycopg2

    with_what = {"user": given["DB_USER"], "password": given["DB_PASSWORD"], "application_name": "shop-worker"}
    connection: t.Any = psycopg2.connect(host="127.0.0.1", dbname="shop", connect_timeout=10, **with_what)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO orders DEFAULT VALUES")
            cursor.execute("SELECT pg_sleep(%s)", (_WORK,))
    finally:
        connection.close()


def work(tally: pathlib.Path, env_file: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_given: OVER.set())
    signal.signal(signal.SIGHUP, lambda *_given: AGAIN.set())
    told: dict[str, t.Any] = {"done": {}, "failures": []}
    if tally.exists():
        told = json.loads(tally.read_text(encoding="utf-8"))
    given = settings(env_file)
    while not OVER.wait(_PAUSE):
        if AGAIN.is_set():
            AGAIN.clear()
            given = settings(env_file)
        user = given["DB_USER"]
        try:
            order(given)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the work was not done
            told["failures"].append(f"{user}: {exc!r}")
            sys.stderr.write(f"{exc}\n")
        else:
            told["done"][user] = told["done"].get(user, 0) + 1
        new = tally.with_suffix(".new")
        new.write_text(json.dumps(told), encoding="utf-8")
        new.replace(tally)


if __name__ == "__main__":
    {"work": work, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]), "".join(sys.argv[3:4]))
