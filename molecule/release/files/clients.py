# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the balancer all the time, and keep in a file how often and what failed: clients.py URL FILE"""

from __future__ import annotations

import json
import pathlib
import sys
import time
import urllib.request


def main() -> None:
    url, told = sys.argv[1], pathlib.Path(sys.argv[2])
    answered, failures, failed, end = 0, 0, [], time.monotonic() + 3600
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=15) as answer:  # noqa: S310 - of our own balancer
                answer.read()
            answered += 1
        except OSError as exc:
            failures += 1
            failed = [*failed, f"{time.time():.1f} {exc}"][:10]
        told.with_suffix(".new").write_text(json.dumps({"answered": answered, "failures": failures, "failed": failed}))
        told.with_suffix(".new").replace(told)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
