# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree brought back as it was at a run: beside what is in use, each file's bytes hashed before it gets its name.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t
from concurrent import futures

from .._core.durations import format_duration
from .._core.result import Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError
from .._s3.errors import S3Error
from .common import NoRun, first_of, moment_of, one_line, open_index, run_at, scratch
from .index import Entry, IndexDamaged, Reader, checked
from .locate import Located, locate
from .names import path_of
from .restore_place import Destination, NotEmpty
from .restore_writing import Damaged, Writing
from .settings import Place
from .target import Refused, Target, TargetError
from .walk import DIRECTORY, FILE

_WINDOW = 512
_MOST_TOLD = 20


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to bring back, and where to."""

    tree: str
    destination: str
    path: str = ""
    at: str = ""
    overwrite: bool = False


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    run: str = ""
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        diff = {"before": "", "after": "".join(f"{line}\n" for line in self.after)}
        return {"planned": self.planned, "run": self.run, "diff": diff}


@dataclasses.dataclass
class _Sum:
    """What there is to bring back."""

    entries: int = 0
    files: int = 0
    bytes: int = 0


def bring_back(place: Place, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Whatever goes wrong is in the result; what was at the destination stays, but for what `overwrite` allows."""
    try:
        with place.open(settings.tree) as target, scratch() as directory:
            return _Restore(target, settings, directory, place.streams, outcome).go(check)
    except (S3Error, TargetError, Refused, IndexDamaged, InputError, NoRun, NotEmpty, OSError) as exc:
        return Result("failed", f"{settings.tree} was not restored", one_line(exc, place.secret))


class _Restore:
    def __init__(self, target: Target, settings: Settings, directory: str, streams: int, outcome: Outcome) -> None:
        self.target = target
        self.settings = settings
        self.directory = directory
        self.streams = streams
        self.outcome = outcome
        self.run = run_at(target, settings.at)
        self.failures: list[str] = []
        self.failed = 0
        self.figures: dict[str, float] = {}

    def go(self, check: bool) -> Result:
        began = time.monotonic()
        self.outcome.run = self.run
        wanted = self._sum()
        where = Destination(self.settings.destination, self.settings.overwrite)
        where.look(self._entries())
        where.require_space(wanted.bytes)
        words = f"{wanted.files} files ({format_size(wanted.bytes)}) of {self.settings.tree} as of {self.run}"
        estimate = {"bytes": wanted.bytes, "objects": wanted.files}
        plan = {"database": "", "subject": self.settings.tree, "action": "restore", "reason": f"as of {self.run}"}
        self.outcome.planned = [{**plan, "estimate": estimate}]
        self.outcome.after = [f"{where.path}: {words}"]
        if check:
            self.outcome.changed = True
            summary = f"{words} would be restored into {where.path}"
            return ok_or_findings(summary, (), {"bytes": wanted.bytes}, wanted.files, wanted.files)
        writing = Writing(self.target, where)
        self._write(writing)
        where.finish(self._root())
        self.outcome.changed = writing.changed or where.changed
        seconds = round(time.monotonic() - began, 3)
        self.figures.update(
            duration_seconds=seconds,
            restored_files=writing.written,
            restored_bytes=writing.bytes,
            unchanged_files=writing.unchanged,
            data_age_seconds=round(time.time() - moment_of(self.run).timestamp()),
        )
        summary = f"{words} restored into {where.path} in {format_duration(seconds)}"
        looked = wanted.files - self.failed
        if self.failed:
            reason = f"{self.failed} entries could not be restored: {first_of(self.failures, self.failed)}"
            return Result("failed", f"a part only: {summary}", reason, (), self.figures, looked, wanted.files)
        if not self.outcome.changed:
            summary = f"{words} are in {where.path} already"
        return ok_or_findings(summary, (), self.figures, looked, wanted.files)

    def _write(self, writing: Writing) -> None:
        with futures.ThreadPoolExecutor(self.streams, "file") as pool:
            under_way: list[tuple[Entry, futures.Future[None]]] = []
            try:
                for located in locate(self.target, self.run, self._entries()):
                    if located.entry["type"] == FILE:
                        under_way.append((located.entry, pool.submit(writing.write_file, located)))
                    else:
                        self._try(located, writing)
                    if len(under_way) >= _WINDOW:
                        self._settle(*under_way.pop(0))
                for one in under_way:
                    self._settle(*one)
                under_way.clear()
            finally:
                for _entry, future in under_way:
                    future.cancel()

    def _try(self, located: Located, writing: Writing) -> None:
        try:
            writing.write_other(located.entry)
        except (OSError, Damaged) as exc:
            self._fail(located.entry, exc)

    def _settle(self, entry: Entry, one: futures.Future[None]) -> None:
        """One file's failure leaves the others theirs; a target that does not answer ends it."""
        try:
            one.result()
        except (OSError, Damaged) as exc:
            self._fail(entry, exc)

    def _fail(self, entry: Entry, exc: Exception) -> None:
        self.failed += 1
        if len(self.failures) < _MOST_TOLD:
            told = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            self.failures.append(f"{entry['key']}: {told}")

    def _reader(self) -> Reader:
        return open_index(self.target, self.run, self.directory)

    def _root(self) -> Entry | None:
        root = None if self.settings.path else self._reader().head.get("root")
        return {"type": DIRECTORY, "key": "", **root} if isinstance(root, dict) else None

    def _entries(self) -> t.Iterator[Entry]:
        """What is asked for, with the directories that it lies in."""
        wanted = self.settings.path.strip("/")
        for entry in checked(self._reader()):
            if not wanted:
                yield entry
                continue
            key = entry["key"]
            path = os.fsdecode(path_of(key))
            is_around = entry["type"] == DIRECTORY and wanted.startswith(f"{path}/")
            if path == wanted or path.startswith(f"{wanted}/") or is_around:
                yield entry

    def _sum(self) -> _Sum:
        """:raises InputError: when nothing is asked for that was there."""
        total = _Sum()
        wanted, seen = self.settings.path.strip("/"), False
        for entry in self._entries():
            total.entries += 1
            if entry["type"] == FILE:
                total.files += 1
                total.bytes += entry["size"]
            seen = seen or not wanted or os.fsdecode(path_of(entry["key"])) == wanted
        if wanted and not seen:
            given = self.settings.path
            raise InputError(f"path is {given!r}: the tree {self.settings.tree} did not have it at {self.run}")
        return total
