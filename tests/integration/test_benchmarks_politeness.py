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
import types

import pytest

_BENCHMARKS = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks"
_SMALL = ("--rounds", "1", "--tables", "2", "--rows", "4000", "--cost-delay", "100ms", "--naps", "700")
_SHORT = ("--long", "0.5", "--quiet-seconds", "0.5", "--ddl-every", "0.5", "--ddl-count", "2")


def test_each_side_is_met_by_an_alter_table() -> None:
    done = subprocess.run(
        [sys.executable, str(_BENCHMARKS / "bench_politeness.py"), *_SMALL, *_SHORT],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )

    said = done.stdout
    assert done.returncode == 0, said
    for name in ("postgres_vacuum", "vacuumdb", "postgres_reindex", "reindexdb"):
        met = re.search(rf"^{name}: .* (\d+) for a table at work, longest ", said, re.MULTILINE)
        assert met, said
        assert int(met.group(1)) > 0, said
        assert f"longest wait of a client: {name}: " in said
    for bar in ("longest_wait_seconds", "longest_wait_reindex_seconds"):
        assert re.search(rf"^{bar} [\d.]+: not judged", said, re.MULTILINE), said
    assert "\nbar " not in said, "small sizes judge no bar"


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.syspath_prepend(str(_BENCHMARKS))
    import bars

    return bars


def test_a_side_that_no_alter_table_met_gives_no_result(bars: types.ModuleType) -> None:
    ours = ("steward.maintenance:",)
    own = "steward.maintenance:vacuum:ab.1.2"
    assert bars.collisions_with("ours", ours, [own, "vacuumdb", own]) == 2
    assert bars.collisions_with("no maintenance", (), []) == 0
    for met in ([], ["vacuumdb"]):
        with pytest.raises(bars.NotWorked, match="ours: no ALTER TABLE met what it did"):
            bars.collisions_with("ours", ours, met)
