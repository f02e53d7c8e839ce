# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that logs in anew for each transaction: pgbench -C, over and over, with what the store gives out then.

pgbench takes user and password when it starts, and one that runs for so many transactions goes on with them that long:
an application with a short cache. A refused login makes it end with an error, and nothing else here does.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import Secret

from .postgres import PrivatePostgres

_SCRIPT = "INSERT INTO orders VALUES (1);\n"
#: Transactions of one pgbench, and so logins with one reading of the store.
EACH = 8


@dataclasses.dataclass
class Logins:
    """What came of the logins so far."""

    good: int = 0
    #: Moments at which a login was refused, in seconds of the monotonic clock, and what was said.
    refused: list[tuple[float, str]] = dataclasses.field(default_factory=list)


class Load:
    """Use as a context manager: so many clients log in, again and again, until it ends."""

    def __init__(
        self,
        server: PrivatePostgres,
        read: t.Callable[[], Secret],
        database: str,
        port: int = 0,
        clients: int = 1,
        each: int = EACH,
    ) -> None:
        self.logins = Logins()
        self._read = read
        self._each = each
        self._over = threading.Event()
        self._directory = tempfile.TemporaryDirectory(prefix="steward-load-")
        script = pathlib.Path(self._directory.name, "script.sql")
        script.write_text(_SCRIPT)
        self._command = [
            os.path.join(server.bin_dir, "pgbench"),
            *("-C", "-n", "-c", "1", "-t", str(each), "-f", str(script), "-h", "127.0.0.1"),
            *("-p", str(port or server.port), database),
        ]
        self._threads = [threading.Thread(target=self._log_in_again_and_again) for _client in range(clients)]
        self._lock = threading.Lock()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.wait_for_more(3)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._directory.cleanup()

    def wait_for_more(self, rounds: int) -> None:
        """Wait until each client has logged in with another so many readings of the store."""
        wanted = self.logins.good + rounds * self._each * len(self._threads)
        deadline = time.monotonic() + 60
        while self.logins.good < wanted:
            assert time.monotonic() < deadline, f"nobody logs in any more: {self.logins.refused[-3:]}"
            time.sleep(0.05)

    def _log_in_again_and_again(self) -> None:
        while not self._over.is_set():
            secret = self._read()
            environment = {**os.environ, "PGUSER": secret.username, "PGPASSWORD": secret.password}
            done = subprocess.run(
                self._command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            made = re.search(r"transactions actually processed: (\d+)", done.stdout)
            with self._lock:
                self.logins.good += int(made.group(1)) if made else 0
                if done.returncode or not made or int(made.group(1)) < self._each:
                    self.logins.refused.append((time.monotonic(), f"{done.stdout} {done.stderr}"[-400:]))
