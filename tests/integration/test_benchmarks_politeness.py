# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of politeness, in small: an ALTER TABLE meets each side at work, or it gives no result.

Of its own, because most of it is waiting: it is run here only, and not in each image.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

_PROGRAM = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks" / "bench_politeness.py"
_SMALL = ("--rounds", "1", "--tables", "2", "--rows", "8000", "--cost-delay", "100ms", "--naps", "2000", "--long", "1")


def _run(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), *_SMALL, "--quiet-seconds", "0.5", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("only", "ours", "theirs", "bar"),
    [
        ("vacuum", "postgres_vacuum", "vacuumdb", "longest_wait_seconds"),
        ("reindex", "postgres_reindex", "reindexdb", "longest_wait_reindex_seconds"),
    ],
)
def test_each_side_is_met_by_an_alter_table(only: str, ours: str, theirs: str, bar: str) -> None:
    status, said = _run("--only", only, "--ddl-every", "0.5", "--ddl-count", "12")

    assert status == 0, said
    for name in (ours, theirs):
        met = re.search(rf"^{name}: .* (\d+) for a table at work, longest ", said, re.MULTILINE)
        assert met, said
        assert int(met.group(1)) > 0, said
        assert f"longest wait of a client: {name}: " in said
    assert re.search(rf"^{bar} [\d.]+: not judged", said, re.MULTILINE), said
    assert "\nbar " not in said, "small sizes judge no bar"


def test_a_run_that_no_alter_table_met_gives_no_result() -> None:
    status, said = _run("--only", "vacuum", "--ddl-every", "600", "--ddl-count", "1")

    assert status == 1
    assert "no result: postgres_vacuum: no ALTER TABLE met what it did" in said
