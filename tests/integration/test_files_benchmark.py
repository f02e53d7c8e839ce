# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of file backups in small, without `aws s3 sync`, whose 560 MB are installed for the real one."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.s3

_PROGRAM = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks" / "bench_files.py"


def test_first_run_second_run_and_memory() -> None:
    sizes = ["--files", "1200", "--memory-files", "2500", "--first-rounds", "1", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), "--alone", *sizes],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert "first run, 1200 files: files_backup: median " in done.stdout
    assert "second run, nothing changed, 1200 files: files_backup: median " in done.stdout
    (megabytes,) = re.findall(r"^files_memory_mb (\S+) ", done.stdout, re.MULTILINE)
    assert 20 < float(megabytes) < 300
    assert "\nbar " not in done.stdout, "small sizes judge no bar"
