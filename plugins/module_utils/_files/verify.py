# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kept trees verified: every object by a listing, a sample or all of them by their bytes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import time
import typing as t
from concurrent import futures

from .._core.clock import parse_time, utc_now
from .._core.durations import format_duration
from .._core.result import Result, merge, ok_or_findings
from .._core.sizes import format_size
from .._s3.errors import S3Error
from .common import NoRun, first_of, one_line, open_index, run_at, scratch
from .index import Entry, IndexDamaged
from .locate import is_current, locate
from .settings import Place
from .target import KEPT, Refused, Target, TargetError
from .walk import FILE

_WINDOW = 256
_MOST_TOLD = 20


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of each tree is read back: so many files, or all of them."""

    sample: int
    whole: bool = False


def verify(place: Place, trees: t.Sequence[str], settings: Settings, check: bool = False) -> Result:
    """:param check: nothing is changed in any case, but before the first run there may be nothing to look at."""
    return merge(_verify_one(place, tree, settings, check) for tree in trees)


def _verify_one(place: Place, tree: str, settings: Settings, check: bool) -> Result:
    try:
        with place.open(tree) as target, scratch() as directory:
            return _Verification(target, tree, settings, directory, place.streams).go()
    except (NoRun, IndexDamaged) as exc:
        if check and isinstance(exc, NoRun):
            reason = f"{tree}: {one_line(exc, place.secret)}, and check mode makes none"
            return Result("skipped", f"{tree}: nothing to verify yet", reason)
        return Result("failed", f"{tree}: there is nothing to restore from", one_line(exc, place.secret), of=1)
    except (S3Error, TargetError, Refused, OSError) as exc:
        # What could not be looked at is neither proved nor refuted.
        return Result("unknown", f"{tree} could not be verified", f"{tree}: {one_line(exc, place.secret)}", of=1)


class _Verification:
    def __init__(self, target: Target, tree: str, settings: Settings, directory: str, streams: int) -> None:
        self.target = target
        self.tree = tree
        self.settings = settings
        self.directory = directory
        self.streams = streams
        self.wrong: list[str] = []
        self.wrong_count = 0
        self.files = 0
        self.read = 0
        self.read_bytes = 0

    def go(self) -> Result:
        began = time.monotonic()
        run = run_at(self.target, "")
        head = open_index(self.target, run, self.directory).head
        self._read_back(self._listed(run))
        figures = {
            "duration_seconds": round(time.monotonic() - began, 3),
            "files": self.files,
            "read_files": self.read,
            "read_bytes": self.read_bytes,
            "wrong_files": self.wrong_count,
            "last_change_seconds": round((utc_now() - parse_time(head["began"])).total_seconds()),
        }
        how = "all" if self.read == self.files else f"{self.read}"
        summary = (
            f"{self.tree}: {self.files} files of the run {run} are listed in {self.target.place}, and {how} were read"
            f" back ({format_size(self.read_bytes)} in {format_duration(figures['duration_seconds'])})"
        )
        good = self.files - self.wrong_count
        if self.wrong_count:
            told = first_of(self.wrong, self.wrong_count)
            reason = f"{self.tree}: {self.wrong_count} files are not there as they were sent: {told}"
            return Result("failed", f"{self.tree} is damaged", reason, (), figures, good, self.files)
        return ok_or_findings(summary, (), figures, good, self.files)

    def _listed(self, run: str) -> t.Iterator[tuple[Entry, str]]:
        """The files to be read back, and where they lie; each file is looked for in a listing meanwhile."""
        chosen: list[tuple[Entry, str]] = []
        entries = (entry for _line, entry in open_index(self.target, run, self.directory))
        for located in locate(self.target, run, entries):
            entry = located.entry
            if entry["type"] != FILE:
                continue
            self.files += 1
            # A run that was killed may have kept a file, and removed it, without an index of its own.
            if not is_current(located) and not [key for key in located.keys if key.startswith(KEPT)]:
                self._fail(f"{entry['key']} {'is another object' if located.found else 'is not there'}")
                continue
            one = (entry, located.keys[0])
            if self.settings.whole:
                yield one
            elif len(chosen) < self.settings.sample:
                chosen.append(one)
            else:
                # Each file has the same chance, however many there are (reservoir sampling).
                place = random.randrange(self.files)  # noqa: S311 (a sample)
                if place < self.settings.sample:
                    chosen[place] = one
        yield from chosen

    def _read_back(self, entries: t.Iterable[tuple[Entry, str]]) -> None:
        with futures.ThreadPoolExecutor(self.streams, "file") as pool:
            under_way: list[futures.Future[str]] = []
            try:
                for entry, key in entries:
                    under_way.append(pool.submit(self._compare, entry, key))
                    self.read += 1
                    self.read_bytes += entry["size"]
                    if len(under_way) >= _WINDOW:
                        self._settle(under_way.pop(0))
                for one in under_way:
                    self._settle(one)
                under_way.clear()
            finally:
                for one in under_way:
                    one.cancel()

    def _settle(self, one: futures.Future[str]) -> None:
        wrong = one.result()
        if wrong:
            self._fail(wrong)

    def _compare(self, entry: Entry, key: str) -> str:
        """What is wrong with an object; an empty text when its bytes are those that were sent."""
        digest, size = hashlib.sha256(), 0
        try:
            for block in self.target.blocks(key, entry["size"]):
                digest.update(block)
                size += len(block)
        except S3Error as exc:
            if exc.is_missing:
                return f"{entry['key']} is not there"
            raise
        except Refused as exc:
            return str(exc)
        if size != entry["size"] or digest.hexdigest() != entry["sha256"]:
            return f"{entry['key']} is not what was sent: its bytes have another SHA-256"
        return ""

    def _fail(self, wrong: str) -> None:
        self.wrong_count += 1
        if len(self.wrong) < _MOST_TOLD:
            self.wrong.append(wrong)
