# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases side by side: never more connections than allowed, each of them done, one failure ends them all."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_pool import run_all, shares
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.halt import Halt, Halted

sizes = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 10**12), max_size=12)


@given(sizes, st.integers(1, 16))
def test_a_share_is_one_at_least_and_all_at_most(sizes, jobs):
    assert all(1 <= share <= jobs for share in shares(sizes, jobs).values())


def test_the_large_one_gets_nearly_all():
    assert shares({"big": 900, "small": 50, "tiny": 0}, 8) == {"big": 8, "small": 1, "tiny": 1}
    assert shares({"one": 10, "two": 10}, 2) == {"one": 1, "two": 1}
    assert shares({"only": 10}, 4) == {"only": 4}


@settings(max_examples=25)
@given(sizes, st.integers(1, 4))
def test_each_is_done_once_and_the_bound_holds(sizes, jobs):
    guard = threading.Lock()
    using, most, done = 0, 0, []

    def work(name, granted):
        nonlocal using, most
        with guard:
            using += granted
            most = max(most, using)
        time.sleep(0.001)
        with guard:
            using -= granted
            done.append(name)

    run_all(sizes, jobs, Halt(), work)
    assert sorted(done) == sorted(sizes)
    assert most <= jobs


def test_two_run_at_the_same_time():
    both = threading.Barrier(2, timeout=10)
    run_all({"one": 1, "two": 1}, 2, Halt(), lambda _name, _granted: both.wait())
    assert not both.broken


def test_one_failure_ends_the_others_and_is_the_one_that_is_told():
    halt = Halt()
    other_runs = threading.Event()
    begun = []

    def work(name, _granted):
        begun.append(name)
        if name == "broken":
            assert other_runs.wait(10)
            raise ValueError("the disk is full")
        other_runs.set()
        while True:
            halt.check()
            time.sleep(0.01)

    with pytest.raises(ValueError, match="the disk is full"):
        run_all({"broken": 3, "waits": 2, "never": 1}, 2, halt, work)
    assert sorted(begun) == ["broken", "waits"]
    with pytest.raises(Halted):
        halt.check()
