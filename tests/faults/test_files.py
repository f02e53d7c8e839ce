# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a tree while it is backed up, and what must happen: what was kept before stays restorable, nothing is
left out in silence, and the next run puts everything right."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import pytest
from support.trees import Kept, see

from ansible_collections.steward.maintenance.plugins.module_utils._files import reading, sending

pytest_plugins = ("support.trees_fixtures",)
pytestmark = pytest.mark.s3


def fill(kept: Kept) -> None:
    for name in ("a", "b", "c/d", "c/e"):
        kept.file(name, name)
    kept.file("c/large", os.urandom(1_300_000))


@pytest.mark.parametrize("how", ["empty", "missing", "a file"])
def test_an_unmounted_tree_is_not_taken_for_deleted(kept: Kept, how: str) -> None:
    fill(kept)
    kept.backed_up()
    before = kept.listing()
    aside = kept.tree.rename(kept.tree.parent / "aside")
    if how == "empty":
        kept.tree.mkdir()
    elif how == "a file":
        kept.tree.write_text("")
    answer = kept.back_up()
    assert answer["verdict"] == "failed"
    told = {"empty": "has no file any more, and 5 are kept: is a disk not mounted?", "missing": "is not there",
            "a file": "is no directory"}  # fmt: skip
    assert told[how] in answer["reason"]
    assert kept.listing() == before
    if how == "empty":
        assert kept.back_up(check=True)["verdict"] == "failed"
        assert kept.back_up(allow_deletions=True)["figures"]["removed_files"] == 5
        kept.tree.rmdir()
    elif how == "a file":
        kept.tree.unlink()
    aside.rename(kept.tree)
    assert not kept.back_up()["failed"]
    kept.assert_sound()


def test_a_tree_that_lost_more_than_its_share(kept: Kept) -> None:
    fill(kept)
    first, before = kept.backed_up(), see(kept.tree)
    shutil.rmtree(kept.tree / "c")
    kept.file("a", "altered")
    answer = kept.back_up()
    assert answer["verdict"] == "failed"
    assert "3 of 5 files are not there any more (60 %, and most_deleted is 50)" in answer["reason"]
    # What is altered is sent all the same, and what is gone stays in the index.
    assert answer["figures"]["sent_files"] == 1
    back = kept.restored("back")
    assert (back / "a").read_text() == "altered"
    assert (back / "c" / "d").read_text() == "c/d"
    again = kept.back_up()
    assert (again["verdict"], again["changed"]) == ("failed", False)
    assert kept.back_up(most_deleted=60)["figures"]["removed_files"] == 3
    kept.assert_sound()
    assert see(kept.restored("first", run=first)) == before


def test_a_file_that_vanishes_between_the_walk_and_the_reading(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(kept)
    kept.backed_up()
    kept.file("b", "altered")
    kept.file("new", "new")

    def vanish(path: bytes) -> os.stat_result:
        for name in ("b", "new"):
            with contextlib.suppress(FileNotFoundError):
                (kept.tree / name).unlink()
        return reading.look(path)

    monkeypatch.setattr(sending, "look", vanish)
    answer = kept.back_up()
    monkeypatch.undo()
    assert answer["verdict"] == "ok", answer
    assert answer["figures"]["vanished_files"] == 2
    assert "2 vanished meanwhile" in answer["summary"]
    assert kept.read("current/b") == b"b", "the next run sees that it is gone"
    assert kept.back_up()["figures"]["removed_files"] == 1
    kept.assert_sound()


def test_a_file_that_is_altered_whenever_it_is_read(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(kept)
    first, before = kept.backed_up(), see(kept.tree)
    path = kept.file("b", "altered")
    real = reading._read

    def alter(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(path):
            with path.open("a") as handle:
                handle.write("more")
        return data

    monkeypatch.setattr(reading, "_read", alter)
    answer = kept.back_up()
    monkeypatch.undo()
    assert answer["verdict"] == "findings", answer
    (finding,) = answer["findings"]
    assert (finding["id"], finding["severity"]) == ("files-unsteady", "medium")
    assert "1 files were altered whenever they were read" in finding["message"]
    assert kept.read("current/b") == b"b", "it is left there as it was"
    assert answer["coverage"] == {"looked": 4, "of": 5}
    assert see(kept.restored("first", run=first)) == before
    assert kept.back_up()["verdict"] == "ok"
    kept.assert_sound()


def test_a_file_that_is_altered_once_while_it_is_read(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept.file("a", "x")
    left = ["once"]
    real = reading._read

    def alter(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        if left:
            path.write_text(left.pop())
        return data

    monkeypatch.setattr(reading, "_read", alter)
    assert kept.back_up()["verdict"] == "ok"
    assert kept.read("current/a") == b"once"


def test_a_large_file_that_is_altered_between_hashing_and_sending(
    behind_proxy: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store refuses the part that is not what was hashed; the second attempt sends the file as it is then."""
    path = behind_proxy.file("large", os.urandom(1_300_000))
    real = sending.digest_of_file
    left = [b"altered"]

    def alter(name: str, part: int) -> t.Any:
        digest = real(name, part)
        with contextlib.suppress(IndexError), path.open("r+b") as handle:
            # After the look that follows the hashing; nothing but the sending can notice.
            altered = left.pop()
            monkeypatch.setattr(sending, "is_altered", _once_blind(sending.is_altered))
            handle.write(altered)
        return digest

    monkeypatch.setattr(sending, "digest_of_file", alter)
    answer = behind_proxy.back_up()
    monkeypatch.undo()
    assert answer["verdict"] == "ok", answer
    behind_proxy.assert_sound()
    assert behind_proxy.bucket
    assert behind_proxy.bucket.uploads() == []


def _once_blind(real: t.Callable[..., bool]) -> t.Callable[..., bool]:
    left = [False]
    return lambda before, after: left.pop() if left else real(before, after)


def test_what_cannot_be_read_is_named_and_not_taken_for_deleted() -> None:
    """As an account that may not read all of it."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="steward-trees-"))
    try:
        kept = Kept(place)
        fill(kept)
        kept.file("closed/x", "x")
        place.chmod(0o777)
        kept.state.mkdir()
        for path in (kept.state, kept.directory):
            path.chmod(0o777)
        kept.back_up(check=True)  # imports all that is needed: nobody may not reach it
        with as_nobody():
            kept.backed_up()
        with (kept.tree / "b").open("a") as handle:
            handle.write("altered")
        (kept.tree / "b").chmod(0)
        (kept.tree / "closed").chmod(0)
        kept.file("a", "altered")
        with as_nobody():
            answer = kept.back_up()
        assert answer["verdict"] == "failed"
        assert "1 files could not be read: b: Permission denied" in answer["reason"]
        assert "what was kept of them stays: closed/: Permission denied" in answer["reason"]
        assert answer["figures"]["removed_files"] == 0
        assert answer["figures"]["sent_files"] == 1
        assert kept.read("current/closed/x") == b"x"
        back = kept.restored("back")
        assert ((back / "a").read_text(), (back / "b").read_text()) == ("altered", "b")
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def as_nobody() -> t.Iterator[None]:
    """Root may read everything; nobody may not. Any other account is what it is."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_full_disk_under_the_target(tmp_path: pathlib.Path) -> None:
    """On a file system of 2 MB: what was kept before stays restorable, and the next run goes on."""
    kept = Kept(tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(kept.directory)], check=True)
    try:
        kept.file("a", "a")
        kept.backed_up()
        large = kept.file("large", os.urandom(3_000_000))
        answer = kept.back_up()
        assert answer["verdict"] == "failed"
        assert "No space left on device" in answer["reason"]
        assert kept.verify()["verdict"] == "ok"
        large.unlink()
        assert not kept.back_up()["failed"]
        kept.assert_sound()
    finally:
        subprocess.run(["umount", str(kept.directory)], check=True)


def test_a_target_that_is_not_mounted_is_not_made(tmp_path: pathlib.Path) -> None:
    kept = Kept(tmp_path)
    kept.file("a", "a")
    kept.directory.rmdir()
    for answer in (kept.back_up(), kept.verify(), kept.restore(tmp_path / "x")):
        assert answer["failed"]
        assert f"{kept.directory} is not there: make it, or mount what belongs there" in answer["reason"]
    assert not kept.directory.exists()
