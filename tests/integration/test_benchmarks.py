# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks themselves, in small: both sides do their work, and they say what they measured."""

from __future__ import annotations

import pathlib
import subprocess
import sys

_BENCHMARKS = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks"


def _small(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(_BENCHMARKS / program), "--rounds", "1", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert "\nbar " not in done.stdout, "small sizes judge no bar"
    return done.stdout


def test_maintenance() -> None:
    sizes = ("--tables", "20", "--rows", "1000", "--bloated", "1", "--bloated-rows", "100000")
    said = _small("bench_postgres.py", *sizes, "--only", "idle", "all", "few", "reindex")
    idle = [f"idle_1000_tables_{name}seconds" for name in ("", "analyze_", "reindex_")]
    for name in (*idle, "vacuum_all_ratio", "vacuum_few_ratio", "reindex_ratio"):
        assert f"\n{name} " in said
    assert "each time 20 indexes were measured" in said


def test_a_restore_under_an_application() -> None:
    said = _small("bench_restore.py", "--rows", "20000")
    for name in ("restore_ratio", "standstill_seconds"):
        assert f"\n{name} " in said


def test_backups_beside_each_other() -> None:
    said = _small("bench_backup.py", "--rows", "20000", "--only", "ours", "guide", "directory", "zstd-directory")
    for name in ("backup_guide_ratio", "verify_backup_ratio"):
        assert f"\n{name} " in said
    assert "pg_dump -Fd -j2, " in said


def test_a_look_at_many_certificates() -> None:
    said = _small("bench_certificates.py", "--endpoints", "60", "--timeout", "1s")
    assert "60 endpoints, 3 of them dead or mute, one call: " in said
    assert "\ncertificate_info_seconds " in said
