# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees backed up to a real S3 server and to a directory: what is sent, not sent again, kept, removed."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import re

import pytest
from support.s3_faults import FaultyStore
from support.trees import BASE, NAME, Kept, see

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now

pytest_plugins = ("support.trees_fixtures",)
pytestmark = pytest.mark.s3


def fill(kept: Kept) -> None:
    kept.file("a.txt", "one")
    kept.file("empty", "")
    kept.file("deep/er/b.txt", "two" * 1000)
    kept.file("deep/large", os.urandom(1_500_000))
    kept.file("o'dd ü+x & 100%\n.txt", "odd")
    (kept.tree / os.fsdecode(b"latin-\xe9")).write_bytes(b"not utf-8")
    (kept.tree / "link").symlink_to("deep/er/b.txt")
    (kept.tree / "dangling").symlink_to("/no\nwhere")
    (kept.tree / "nothing-in-it").mkdir()
    os.mkfifo(kept.tree / "pipe")
    (kept.tree / "a.txt").chmod(0o4750)


def days_older(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """From now on, runs take themselves to be so many days later."""
    import datetime

    from ansible_collections.steward.maintenance.plugins.module_utils._files import backup

    monkeypatch.setattr(backup, "utc_now", lambda: utc_now() + datetime.timedelta(days=days))


def test_a_tree_comes_back_and_the_second_run_changes_nothing(kept: Kept) -> None:
    fill(kept)
    foretold = kept.back_up(check=True)
    assert foretold["changed"]
    assert foretold["planned"][0]["estimate"]["objects"] == 6
    assert kept.listing() == []

    made = kept.back_up()
    assert (made["verdict"], made["changed"]) == ("ok", True), made
    assert made["coverage"] == {"looked": 6, "of": 6}
    figures = made["figures"]
    assert (figures["files"], figures["sent_files"], figures["symlinks"], figures["special_files"]) == (6, 6, 2, 1)
    assert figures["sent_bytes"] == figures["bytes"] == 1_503_015
    run = made["runs"][NAME]
    odd = ["current/latin-%E9", "current/o'dd ü+x & 100%25%0A.txt"]
    plain = ["current/a.txt", "current/deep/er/b.txt", "current/deep/large", "current/empty"]
    assert sorted(kept.listing()) == sorted([*plain, *odd, f"runs/{run}.json.gz", "tree.json"])
    assert kept.read("current/a.txt") == b"one"

    again = kept.back_up()
    assert (again["verdict"], again["changed"], again["planned"], again["runs"]) == ("ok", False, [], {}), again
    assert "nothing changed in 6 files" in again["summary"]
    assert not kept.back_up(check=True)["changed"]
    kept.assert_sound()


def test_the_index_can_be_read_by_a_person(kept: Kept) -> None:
    kept.file("a.txt", "one")
    run = kept.backed_up()
    head, entry, last = (json.loads(line) for line in gzip.decompress(kept.read(f"runs/{run}.json.gz")).splitlines())
    assert (head["tree"], head["path"]) == (NAME, str(kept.tree))
    assert (entry["key"], entry["type"], entry["size"], entry["mode"]) == ("a.txt", "file", 3, 0o644)
    assert last["end"]["files"] == 1


def test_the_second_run_costs_one_listing(behind_proxy: Kept, proxy: FaultyStore) -> None:
    for number in range(1200):
        behind_proxy.file(f"{number % 7}/{number}", str(number))
    behind_proxy.backed_up(streams=8)
    proxy.requests.clear()
    assert not behind_proxy.back_up()["changed"]
    listings = [told for told in proxy.requests if re.search(rf"prefix={BASE}/current/", told)]
    assert len(listings) == 2, "1200 keys are two pages"
    # Beside them: whose tree it is, which runs there are, what was kept (twice), and the last index, headed and read.
    assert len(proxy.requests) <= len(listings) + 8, proxy.requests
    assert not [told for told in proxy.requests if not told.startswith(("GET ", "HEAD "))]


def test_what_changed_is_sent_and_what_was_before_is_kept(kept: Kept) -> None:
    fill(kept)
    first, before = kept.backed_up(), see(kept.tree)
    kept.file("a.txt", "changed")
    kept.file("new/file", "new")
    (kept.tree / "deep" / "er" / "b.txt").unlink()
    answer = kept.back_up()
    second, between = answer["runs"][NAME], see(kept.tree)
    figures = answer["figures"]
    assert (figures["sent_files"], figures["kept_files"], figures["removed_files"]) == (2, 2, 1)
    assert kept.listing("kept/") == [f"kept/{second}/a.txt", f"kept/{second}/deep/er/b.txt"]
    assert "current/deep/er/b.txt" not in kept.listing("current/")
    kept.file("a.txt", "changed again")
    (kept.tree / "deep" / "large").unlink()
    third = kept.backed_up()
    for run, seen in ((first, before), (second, between), (third, see(kept.tree))):
        assert see(kept.restored(f"as-of-{run}", run=run)) == seen
    assert len({first, second, third}) == 3
    kept.assert_sound()


def test_a_change_that_leaves_size_and_time_alone_is_found(kept: Kept) -> None:
    path = kept.file("a", "old")
    kept.backed_up()
    moment = path.stat().st_mtime_ns
    path.write_text("new")
    os.utime(path, ns=(moment, moment))
    assert kept.back_up()["figures"]["sent_files"] == 1
    kept.assert_sound()


def test_other_properties_alone_are_noted_and_nothing_is_sent(kept: Kept) -> None:
    fill(kept)
    first, before = kept.backed_up(), see(kept.tree)
    (kept.tree / "a.txt").chmod(0o600)
    (kept.tree / "deep").chmod(0o700)
    (kept.tree / "link").unlink()
    (kept.tree / "link").symlink_to("a.txt")
    answer = kept.back_up()
    assert answer["changed"]
    assert (answer["figures"]["sent_files"], answer["figures"]["kept_files"]) == (0, 0)
    kept.assert_sound()
    assert see(kept.restored("first", run=first)) == before


def test_files_and_directories_that_change_places(kept: Kept) -> None:
    kept.file("was-file", "x")
    kept.file("was-directory/x", "y")
    kept.file("was-file-too", "z")
    first, before = kept.backed_up(), see(kept.tree)
    (kept.tree / "was-file").unlink()
    kept.file("was-file/now/below", "below")
    (kept.tree / "was-directory" / "x").unlink()
    (kept.tree / "was-directory").rmdir()
    kept.file("was-directory", "file")
    (kept.tree / "was-file-too").unlink()
    (kept.tree / "was-file-too").symlink_to("was-directory")
    kept.backed_up(allow_deletions=True)
    kept.assert_sound()
    assert see(kept.restored("first", run=first)) == before
    assert not kept.back_up()["changed"]


@pytest.mark.parametrize("damage", ["lost", "shorter", "other"])
def test_an_object_that_is_not_right_any_more_is_told_and_sent_again(kept: Kept, damage: str) -> None:
    fill(kept)
    kept.backed_up()
    if damage == "lost":
        kept.delete("current/a.txt")
    else:
        kept.write("current/a.txt", b"on" if damage == "shorter" else b"ono")
    wrong = kept.verify()
    assert wrong["verdict"] == "failed"
    assert f"a.txt is {'not there' if damage == 'lost' else 'another object'}" in wrong["reason"]
    told = kept.back_up()
    (finding,) = told["findings"]
    assert (finding["id"], finding["severity"]) == ("files-lost", "high")
    assert "a.txt" in finding["message"]
    assert told["figures"]["sent_files"] == 1
    kept.assert_sound()
    assert not kept.back_up()["changed"]


def test_verification_reads_bytes_back(kept: Kept) -> None:
    for number in range(30):
        kept.file(str(number), str(number))
    kept.backed_up()
    answer = kept.verify(sample=10)
    assert (answer["verdict"], answer["changed"]) == ("ok", False)
    assert (answer["figures"]["read_files"], answer["figures"]["files"]) == (10, 30)
    assert kept.verify(whole=True)["figures"]["read_files"] == 30
    assert kept.verify(trees=["none"])["verdict"] == "failed"
    # Before the first run, check mode has nothing to look at, and nobody could have made it.
    assert kept.verify(trees=["none"], check=True)["verdict"] == "skipped"


def test_rot_that_the_listing_does_not_show_is_found_by_reading(tmp_path: pathlib.Path) -> None:
    """A disk that rots changes neither size nor time."""
    kept = Kept(tmp_path)
    kept.file("a", "right")
    kept.backed_up()
    path = kept.directory / BASE / "current" / "a"
    moment = path.stat().st_mtime_ns
    path.write_bytes(b"wrong")
    os.utime(path, ns=(moment, moment))
    answer = kept.verify()
    assert answer["verdict"] == "failed"
    assert "a is not what was sent" in answer["reason"]
    refused = kept.restore(tmp_path / "new")
    assert refused["verdict"] == "failed"
    assert "current/a is not what was sent there" in refused["reason"]
    assert list((tmp_path / "new").iterdir()) == []


def test_retention(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.file("stays", "x")
    kept.file("stays-too", "x")
    kept.file("a", "1")
    first = kept.backed_up()
    kept.file("a", "2")
    second = kept.backed_up()
    kept.file("a", "3")
    third = kept.backed_up()
    assert kept.back_up()["figures"]["pruned_objects"] == 0
    days_older(monkeypatch, 89)
    assert not kept.back_up()["changed"]
    days_older(monkeypatch, 91)
    foretold = kept.back_up(check=True)
    assert foretold["planned"][0]["action"] == "remove"
    answer = kept.back_up()
    assert answer["changed"]
    assert answer["figures"]["pruned_objects"] == 4
    assert kept.listing("runs/") == [f"runs/{third}.json.gz"]
    assert kept.listing("kept/") == []
    kept.assert_sound()
    assert "the oldest run that can be restored" in kept.restore("/nowhere/x", run=second)["reason"]
    assert first < second
    assert not kept.back_up()["changed"]


def test_what_is_deleted_stays_until_its_retention_is_over(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.file("stays", "x")
    kept.file("goes", "y")
    kept.backed_up()
    (kept.tree / "goes").unlink()
    days_older(monkeypatch, 80)
    second = kept.backed_up()
    days_older(monkeypatch, 100)
    kept.file("stays", "z")
    third = kept.backed_up()
    assert f"kept/{second}/goes" in kept.listing("kept/"), "it was deleted 20 days ago"
    days_older(monkeypatch, 191)
    kept.back_up()
    assert kept.listing("kept/") == []
    assert kept.listing("runs/") == [f"runs/{third}.json.gz"]


def test_a_versioned_bucket(in_bucket: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept files go with all of their versions; those in current/ are for the bucket's own rules."""
    assert in_bucket.bucket
    client, name = in_bucket.bucket.client, in_bucket.bucket.name
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    in_bucket.file("stays", "x")
    in_bucket.file("a", "1")
    first, before = in_bucket.backed_up(), see(in_bucket.tree)
    (in_bucket.tree / "a").unlink()
    in_bucket.backed_up()
    assert see(in_bucket.restored("first", run=first)) == before
    days_older(monkeypatch, 91)
    in_bucket.back_up()
    left = client.list_object_versions(Bucket=name, Prefix=f"{BASE}/kept/")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")
    in_bucket.assert_sound()


def test_a_large_object_is_copied_in_parts(in_bucket: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 copies no more than 5 GiB in one request; here that border is lower."""
    from ansible_collections.steward.maintenance.plugins.module_utils._files import target_s3

    monkeypatch.setattr(target_s3.S3Target.__init__, "__defaults__", (5 * 2**20,))
    in_bucket.file("stays", "x")
    in_bucket.file("large", os.urandom(11 * 2**20))
    arguments = {"part_bytes": 4 * 2**20}
    first, before = in_bucket.backed_up(**arguments), see(in_bucket.tree)
    in_bucket.file("large", "small")
    second = in_bucket.backed_up(**arguments)
    assert in_bucket.listing("kept/") == [f"kept/{second}/large"]
    assert see(in_bucket.restored("first", run=first)) == before
    assert in_bucket.bucket
    assert in_bucket.bucket.uploads() == []


def test_a_tree_of_another_host_or_path_is_refused(kept: Kept) -> None:
    kept.file("a", "x")
    kept.backed_up()
    before = kept.listing()
    other = kept.tree.parent / "other"
    other.mkdir()
    (other / "b").write_text("y")
    trees = [{"name": NAME, "path": str(other)}]
    refused = kept.back_up(trees=trees)
    assert refused["verdict"] == "failed"
    assert f"holds {kept.tree} of the host" in refused["reason"]
    assert kept.listing() == before
    adopted = kept.back_up(trees=trees, adopt=True, allow_deletions=True)
    assert not adopted["failed"], adopted
    assert not kept.back_up(trees=trees)["changed"]


def test_the_failure_of_one_tree_leaves_the_others_theirs(kept: Kept) -> None:
    kept.file("a", "x")
    trees = [{"name": "none", "path": "/no/such/tree"}, {"name": NAME, "path": str(kept.tree)}]
    answer = kept.back_up(trees=trees)
    assert answer["verdict"] == "failed"
    assert "none: /no/such/tree is not there" in answer["reason"]
    kept.assert_sound()


def test_exclusion_of_what_was_kept_is_a_deletion(kept: Kept) -> None:
    for name in ("a", "b", "c.tmp"):
        kept.file(name, name)
    kept.backed_up()
    run = kept.backed_up(exclude=["*.tmp"])
    assert kept.listing("kept/") == [f"kept/{run}/c.tmp"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bucket": ""}, "neither bucket nor directory is given"),
        ({"directory": "/x"}, "both bucket and directory are given"),
        ({"trees": []}, "trees is empty"),
        ({"trees": [{"name": "../x", "path": "/x"}]}, "trees[0].name is '../x': write letters"),
        ({"trees": [{"name": "x", "path": "x"}]}, "trees[0].path is"),
        ({"trees": [{"name": "x", "path": "/x"}, {"name": "x/y", "path": "/y"}]}, "lies in or around 'x'"),
        ({"trees": [{"name": "x", "path": "/x", "exclude": ["/"]}]}, "trees[0].exclude has an empty pattern"),
        ({"retention": "90"}, "retention: duration '90' has no unit"),
        ({"most_deleted": 101}, "most_deleted is 101: it must be between 0 and 100"),
        ({"streams": 65}, "streams is 65: it must be between 1 and 64"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(in_bucket: Kept, wrong: dict[str, object], told: str) -> None:
    in_bucket.file("a", "x")
    answer = in_bucket.back_up(**wrong)
    assert answer["failed"]
    assert told in answer["msg"]
    assert in_bucket.listing() == []


def test_a_tree_is_not_kept_in_itself(tmp_path: pathlib.Path) -> None:
    kept = Kept(tmp_path)
    kept.file("a", "x")
    answer = kept.back_up(directory=str(kept.tree / "kept"))
    assert answer["verdict"] == "failed"
    assert "a tree cannot be kept in itself" in answer["reason"]
