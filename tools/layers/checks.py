# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a list of checks, each a program, and count them."""

from __future__ import annotations

import subprocess
import time
import typing as t

from .places import ROOT


def run(checks: t.Iterable[tuple[str, t.Sequence[str]]]) -> int:
    """Run each (name, command) in the checkout; show the output of all; return the exit status."""
    verdicts: dict[str, bool] = {}
    for name, command in checks:
        begun = time.monotonic()
        print(f"== {name}: {' '.join(command)}"[:200], flush=True)
        try:
            status = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
        except OSError as exc:
            print(exc, flush=True)
            status = -1
        verdicts[name] = status == 0
        print(
            f"== {name}: {'ok' if status == 0 else f'FAILED ({status})'}, {time.monotonic() - begun:.1f} s\n",
            flush=True,
        )
    failed = [name for name, passed in verdicts.items() if not passed]
    if failed:
        print(f"failed: {', '.join(failed)}")
    print(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed", flush=True)
    return 1 if failed else 0
