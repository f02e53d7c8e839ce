# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees brought back: as of a moment, beside what is there, with all that belongs to a file, and as a user does it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.trees import BASE, NAME, Kept, readable, see

pytest_plugins = ("support.trees_fixtures",)
pytestmark = pytest.mark.s3

STATES = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c/a", "c/b", "c/d/e", "%\n", "ü"]), st.integers(0, 3), max_size=6),
    min_size=2,
    max_size=4,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(states=STATES)
def test_each_run_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, states: list[dict[str, int]]) -> None:
    """Whatever a tree went through, the restore as of each run is the tree of that run."""
    kept = Kept(tmp_path_factory.mktemp("states"))
    seen = {}
    for state in states:
        shutil.rmtree(kept.tree)
        kept.tree.mkdir()
        for name, version in state.items():
            kept.file(name, "x" * version, age=100 + version)
        answer = kept.back_up(allow_deletions=True)
        assert not answer["failed"], answer
        if answer["runs"]:
            seen[answer["runs"][NAME]] = see(kept.tree)
    for number, (run, tree) in enumerate(seen.items()):
        assert see(kept.restored(f"restored-{number}", run=run)) == tree


def test_as_of_a_moment_between_runs(kept: Kept) -> None:
    kept.file("a", "1")
    first = kept.backed_up()
    kept.file("a", "2")
    second = kept.backed_up()
    assert (kept.restored("first", run=first) / "a").read_text() == "1"
    assert (kept.restored("second", run=second) / "a").read_text() == "2"
    assert (kept.restored("later", at="2099-01-01T00:00:00Z") / "a").read_text() == "2"
    refused = kept.restore("/nowhere/x", at="2001-01-01T00:00:00Z")
    assert f"the oldest run that can be restored in {'s3://' if kept.bucket else '/'}" in refused["reason"]
    assert first in refused["reason"]


def test_a_part_of_a_tree(kept: Kept) -> None:
    for name in ("a", "b/c/d", "b/c/e", "b/f", "bc"):
        kept.file(name, name)
    kept.backed_up()
    assert sorted(see(kept.restored("directory", path="b/c"))) == [b"b", b"b/c", b"b/c/d", b"b/c/e"]
    assert sorted(see(kept.restored("file", path="/b/f"))) == [b"b", b"b/f"]
    refused = kept.restore("/nowhere/x", path="b/none")
    assert "path is 'b/none': the tree web1/uploads did not have it" in refused["reason"]


def test_owner_mode_time_and_holes(kept: Kept) -> None:
    path = kept.file("setuid", "x")
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    path.chmod(0o4751)
    os.utime(path, ns=(10**18 + 1, 10**18 + 123_456_789))
    (kept.tree / "directory").mkdir(mode=0o1777)
    (kept.tree / "directory").chmod(0o1777)
    os.utime(kept.tree / "directory", ns=(10**18, 10**18))
    for name, size in (("sparse", 900_000), ("large-sparse", 3 * 2**20)):
        with (kept.tree / name).open("wb") as handle:
            handle.write(b"begin")
            handle.seek(size // 2)
            handle.write(b"middle")
            handle.truncate(size)
    kept.backed_up(part_bytes=2**20)
    back = kept.restored("back", part_bytes=2**20)
    assert see(back) == see(kept.tree)
    assert (back / "directory").stat().st_mtime_ns == 10**18
    for name in ("sparse", "large-sparse"):
        assert (back / name).stat().st_blocks * 512 < (back / name).stat().st_size // 4


def test_what_is_right_already_is_left_alone(kept: Kept) -> None:
    for name in ("a", "b/c"):
        kept.file(name, name)
    (kept.tree / "link").symlink_to("a")
    kept.backed_up()
    back = kept.restored("back")
    moment = (back / "a").stat().st_ctime_ns
    again = kept.restore(back)
    assert (again["verdict"], again["changed"]) == ("ok", False), again
    assert again["figures"]["unchanged_files"] == 2
    assert (back / "a").stat().st_ctime_ns == moment
    # Half a restore is gone on with.
    (back / "a").unlink()
    (back / "b" / ".steward-restore.7").write_text("half")
    assert kept.restore(back)["figures"]["restored_files"] == 1
    assert see(back) == see(kept.tree)


def test_what_lies_there_is_not_touched_unless_it_may_be(kept: Kept) -> None:
    kept.file("a", "right")
    kept.file("b/c", "c")
    kept.backed_up()
    back = kept.tree.parent / "back"
    back.mkdir()
    (back / "other").write_text("mine")
    refused = kept.restore(back)
    assert f"{back}/other is there and is not of the tree" in refused["reason"]
    assert [path.name for path in back.iterdir()] == ["other"]
    (back / "other").unlink()
    (back / "a").write_text("of another length")
    assert "is there and has 17 bytes instead of 5" in kept.restore(back)["reason"]
    (back / "other").write_text("mine")
    answer = kept.restore(back, overwrite=True)
    assert not answer["failed"], answer
    assert (back / "a").read_text() == "right"
    assert (back / "other").read_text() == "mine"


def test_a_link_at_the_destination_leads_nowhere(kept: Kept) -> None:
    """What somebody put there must not choose where files are written."""
    kept.file("a/b", "x")
    kept.file("c", "y")
    kept.backed_up()
    back, elsewhere = kept.tree.parent / "back", kept.tree.parent / "elsewhere"
    back.mkdir()
    elsewhere.mkdir()
    (back / "a").symlink_to(elsewhere)
    answer = kept.restore(back, overwrite=True)
    assert answer["verdict"] == "failed"
    assert "a/: something else of that name is in the way" in answer["reason"]
    assert list(elsewhere.iterdir()) == []
    assert (back / "c").read_text() == "y"


def test_check_mode_and_space(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.steward.maintenance.plugins.module_utils._files import restore_place

    kept.file("a", "x" * 1000)
    kept.backed_up()
    into = kept.tree.parent / "new"
    foretold = kept.restore(into, check=True)
    assert foretold["changed"]
    assert foretold["planned"][0]["estimate"] == {"bytes": 1000, "objects": 1}
    assert not into.exists()

    class Full:
        f_bavail, f_frsize = 1, 512

    monkeypatch.setattr(restore_place.os, "statvfs", lambda _place: Full)
    assert "has 512 B free, and the restored files take 1.0 kB" in kept.restore(into)["reason"]
    assert not into.exists()


def test_one_file_that_is_lost_leaves_the_others_theirs(kept: Kept) -> None:
    for name in ("a", "b", "c"):
        kept.file(name, name)
    kept.backed_up()
    kept.delete("current/b")
    into = kept.tree.parent / "back"
    answer = kept.restore(into)
    assert answer["verdict"] == "failed"
    assert (
        "1 entries could not be restored: b: it is neither in current/ nor in what later runs kept" in answer["reason"]
    )
    assert answer["coverage"] == {"looked": 2, "of": 3}
    assert sorted(path.name for path in into.iterdir()) == ["a", "c"]


def test_the_way_back_by_hand(in_bucket: Kept) -> None:
    """The page of Python in the documentation does what it says."""
    text = (pathlib.Path(__file__).parents[2] / "docs" / "files_backup.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    in_bucket.file("a ü/b\n%", "x")
    in_bucket.file("goes", "deleted later")
    (in_bucket.tree / "link").symlink_to("a ü")
    first, before = in_bucket.backed_up(), see(in_bucket.tree)
    (in_bucket.tree / "goes").unlink()
    in_bucket.file("a ü/b\n%", "y")
    in_bucket.backed_up()
    assert in_bucket.bucket
    copy = in_bucket.tree.parent / "copy"
    for key in in_bucket.listing():
        (copy / key).parent.mkdir(parents=True, exist_ok=True)
        (copy / key).write_bytes(in_bucket.read(key))
    into = in_bucket.tree.parent / "by-hand"
    command = [sys.executable, "-c", program, str(copy), first, str(into)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert see(into) == before
    assert BASE.endswith(NAME)
    assert readable(first).endswith("Z")
