# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job killed with SIGKILL at random moments: the next run puts everything right (tools/kill_test.py).

Each run of the tests has moments of its own; STEWARD_KILL_SEED repeats those of an earlier run.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from support.kills import KILLS_OF_ALL

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_next_run_completes_after_every_kill() -> None:
    command = [sys.executable, str(ROOT / "tools" / "kill_test.py"), "--kills", str(KILLS_OF_ALL)]
    if os.environ.get("STEWARD_KILL_SEED"):
        command += ["--seed", os.environ["STEWARD_KILL_SEED"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert f"{KILLS_OF_ALL} kills survived" in done.stdout
