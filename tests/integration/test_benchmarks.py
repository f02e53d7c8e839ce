# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark itself, in small: it builds its clusters, both sides do their work, and it says what it measured."""

from __future__ import annotations

import pathlib
import subprocess
import sys

_BENCHMARK = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks" / "bench_postgres.py"


def test_every_side_does_its_work_and_small_sizes_judge_no_bar() -> None:
    sizes = ("--tables", "20", "--rows", "1000", "--bloated", "1", "--bloated-rows", "100000")
    done = subprocess.run(
        [sys.executable, str(_BENCHMARK), "--rounds", "1", *sizes, "--only", "idle", "all", "few", "reindex"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    for name in ("idle_1000_tables_seconds", "vacuum_all_ratio", "vacuum_few_ratio", "reindex_ratio"):
        assert f"\n{name} " in done.stdout
    assert "\nbar " not in done.stdout
