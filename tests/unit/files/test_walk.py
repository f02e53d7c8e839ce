# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree in the order of its keys: what is passed over is counted, what cannot be looked at is told in its place."""

from __future__ import annotations

import os
import pathlib
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._files import walk
from ansible_collections.steward.maintenance.plugins.module_utils._files.walk import Rules, Walk


def fill(root: pathlib.Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def keys(root: pathlib.Path, **rules: object) -> list[str]:
    return [found.key for found in Walk(str(root), Rules(**rules))]  # type: ignore[arg-type]


def test_a_directory_stands_before_what_is_in_it_and_sorts_with_its_slash(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, "a/b", "a-b", "a.b", "a0", "B", "a/c/d")
    assert keys(tmp_path) == ["B", "a-b", "a.b", "a/", "a/b", "a/c/", "a/c/d", "a0"]


@settings(max_examples=30)
@given(st.sets(st.lists(st.text("a-.0ü%\n/é\U0001f600", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)))
def test_the_order_is_that_of_the_keys(tmp_path_factory: pytest.TempPathFactory, paths: set[str]) -> None:
    root = tmp_path_factory.mktemp("tree")
    for path in paths:
        words = [word for word in path.split("/") if word not in ("", ".", "..")]
        try:
            fill(root, *(["/".join(words)] if words else []))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # one is a directory on the way to another
    found = keys(root)
    assert found == sorted(found)
    assert found == sorted(found, key=str.encode)
    assert len(found) == len(set(found)) == len(list(root.rglob("*")))


def test_kinds(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, "file")
    (tmp_path / "link").symlink_to("/nowhere\n")
    (tmp_path / "to-directory").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    tree = Walk(str(tmp_path), Rules())
    found = {one.key: (one.kind, one.detail) for one in tree}
    assert found == {
        "file": (walk.FILE, ""),
        "link": (walk.SYMLINK, "/nowhere%0A"),
        "to-directory": (walk.SYMLINK, str(tmp_path)),
    }
    assert tree.passed.special == 2


def test_exclude(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, "a.tmp", "deep/b.tmp", "cache/x", "deep/cache/y", "deep/keep", "logs/1.log", "other/logs/2.log")
    (tmp_path / "deep" / "cachefile").write_text("")
    patterns = ("*.tmp", "cache/", "/logs/*.log")
    assert keys(tmp_path, exclude=patterns) == [
        "deep/", "deep/cachefile", "deep/keep", "logs/", "other/", "other/logs/", "other/logs/2.log",
    ]  # fmt: skip


def test_what_cannot_be_read_is_told_in_its_place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a", "b/c", "b/d", "e")
    real = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(walk.os, "scandir", refuse)
    found = [(one.key, one.kind) for one in Walk(str(tmp_path), Rules())]
    assert found == [("a", walk.FILE), ("b/", walk.DIRECTORY), ("b/", walk.BLIND), ("e", walk.FILE)]


def test_what_vanishes_meanwhile_is_counted(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, "a", "b", "c/d")
    tree = Walk(str(tmp_path), Rules())
    steps = iter(tree)
    assert next(steps).key == "a"
    (tmp_path / "b").unlink()
    (tmp_path / "c" / "d").unlink()
    (tmp_path / "c").rmdir()
    assert list(steps) == []
    assert tree.passed.vanished == 2


def test_another_file_system_is_told_and_not_entered(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "here", "mounted/there")
    real = os.lstat

    class Elsewhere:
        def __init__(self, status: os.stat_result) -> None:
            self.st_mode, self.st_dev = status.st_mode, status.st_dev + 1

    def lstat(path: bytes) -> object:
        return Elsewhere(real(path)) if path.endswith(b"/mounted") else real(path)

    monkeypatch.setattr(walk.os, "lstat", lstat)
    found = [(one.key, one.kind) for one in Walk(str(tmp_path), Rules())]
    assert found == [("here", walk.FILE), ("mounted/", walk.DIRECTORY), ("mounted/", walk.MOUNT)]
    assert "mounted/there" in keys(tmp_path, cross_filesystems=True)


def test_a_root_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(Walk(str(tmp_path / "none"), Rules()))
