# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup of a tree takes of memory when there are a million files: in a process of its own, which prints it.

    python benchmarks/files_memory.py FILES DIRECTORY

The walk is simulated, each entry made when it is asked for, and so are a store's answers, pages of XML of a thousand
keys each, put where the SDK would send its request. What reads them is the real code of a bucket, with the SDK, and so
are plan, index, merge, second listing and the run itself, with one file to send. The index of the last run is a real
one of so many files. Prints the most memory that the process ever had, in MB.
"""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import resource
import sys
import types
import typing as t
import urllib.parse
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import botocore.awsrequest  # noqa: E402
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
from ansible_collections.steward.maintenance.plugins.module_utils._files.target_s3 import S3Target  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._files.walk import (  # noqa: E402
    DIRECTORY,
    FILE,
    Found,
    Passed,
)
from ansible_collections.steward.maintenance.plugins.module_utils._s3.settings import StoreSettings  # noqa: E402

_LAST = "20260101T000000Z"
_EACH = 1000  # files in a directory
_PAGE = 1000  # keys in an answer


def keys(count: int) -> t.Iterator[str]:
    for directory in range(-(-count // _EACH)):
        yield f"customers/{directory:06}/"
        for number in range(directory * _EACH, min(count, (directory + 1) * _EACH)):
            yield file_key(number)


def file_key(number: int) -> str:
    return f"customers/{number // _EACH:06}/document-{number % _EACH:04}.pdf"


class Answer(io.BytesIO):
    """What the SDK takes for the body of an answer from the network."""

    def stream(self, **_more: t.Any) -> t.Iterator[bytes]:
        yield self.read()


class Store:
    """Answers each request for a page of the listing of so many objects."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pages = 0

    def answer(self, request: t.Any, **_more: t.Any) -> t.Any:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.url).query))
        start = int(query.get("continuation-token", 0))
        end = min(self.count, start + _PAGE)
        entries = "".join(
            f"<Contents><Key>{urllib.parse.quote(query['prefix'])}{file_key(number)}</Key>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;3-etag&quot;</ETag><Size>5</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for number in range(start, end)
        )
        more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < self.count else ""
        text = (
            f"<ListBucketResult><Name>bench</Name><EncodingType>url</EncodingType><MaxKeys>{_PAGE}</MaxKeys>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{entries}</ListBucketResult>"
        )
        self.pages += 1
        headers = botocore.awsrequest.HeadersDict({"Content-Type": "application/xml"})
        return botocore.awsrequest.AWSResponse(request.url, 200, headers, Answer(text.encode()))


class Simulated(LocalTarget):
    """A place whose listing is that of a bucket with a million objects, and that really keeps what is written to it."""

    def __init__(self, directory: str, store: Store) -> None:
        super().__init__(directory, "t", 2**20)
        where = StoreSettings("bench", access_key="bench", secret_key="bench", region="us-east-1")
        self._bucket = S3Target(where, "t")
        events = self._bucket.store._lister().meta.events
        events.register("before-send.s3.ListObjectsV2", store.answer)

    def listing(self, below: str) -> t.Iterator[Held]:
        if below != CURRENT:
            yield from super().listing(below)
            return
        yield from self._bucket.listing(CURRENT)
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
    store = Store(count)
    target = Simulated(str(scratch / "kept"), store)
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
    # Before and after: both times to the last page.
    assert store.pages == 2 * -(-count // _PAGE), store.pages
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
