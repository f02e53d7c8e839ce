# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of programs: all that one writes arrives, and the one to blame is named."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.pipeline import (
    Pipeline,
    in_memory,
    run_pipeline,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.processes import ProgramFailed

MUCH = ["/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i + 1)); done; exit 0"]


def sh(command):
    return ["/bin/sh", "-c", command]


def test_all_goes_through_every_stage(tmp_path):
    target = tmp_path / "out"
    run_pipeline([MUCH, ["tr", "0-9", "a-j"], ["cat"]], str(target))
    assert target.read_bytes() == b"abcdefghij\n" * 20000
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_what_is_in_memory_goes_in_and_is_on_no_disk(tmp_path):
    data = bytes(range(256)) * 4000
    source = in_memory(data)
    try:
        assert os.readlink(f"/proc/self/fd/{source}").startswith("/memfd:")
        run_pipeline([["cat"], ["cat"]], str(tmp_path / "out"), source=source)
    finally:
        os.close(source)
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([sh("echo begun; echo lost >&2; exit 3"), ["cat"], ["cat"]], "sh ended with status 3: lost"),
        ([MUCH, sh("echo full >&2; exit 1"), ["cat"]], "sh ended with status 1: full"),
        ([MUCH, ["cat"], sh("echo no space >&2; exit 4")], "sh ended with status 4: no space"),
        ([sh("echo first >&2; exit 2"), sh("cat >&2; echo cut short >&2; exit 1")], "status 2: first"),
        ([sh("kill -9 $$"), ["cat"]], "sh was killed by signal 9"),
    ],
    ids=["the first", "the middle", "the last", "a follower fails too", "killed"],
)
def test_the_one_that_failed_by_itself_is_named(tmp_path, stages, expected):
    with pytest.raises(ProgramFailed, match=expected):
        run_pipeline(stages, str(tmp_path / "out"))


def test_an_existing_file_is_not_written_over(tmp_path):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(FileExistsError):
        run_pipeline([["echo", "new"]], str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "precious"


def test_a_stage_that_cannot_start_ends_those_that_run(tmp_path):
    before = subprocess.run(["pgrep", "-c", "-f", "sleep 4711"], check=False, stdout=subprocess.PIPE).stdout
    with pytest.raises(PostgresError, match="cannot start /nowhere"):
        run_pipeline([["sleep", "4711"], ["/nowhere"]], str(tmp_path / "out"))
    assert subprocess.run(["pgrep", "-c", "-f", "sleep 4711"], check=False, stdout=subprocess.PIPE).stdout == before


def test_it_can_be_looked_at_and_stopped(tmp_path):
    chain = Pipeline([["sleep", "60"], ["cat"]], str(tmp_path / "out"))
    chain.poll()
    chain.stop()
    with pytest.raises(ProgramFailed, match="sleep was killed by signal 15"):
        _failed(tmp_path)


def _failed(tmp_path):
    chain = Pipeline([["sleep", "60"], ["cat"]], str(tmp_path / "second"))
    try:
        chain._processes[0].terminate()
        chain.wait()
    finally:
        chain.stop()
