# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy is killed with SIGKILL at random requests, over and over. After each kill: what is listed as complete is
complete. In the end: all copies are there and right, nothing was left, nothing is there twice."""

from __future__ import annotations

import json
import random
import signal
import typing as t

import pytest
from support import s3_faults as faults
from support.kills import KILLS
from support.offsite import FILES, Offsite
from support.s3_faults import FaultyStore

pytest_plugins = ("support.offsite_fixtures",)
pytestmark = pytest.mark.s3

BACKUPS = 3
NAMES = ["20261118T000000Z", "20261119T000000Z"]
#: Many parts, so that most of the requests are in the middle of one.
LARGE = {**FILES, "shop/4.dat": 1_500_000}


class Killed:
    """One run of the module, killed at one of its requests."""

    def __init__(self, broken: Offsite, proxy: FaultyStore, at: int, before: bool) -> None:
        self._seen = 0
        self._at = at
        self._before = before
        self.request = ""
        proxy.inject("", self._strike)
        self._process = broken.start()
        self._process.communicate(timeout=120)
        self.status = self._process.returncode
        proxy.heal()

    def _strike(self, request: faults.Request, forward: faults.Forward) -> faults.Answer:
        self._seen += 1
        if self._seen != self._at:
            return forward(request)
        if not self._before:
            forward(request)
        self.request = str(request)
        self._process.send_signal(signal.SIGKILL)
        raise faults.BrokenConnection


def test_killed_at_any_request(broken: Offsite, proxy: FaultyStore) -> None:
    """Several backups, the large file of each in two dozen parts; half of the kills come before the store heard it."""
    names = [f"202611{day}T000000Z" for day in range(10, 10 + BACKUPS)]
    for name in names:
        broken.make(name, LARGE)
    chance = random.Random(20261120)  # noqa: S311
    killed_at = []
    while len(killed_at) < KILLS:
        killed = Killed(broken, proxy, chance.randint(1, 60), before=bool(len(killed_at) % 2))
        for name in broken.listed():
            assert broken.wrong_in(name) == [], f"{name} is listed and not whole, after a kill at {killed.request}"
        if killed.status == -signal.SIGKILL:
            killed_at.append(killed.request.split("?")[0])
        else:
            # All is there: there has to be something to interrupt.
            names.append(f"202611{10 + len(names)}T000000Z")
            broken.make(names[-1], LARGE)
    answer = broken.copy()
    assert not answer["failed"], answer
    broken.assert_sound(*names)
    extra = {"manifest.json", "verified.json", "offsite.json"}
    expected = {f"{broken.base(name)}/{path}" for name in names for path in {*LARGE, *extra}}
    assert set(broken.bucket.listing()) == expected
    for name in names:
        assert json.loads(broken.bucket.read(f"{broken.base(name)}/offsite.json"))["state"] == "proved"
    assert not broken.copy()["changed"]
    assert len(set(killed_at)) > min(3, KILLS // 3), f"it was killed at the same requests again and again: {killed_at}"


@pytest.mark.parametrize("at", [1, 5])
def test_killed_while_an_old_copy_is_removed(broken: Offsite, proxy: FaultyStore, at: int) -> None:
    """The manifest goes first: a copy that is half gone is not one, and the next run removes the rest."""
    for name in NAMES:
        broken.make(name)
    broken.copy(retention="36500d")
    proxy.requests.clear()
    deletions = Deletions(at)
    proxy.inject(r"^DELETE ", deletions.strike)
    deletions.process = broken.start(retention="1d", incomplete_after="1s")
    deletions.process.communicate(timeout=120)
    assert deletions.process.returncode == -signal.SIGKILL
    proxy.heal()
    assert all(broken.wrong_in(name) == [] for name in broken.listed())
    assert NAMES[1] in broken.listed()
    broken.wait_until_older(NAMES[0], 1)
    answer = broken.copy(retention="1d", incomplete_after="1s")
    assert not answer["failed"], answer
    broken.assert_sound(NAMES[1])
    assert broken.bucket.listing(broken.base(NAMES[0])) == []


class Deletions:
    """Kills the run at one of its deletions, after the store heard it."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._seen = 0
        self.process: t.Any = None

    def strike(self, request: faults.Request, forward: faults.Forward) -> faults.Answer:
        answer = forward(request)
        self._seen += 1
        if self._seen == self._at:
            self.process.send_signal(signal.SIGKILL)
        return answer
