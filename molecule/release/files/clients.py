# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that ask the balancer all the time; a file has how often and what failed: clients.py URL FILE"""

from __future__ import annotations

import json
import pathlib
import sys
import threading
import time
import urllib.request

_CLIENTS = 4


class Told:
    """What all of them saw."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._answered = 0
        self._failures = 0
        self._failed: list[str] = []

    def add(self, failure: str = "") -> None:
        with self._lock:
            self._answered += not failure
            self._failures += bool(failure)
            self._failed = [*self._failed, *([failure] if failure else [])][:10]
            told = {"answered": self._answered, "failures": self._failures, "failed": self._failed}
            self._file.with_suffix(".new").write_text(json.dumps(told))
            self._file.with_suffix(".new").replace(self._file)


def ask(url: str, told: Told) -> None:
    end = time.monotonic() + 3600
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=15) as answer:  # noqa: S310 - of our own balancer
                answer.read()
            told.add()
        # Whatever goes wrong is a failed request: an answer that ends too early is no OSError.
        except Exception as exc:  # noqa: BLE001
            told.add(f"{time.time():.1f} {type(exc).__name__}: {exc}")
        time.sleep(0.05)


def main() -> None:
    told = Told(pathlib.Path(sys.argv[2]))
    for _number in range(_CLIENTS):
        threading.Thread(target=ask, args=(sys.argv[1], told)).start()


if __name__ == "__main__":
    main()
