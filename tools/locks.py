# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the lock files of the tests anew: `make locks`."""

from __future__ import annotations

import subprocess
import sys

from .layers import venvs
from .layers.places import ROOT

#: Each lock, and the oldest Python it must serve; what differs between Pythons gets a marker.
LOCKS = {"test": "3.11", "core-2.16": "3.11", "core-2.18": "3.11", "bench": "3.11", "poetry": "3.11"}


def main() -> int:
    uv = venvs.ensure("locks") / "bin" / "uv"
    for name, python in LOCKS.items():
        source, lock = f"requirements/{name}.in", f"requirements/{name}.txt"
        plain = ["--quiet", "--universal", "--no-annotate", "--no-header", "--no-emit-index-url", "--upgrade"]
        done = subprocess.run(
            [uv, "pip", "compile", *plain, "--python-version", python, source],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            return done.returncode
        head = f"# The lock of {source}, the same for Python {python} and newer. Made anew with: make locks\n"
        (ROOT / lock).write_text(head + done.stdout)
        print(f"{lock}: {len(done.stdout.splitlines())} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
