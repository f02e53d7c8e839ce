# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup of a tree takes of memory when there are a million files: in a process of its own, which prints it.

    python benchmarks/files_memory.py FILES DIRECTORY

Walk and listing are simulated, each entry made when it is asked for; plan, index, merge, second listing and the run
itself are the real ones, with one file to send. The index of the last run is a real one of so many files. Prints the
most memory that the process ever had, in MB.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import resource
import sys
import types
import typing as t
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import boto3  # noqa: E402, F401 - part of the memory of every run that talks to a bucket
import conftest  # noqa: E402, F401 - makes the checkout importable as the collection

from ansible_collections.steward.maintenance.plugins.module_utils._files import backup, index  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._files.settings import Tree  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._files.target import (  # noqa: E402
    CURRENT,
    INDEX,
    RUNS,
    Held,
)
from ansible_collections.steward.maintenance.plugins.module_utils._files.target_local import LocalTarget  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._files.walk import (  # noqa: E402
    DIRECTORY,
    FILE,
    Found,
    Passed,
)

_LAST = "20260101T000000Z"
_EACH = 1000  # files in a directory


def keys(count: int) -> t.Iterator[str]:
    for directory in range(-(-count // _EACH)):
        yield f"customers/{directory:06}/"
        for number in range(min(_EACH, count - directory * _EACH)):
            yield f"customers/{directory:06}/document-{number:04}.pdf"


class Simulated(LocalTarget):
    """A place that holds a million objects, and really keeps what else is written to it."""

    count = 0

    def listing(self, below: str) -> t.Iterator[Held]:
        if below != CURRENT:
            yield from super().listing(below)
            return
        yield from (Held(key, 5, "3-etag") for key in keys(self.count) if not key.endswith("/"))
        yield from (held for held in super().listing(CURRENT) if held.key > "customers/")


class Walked:
    """A million files that are all like one."""

    def __init__(self, like: os.stat_result, count: int) -> None:
        self.passed = Passed()
        self._like = like
        self._count = count

    def __iter__(self) -> t.Iterator[Found]:
        directory = os.stat("/")
        yield Found("customers/", DIRECTORY, directory)
        for key in keys(self._count):
            is_directory = key.endswith("/")
            yield Found(key, DIRECTORY, directory) if is_directory else Found(key, FILE, self._like)
        yield Found("new", FILE, self._like)


def main(count: int, scratch: pathlib.Path) -> None:
    tree = scratch / "tree"
    tree.mkdir()
    (tree / "new").write_bytes(b"12345")
    os.utime(tree / "new", (10**9, 10**9))
    like, directory = os.stat(tree / "new"), os.stat("/")
    Simulated.count = count
    target = Simulated(str(scratch / "kept"), "t", 2**20)
    place = scratch / "kept" / "t" / RUNS
    place.mkdir(parents=True)
    with index.Writer(str(place / f"{_LAST}{INDEX}"), {"tree": "t"}) as writer:
        writer.add(index.line_of(index.other_entry("customers/", DIRECTORY, directory)), None)
        for key in keys(count):
            if key.endswith("/"):
                writer.add(index.line_of(index.other_entry(key, DIRECTORY, directory)), None)
            else:
                entry = index.file_entry(key, like, "0" * 64, "3-etag", like.st_ctime_ns + 10**10)
                writer.add(index.line_of(entry), 5)
        writer.end()

    @contextlib.contextmanager
    def opened(_name: str) -> t.Iterator[Simulated]:
        yield target

    where = types.SimpleNamespace(
        open=opened, directory="", prefix="", state_dir=str(scratch / "state"), streams=16, secret="", part_bytes=2**20
    )
    settings = backup.Settings(retention=90 * 86400, most_deleted=50)
    with mock.patch.object(backup, "Walk", return_value=Walked(like, count)):
        result = backup.back_up(t.cast("t.Any", where), [Tree("t", str(tree))], settings, False, backup.Outcome())
    assert result.verdict == "ok", result
    assert (result.figures["files"], result.figures["sent_files"]) == (count + 1, 1), result.figures
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
