# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment killed with SIGKILL at any of its changes on the disk: the next run ends as if nothing had been."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support.deployments import NAME, Site
from support.kills import ON_DISK, killed_at

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.deploy import Outcome
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with Site(tmp_path) as ready:
        yield ready


def _deploy(site: Site, **about: t.Any) -> tuple[Result, Outcome]:
    """One listener is enough, and quicker."""
    return site.deploy(listeners=site.endpoints("127.0.0.1"), **about)


def _killed(site: Site, at: int, **about: t.Any) -> bool:
    """Deploy in a process of its own that is killed at its at-th change on the disk; False when it has ended before."""
    return killed_at(at, ON_DISK, lambda: _deploy(site, **about))


def _is_whole(site: Site) -> None:
    """At any moment there is a pair in use whose key belongs to its certificate, and no key that others may read."""
    certificate = (site.current / "fullchain.pem").read_bytes()
    key = (site.current / "privkey.pem").read_bytes()
    assert certificate + key == (site.current / "combined.pem").read_bytes()
    for path in site.store.rglob("*.pem"):
        if path.name != "fullchain.pem":
            assert not path.stat().st_mode & 0o077


def test_killed_at_any_change_on_the_disk_the_next_run_ends_where_an_unkilled_one_does(site: Site) -> None:
    old, at = site.first, 0
    while True:
        at += 1
        new = site.stage(site.authority.issue(NAME, left=89))
        killed = _killed(site, at)
        assert site.served() <= {old.fingerprint, new.fingerprint}, at
        _is_whole(site)
        result, _outcome = _deploy(site)
        assert (result.verdict, site.served(), site.leftovers()) == ("ok", {new.fingerprint}, []), at
        assert site.in_use() == new.fullchain
        if not killed:
            break
        old = new
    assert at > 20
    assert not site.deploy()[1].changed


def test_killed_on_the_way_back_the_next_run_goes_on_from_there(site: Site) -> None:
    fails = {"testing": ["false"]}
    at = 8  # the way there is killed above
    while True:
        at += 1
        new = site.stage(site.authority.issue(NAME, left=89))
        killed = _killed(site, at, **fails)
        _is_whole(site)
        assert site.served() == {site.first.fingerprint}, at
        result, _outcome = _deploy(site, **fails)
        assert (result.verdict, site.in_use()) == ("failed", site.first.fullchain), at
        assert result.reason.endswith("all was undone")
        assert site.served() == {site.first.fingerprint}
        assert site.leftovers() == []
        if not killed:
            break
    assert at > 15
    assert site.deploy()[0].verdict == "ok"
    assert site.served() == {new.fingerprint}


def test_after_a_kill_another_pair_may_be_wanted(site: Site) -> None:
    for number, at in enumerate((6, 12, 17)):
        site.stage(site.authority.issue(NAME, left=60 + 2 * number))
        assert _killed(site, at)
        other = site.stage(site.authority.issue(NAME, left=61 + 2 * number))
        result, outcome = site.deploy()
        assert (result.verdict, outcome.changed, site.served()) == ("ok", True, {other.fingerprint}), at
        assert site.leftovers() == []
