# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index is what was written, or it is damaged: never a smaller tree."""

from __future__ import annotations

import gzip
import os
import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._files import index

ENTRIES = [
    {"key": "a/", "type": "directory", "mtime": 1, "mode": 0o755, "uid": 0, "gid": 0},
    {"key": "a/ü", "type": "file", "size": 3, "mtime": 1, "ctime": 2, "mode": 0o644, "uid": 0, "gid": 0,
     "sha256": "ab", "etag": "cd"},
    {"key": "b", "type": "symlink", "target": "a", "mtime": 1, "uid": 0, "gid": 0},
]  # fmt: skip


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    place = tmp_path / "index"
    with index.Writer(str(place), {"tree": "t", "began": "2026-11-26T02:15:00Z"}) as writer:
        for entry in ENTRIES:
            writer.add(index.line_of(entry), entry.get("size"))  # type: ignore[arg-type]
        writer.end(ended="2026-11-26T02:16:00Z")
    return place


def lines_of(path: pathlib.Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def test_it_comes_back(path: pathlib.Path) -> None:
    reader = index.Reader(str(path), "here")
    assert reader.head == {"format": 1, "tree": "t", "began": "2026-11-26T02:15:00Z"}
    found = list(reader)
    assert [entry for _line, entry in found] == ENTRIES
    assert [line for line, _entry in found] == lines_of(path)[1:-1]
    assert reader.last["files"] == 1
    assert reader.last["bytes"] == 3
    assert reader.last["entries"] == 3


def test_cut_off_anywhere_it_is_damaged(path: pathlib.Path) -> None:
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(index.IndexDamaged):
            list(index.Reader(str(path), "here"))


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (lambda lines: lines[:-1], "is not whole"),
        (lambda lines: [*lines[:1], *lines[2:]], "is not whole"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "is not in order"),
        (lambda lines: [line.replace(b'"size":3', b'"size":4') for line in lines], "is not whole"),
        (lambda lines: [line.replace(b'"sha256":"ab",', b"") for line in lines], "says of 'a/ü' no sha256"),
        (lambda lines: [line.replace(b'"format":1', b'"format":2') for line in lines], "has the format 2"),
        (lambda lines: [line.replace(b"symlink", b"whatever") for line in lines], "no a known type"),
        (lambda lines: [b"[]\n", *lines[1:]], "none of an index"),
    ],
)
def test_altered_it_is_damaged(path: pathlib.Path, alter: object, told: str) -> None:
    path.write_bytes(gzip.compress(b"".join(alter(lines_of(path)))))  # type: ignore[operator]
    with pytest.raises(index.IndexDamaged, match=told):
        list(index.Reader(str(path), "here"))


def test_a_key_that_leads_elsewhere_is_damage(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "index")
    with index.Writer(path, {}) as writer:
        writer.add(index.line_of({**ENTRIES[1], "key": "../x"}), 3)
        writer.end()
    with pytest.raises(index.IndexDamaged, match="outside of its tree"):
        list(index.checked(index.Reader(path, "here")))


def test_a_file_that_was_altered_just_now_is_read_again(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    status = os.stat(path)
    entry = index.file_entry("file", status, "ab", "cd", status.st_ctime_ns + 1000)
    assert not index.is_same_file(status, entry)
    later = index.file_entry("file", status, "ab", "cd", status.st_ctime_ns + 3_000_000_000)
    assert index.is_same_file(status, later)
