# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed with SIGKILL at any of its steps, between the change of the file and the reload too: the next run goes on."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest
from support.haproxy import Load
from support.kills import killed_at
from support.nginx_balancer import NginxBalancer

pytestmark = pytest.mark.nginx

#: What is changed on the disk, and each program that is started.
_POINTS = ((os, "fsync"), (os, "rename"), (os, "unlink"), (subprocess, "Popen"))


@pytest.fixture
def bed(tmp_path: pathlib.Path) -> t.Iterator[NginxBalancer]:
    with NginxBalancer(tmp_path) as ready:
        yield ready


def killed(bed: NginxBalancer, at: int, state: str) -> bool:
    """Run in a process of its own that is killed at its at-th step; False when it has ended before."""

    def run() -> None:
        result, _outcome = bed.do(state, bed.first)
        assert result.verdict == "ok", result

    return killed_at(at, _POINTS, run)


def is_whole(bed: NginxBalancer) -> bool:
    """At any moment the file is the one of before, or the one with the word."""
    line = f"server {bed.first} weight=2".encode()
    return bed.upstream.read_bytes() in (bed.original, bed.original.replace(line, line + b" down"))


@pytest.mark.parametrize(("state", "first"), [("drained", "returned"), ("returned", "drained")])
def test_killed_at_any_step_the_next_run_ends_where_an_unkilled_one_does(
    bed: NginxBalancer, state: str, first: str
) -> None:
    with Load(bed.port) as load:
        at = 0
        while True:
            assert bed.do(first, bed.first)[0].verdict == "ok"
            at += 1
            was_killed = killed(bed, at, state)
            assert is_whole(bed)
            result, _outcome = bed.do(state, bed.first)
            assert result.verdict == "ok", (at, result)
            is_out = b"weight=2 down;" in bed.upstream.read_bytes()
            assert is_out == (state == "drained"), at
            if is_out:
                got, others = bed.servers[0].requests, bed.servers[1].requests
                bed.wait_for(
                    lambda others=others: bed.servers[1].requests > others + 2, "requests at the second server"
                )
                assert (bed.servers[0].requests, bed.connections(bed.first)) == (got, 0), at
            if not was_killed:
                break
        assert bed.do("returned", bed.first)[0].verdict == "ok"
    assert at > 5
    assert load.failed == []
    assert bed.upstream.read_bytes() == bed.original
    assert [path.name for path in bed.upstream.parent.iterdir()] == ["shop"]


def test_a_file_that_a_killed_run_left_beside_it_is_gone(bed: NginxBalancer) -> None:
    left = bed.upstream.parent / ".shop.steward-new"
    left.write_text("torn")
    assert bed.do("drained", bed.first)[0].verdict == "ok"
    assert not left.exists()


def test_a_killed_run_is_weighed_anew(bed: NginxBalancer) -> None:
    """It wrote the word and died before the reload. Meanwhile the others went down, so it must not be reloaded."""
    at = 1
    while True:
        assert killed(bed, at, "drained"), "no step at which the word is there and nginx has not read it"
        if b"weight=2 down;" in bed.upstream.read_bytes():
            break
        at += 1
    workers = bed.workers()
    for server in bed.servers[1:]:
        server.well = False
    result, outcome = bed.do("drained", bed.first, timeout="1s")
    assert (result.verdict, outcome.changed) == ("failed", False), result
    assert "0 other servers of shop are up" in result.reason
    assert bed.workers() == workers
    # Whoever lets it in again finds it as it was.
    assert bed.do("returned", bed.first)[0].verdict == "ok"
    assert bed.upstream.read_bytes() == bed.original
