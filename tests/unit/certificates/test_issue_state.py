# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept between two runs: when a name is tried again, and a state that cannot be read."""

from __future__ import annotations

import datetime
import pathlib
import stat

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue_state import (
    Attempts,
    State,
    StateFile,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now

SECOND = datetime.timedelta(seconds=1)


def test_each_failure_waits_longer_and_success_ends_it(tmp_path: pathlib.Path) -> None:
    attempts, now = Attempts(str(tmp_path / "account")), utc_now().replace(microsecond=0)
    waits = [attempts.failed(["a.example.com"], "why", now=now) - now for _try in range(5)]
    assert [wait.total_seconds() for wait in waits] == [60, 600, 6000, 86400, 86400]
    assert attempts.waits(["b.example.com"], now) == []
    assert [(wait.name, wait.why) for wait in attempts.waits(["a.example.com"], now)] == [("a.example.com", "why")]
    assert attempts.waits(["a.example.com"], now + 86401 * SECOND) == []
    attempts.succeeded(["a.example.com"])
    assert attempts.waits(["a.example.com"], now) == []
    assert (attempts.failed(["a.example.com"], "why", now=now) - now).total_seconds() == 60


def test_a_star_waits_with_the_name_behind_it(tmp_path: pathlib.Path) -> None:
    attempts, now = Attempts(str(tmp_path / "account")), utc_now()
    attempts.failed(["example.com"], "why", now=now)
    assert [wait.name for wait in attempts.waits(["*.example.com"], now)] == ["example.com"]
    attempts.succeeded(["*.example.com"])
    assert attempts.waits(["example.com"], now) == []


def test_the_less_is_left_the_sooner_it_is_tried_again(tmp_path: pathlib.Path) -> None:
    attempts, now = Attempts(str(tmp_path / "account")), utc_now().replace(microsecond=0)
    for _try in range(4):
        until = attempts.failed(["a.example.com"], "why", left=3 * 3600, now=now)
    assert (until - now).total_seconds() == 1080


def test_what_the_authority_asks_for_counts_above_all(tmp_path: pathlib.Path) -> None:
    attempts, now = Attempts(str(tmp_path / "account")), utc_now().replace(microsecond=0)
    assert (attempts.failed(["a.example.com"], "limit", 5000, now=now) - now).total_seconds() == 5000
    first = attempts.waits(["a.example.com"], now)[0]
    assert (first.is_asked, first.until) == (True, now + 5000 * SECOND)
    # Ten years are a slip: after a month somebody should look.
    asked = attempts.failed(["b.example.com"], "limit", 10 * 365 * 86400, now=now) - now
    assert asked == datetime.timedelta(days=30)
    # And a clock that was wrong when it was written down keeps nobody waiting.
    assert attempts.waits(["b.example.com"], now - datetime.timedelta(days=365)) == []


def test_a_state_that_cannot_be_read_is_none(tmp_path: pathlib.Path) -> None:
    file = StateFile(str(tmp_path))
    assert file.read() == State()
    file.write(State(order={"url": "https://ca.example/order/1"}, challenges=[{"path": "/x"}]))
    assert file.read().order["url"] == "https://ca.example/order/1"
    assert stat.S_IMODE((tmp_path / "issue.json").stat().st_mode) == 0o600
    for content in (b"", b"{", b"[]", b'{"ari": 7, "order": [], "challenges": {}, "issuer": null}', b"\xff"):
        (tmp_path / "issue.json").write_bytes(content)
        assert file.read() == State()
