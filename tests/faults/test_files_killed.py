# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a tree is killed with SIGKILL at requests of each kind, over and over, while the tree goes on changing.
After each kill, every run that has an index comes back as it was; in the end, the tree does."""

from __future__ import annotations

import datetime
import random
import signal

import pytest
from support import s3_faults as faults
from support.kills import KILLS
from support.postgres import wait_for
from support.s3_faults import FaultyStore
from support.trees import Kept, Seen, see

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import stamp, utc_now

pytest_plugins = ("support.trees_fixtures",)
pytestmark = pytest.mark.s3


#: What a run writes, by where it lies: see _files/target.py.
KINDS = ("kept", "current", "runs")


class Killed:
    """One run of the module, killed at the at-th of its requests that write something of one kind."""

    def __init__(self, kept: Kept, proxy: FaultyStore, kind: str, at: int, before: bool) -> None:
        self._seen = 0
        self._at = at
        self._before = before
        proxy.inject(rf"^(PUT|POST|DELETE) \S*/{kind}/", self._strike)
        self._process = kept.start(allow_deletions=True, streams=4)
        self._process.communicate(timeout=120)
        self.status = self._process.returncode
        proxy.heal()

    def _strike(self, request: faults.Request, forward: faults.Forward) -> faults.Answer:
        self._seen += 1
        if self._seen != self._at:
            return forward(request)
        if not self._before:
            forward(request)
        self._process.send_signal(signal.SIGKILL)
        raise faults.BrokenConnection


def change(kept: Kept, chance: random.Random) -> None:
    for name in chance.sample([f"{directory}{number}" for directory in ("", "d/") for number in range(8)], 6):
        path = kept.tree / name
        if path.exists() and chance.random() < 0.4:
            path.unlink()
        else:
            kept.file(name, chance.randbytes(chance.choice([0, 10, 2000])))
    kept.file("large", chance.randbytes(1_200_000))


def test_killed_at_any_request_that_writes(behind_proxy: Kept, proxy: FaultyStore) -> None:
    chance = random.Random(20261126)  # noqa: S311
    runs: dict[str, Seen] = {}
    kills = 0
    while kills < max(KILLS, 2 * len(KINDS)):
        change(behind_proxy, chance)
        kind = KINDS[kills // 2 % len(KINDS)]
        # A run writes one index, and always some files.
        at = 1 if kind == "runs" else chance.randint(1, 8)
        killed = Killed(behind_proxy, proxy, kind, at, before=bool(kills % 2))
        committed = {key[len("runs/") :].split(".")[0] for key in behind_proxy.listing("runs/")}
        for run in committed - set(runs):
            runs[run] = see(behind_proxy.tree)  # killed after its index was written, or not at all
        if killed.status == -signal.SIGKILL:
            kills += 1
        if runs:
            assert behind_proxy.verify()["verdict"] != "unknown"
    for number, (run, tree) in enumerate(runs.items()):
        assert see(behind_proxy.restored(f"killed-{number}", run=run)) == tree, f"{run} is not as it was"
    answer = behind_proxy.back_up(allow_deletions=True)
    assert not answer["failed"], answer
    assert answer["findings"] == [], "a killed run is no loss"
    behind_proxy.assert_sound()
    assert behind_proxy.bucket
    assert behind_proxy.bucket.uploads() == []
    assert not behind_proxy.back_up()["changed"]


def test_killed_while_old_runs_are_removed(behind_proxy: Kept, proxy: FaultyStore) -> None:
    """Indexes go first: none is left whose files are gone."""
    for version in range(4):
        behind_proxy.file("stays", "x")
        behind_proxy.file("a", f"{version}")
        last = behind_proxy.backed_up()
    # Runs that follow each other within a second are named as if they did not.
    wait_for(lambda: stamp(utc_now() - datetime.timedelta(seconds=3)) > last, "the last run is old")
    for at in (1, 2, 4):
        seen = [0]

        def strike(
            request: faults.Request, forward: faults.Forward, at: int = at, seen: list[int] = seen
        ) -> faults.Answer:
            answer = forward(request)
            seen[0] += 1
            if seen[0] == at:
                process.send_signal(signal.SIGKILL)  # noqa: B023 (the process of this round, started below)
            return answer

        proxy.inject(r"^DELETE ", strike)
        process = behind_proxy.start(retention="1s")
        process.communicate(timeout=120)
        proxy.heal()
        for number, key in enumerate(behind_proxy.listing("runs/")):
            behind_proxy.restored(f"after-{at}-{number}", run=key[len("runs/") :].split(".")[0])
    assert not behind_proxy.back_up(retention="1s")["failed"]
    assert len(behind_proxy.listing("runs/")) == 1
    assert behind_proxy.listing("kept/") == []
    behind_proxy.assert_sound()
