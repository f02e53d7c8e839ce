# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs archived: what rotation has finished and the journal, each content once, proved before it counts.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What was archived is told by the manifests at the target alone; a host that lost its state archives nothing twice. A
file is known by its log, its content, unpacked, and the second in which it was last written to, which rotation keeps:
`x.1` that became `x.2.gz` is the same, and two days with the very same content are two. What a killed run has sent
without its manifest is sent again under the same name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import tempfile
import time
import typing as t
import urllib.parse

from .._core.clock import utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy, held
from .._core.result import Finding, Result, merge, ok_or_findings
from .._core.sizes import format_size
from .._s3.checksums import sha256_of_file
from .._s3.errors import S3Error
from .journal import Journal, seconds_between
from .rotated import Content, LogsError, Rotated, base_of, content_of, find, open_for_writing, pack
from .targets import Entry, Target, read_manifest, write_manifest, write_whole

_PASSES = 3
_MOST_IN_NAME = 120
_SPOOL = "spool-"
_JOURNAL = "journal"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to archive, and how long it is kept; durations in seconds."""

    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    unrotated: bool
    retention: int
    settle: int
    packing: str
    journal: Journal | None
    state_dir: str


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    archived: list[str] = dataclasses.field(default_factory=list)
    pruned: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        after = [*(f"{name} archived" for name in self.archived), *(f"{day} removed" for day in self.pruned)]
        diff = {"before": "", "after": "".join(f"{line}\n" for line in after)}
        return {"archived": self.archived, "pruned": self.pruned, "diff": diff}


def archive(opening: t.ContextManager[t.Sequence[Target]], settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Archive to each target what is not there yet; whatever goes wrong is in the result."""
    try:
        with opening as targets:
            return _archive(targets, settings, check, outcome)
    except (LogsError, S3Error, OSError) as exc:
        return Result("failed", "no logs were archived", " ".join(str(exc).split()))


def _archive(targets: t.Sequence[Target], settings: Settings, check: bool, outcome: Outcome) -> Result:
    if check:
        return _merged([_one(_Run(target, settings, outcome), check) for target in targets])
    try:
        with held(settings.state_dir):
            return _merged([_one(_Run(target, settings, outcome), check) for target in targets])
    except Busy as exc:
        return Result("unknown", "no logs were archived", str(exc))


def _one(run: _Run, check: bool) -> Result:
    try:
        return run.foretell() if check else run.go()
    except (LogsError, S3Error, OSError) as exc:
        reason = " ".join(str(exc).split())
        summary = f"not all was archived in {run.target.place}"
        return Result("failed", summary, reason, tuple(run.findings), run.figures(), 0, 1)


def _merged(results: t.Sequence[Result]) -> Result:
    return results[0] if len(results) == 1 else merge(results)


class _Run:
    def __init__(self, target: Target, settings: Settings, outcome: Outcome) -> None:
        self.target = target
        self.settings = settings
        self.outcome = outcome
        self.findings: list[Finding] = []
        #: What is there: the log, the digest of the content, and when it was last written to.
        self.known: set[tuple[str, str, str]] = set()
        self.cursor = ""
        self.cache = _Cache(os.path.join(settings.state_dir, "contents.json"))
        self.files = 0
        self.stored_bytes = 0
        self.content_bytes = 0
        self.left = 0
        self.pruned = 0
        self._began = time.monotonic()

    def figures(self) -> dict[str, float]:
        return {
            "archived_files": self.files,
            "content_bytes": self.content_bytes,
            "stored_bytes": self.stored_bytes,
            "pruned_days": self.pruned,
            "duration_seconds": round(time.monotonic() - self._began, 3),
        }

    def foretell(self) -> Result:
        self._read_manifests()
        wanted = [one for one in self._candidates() if self._is_still_new(one)]
        expired = self._expired()
        self.outcome.archived += [one.path for one in wanted]
        self.outcome.pruned += expired
        self.outcome.changed = self.outcome.changed or bool(wanted or expired)
        told = f"{len(wanted)} files would be archived in {self.target.place}, {len(expired)} days removed"
        return ok_or_findings(told, self.findings, self.figures(), 1, 1)

    def go(self) -> Result:
        remove_spools(self.settings.state_dir)
        self._read_manifests()
        with tempfile.TemporaryDirectory(prefix=_SPOOL, dir=self.settings.state_dir) as spool:
            # Rotation may rename what is still to come: until a pass finds nothing new.
            for _pass in range(_PASSES):
                if not self._archive_files(spool):
                    break
            if self.settings.journal:
                self._archive_journal(self.settings.journal, spool)
        self.cache.write()
        self._prune()
        size = f"{format_size(self.content_bytes)} as {format_size(self.stored_bytes)}"
        told = f"{self.files} files archived in {self.target.place} ({size}), {self.pruned} days removed"
        return ok_or_findings(told, self.findings, self.figures(), self.files, self.files + self.left)

    def _read_manifests(self) -> None:
        for day in self.target.days():
            for entry in read_manifest(self.target, day):
                self.known.add((base_of(entry["path"]), entry["content_sha256"], entry.get("modified", "")))
                self.cursor = entry.get("cursor") or self.cursor

    def _candidates(self) -> list[Rotated]:
        """What nobody writes to any more, and is not so old that its time would be over at once."""
        found, idle, missed = find(self.settings.paths, self.settings.exclude, self.settings.unrotated)
        oldest = time.time() - self.settings.retention
        found = [one for one in found if one.modified / 1e9 > oldest]
        for pattern in idle:
            if not any(finding.subject == pattern for finding in self.findings):
                action = "take it off the list, or find out why nothing is logged there"
                message = "nothing fits it, neither a rotated file nor a live one"
                self.findings.append(Finding("logs-nothing-there", "low", pattern, message, action=action))
        for pattern, rotated in missed.items():
            if not any(finding.subject == pattern for finding in self.findings):
                message = f"it fits live files only, and not what rotation makes of them, such as {rotated}"
                action = f"write {pattern}*"
                self.findings.append(Finding("logs-rotated-missed", "medium", pattern, message, action=action))
        writing = open_for_writing()
        young = time.time() - self.settings.settle
        quiet = [one for one in found if (one.device, one.inode) not in writing and one.modified / 1e9 <= young]
        self.left = len(found) - len(quiet)
        return quiet

    def _is_new(self, one: Rotated) -> bool:
        """Whether its content is not there yet. From the cache when nothing was done to the file since.

        :raises FileNotFoundError: when it was rotated away.
        """
        sha256 = self.cache.get(one.identity)
        if not sha256:
            with _opened(one) as handle:
                sha256 = self._unpacked(one, handle).sha256
            self.cache.put(one.identity, sha256)
        return (base_of(one.path), sha256, _written(one)) not in self.known

    def _is_still_new(self, one: Rotated) -> bool:
        try:
            return self._is_new(one)
        except FileNotFoundError:
            return False

    def _unpacked(self, one: Rotated, handle: t.BinaryIO) -> Content:
        try:
            return content_of(handle, one.packing)
        except LogsError as exc:
            if not any(finding.subject == one.path for finding in self.findings):
                message = f"{exc}; its bytes are archived as they are"
                action = "find out what damaged it"
                self.findings.append(Finding("logs-damaged", "medium", one.path, message, action=action))
            return content_of(handle, "")

    def _archive_files(self, spool: str) -> int:
        """How many were archived in this pass, or have another name by now."""
        count = 0
        for one in self._candidates():
            try:
                if not self._is_new(one):
                    continue
                with _opened(one) as handle:
                    self._archive_file(one, handle, spool)
            except FileNotFoundError:
                pass  # rotated away: the next pass finds it under its new name
            count += 1
        return count

    def _archive_file(self, one: Rotated, handle: t.BinaryIO, spool: str) -> None:
        content = self._unpacked(one, handle)
        packing = "" if one.packing else self.settings.packing
        path = os.path.join(spool, "file")
        with open(path, "wb") as target:
            pack(handle, target, packing)
        with open(path, "rb") as packed:
            proved = content_of(packed, packing)
        handle.seek(0)
        now = os.fstat(handle.fileno())
        if (now.st_size, now.st_mtime_ns) != (one.size, one.modified):
            return  # somebody wrote to it after all: the next pass, or run, sees all of it
        if proved.bytes != one.size or proved != content_of(handle, ""):
            raise LogsError(f"{one.path} does not unpack as it was packed")
        self._store(path, one.path, content, packing, {"path": one.path, "modified": _written(one)})

    def _store(self, path: str, source: str, content: Content, packing: str, more: Entry) -> None:
        """Send it, and only when it is proved to be there, write it into the manifest."""
        now = utc_now()
        day = now.strftime("%Y-%m-%d")
        ending = f".{packing}" if packing else ""
        name = f"{urllib.parse.quote(source, safe='')[-_MOST_IN_NAME:]}.{content.sha256[:16]}{ending}"
        self.target.put_file(day, name, path)
        entry = {
            **more,
            "name": name,
            "content_sha256": content.sha256,
            "content_bytes": content.bytes,
            "sha256": sha256_of_file(path),
            "bytes": os.path.getsize(path),
            "archived": write_time(now),
        }
        write_manifest(self.target, day, [*read_manifest(self.target, day), entry])
        self.known.add((base_of(source), content.sha256, entry.get("modified", "")))
        self.outcome.archived.append(source)
        self.outcome.changed = True
        self.files += 1
        self.content_bytes += content.bytes
        self.stored_bytes += int(entry["bytes"])

    def _archive_journal(self, journal: Journal, spool: str) -> None:
        is_gone = bool(self.cursor) and self._tell_a_gap(journal)
        path = os.path.join(spool, _JOURNAL)
        unseen = journal.unseen()
        if unseen:
            action = "let an account archive it that sees all of it: root, or one in the group systemd-journal"
            self.findings.append(Finding("logs-journal-unseen", "high", _JOURNAL, unseen, action=action))
        cursor = journal.export(self.cursor, is_gone, path, os.path.join(spool, "cursor"))
        if not cursor and not self.cursor:
            action = "find out why nothing is written to it, or do not ask for it"
            message = "there is not a single entry in it, and there never was one in the archive"
            self.findings.append(Finding("logs-journal-empty", "low", _JOURNAL, message, action=action))
        if not cursor or cursor == self.cursor:
            return
        packed = f"{path}.packed"
        with open(path, "rb") as handle, open(packed, "wb") as target:
            content = content_of(handle, "")
            pack(handle, target, self.settings.packing)
        with open(packed, "rb") as handle:
            if content_of(handle, self.settings.packing) != content:
                raise LogsError("the journal does not unpack as it was packed")
        self._store(packed, _JOURNAL, content, self.settings.packing, {"path": _JOURNAL, "cursor": cursor})
        self.cursor = cursor

    def _tell_a_gap(self, journal: Journal) -> bool:
        """Whether the last entry that was archived is gone from the journal."""
        first = journal.first_from(self.cursor)
        if first == self.cursor:
            return False
        seconds = seconds_between(self.cursor, first) if first else None
        span = f"the journal begins {format_duration(seconds)} later" if seconds else "nothing newer is there"
        message = f"entries after the last archive are gone before they were archived: {span}"
        action = "archive more often, or let the journal keep more (SystemMaxUse)"
        self.findings.append(Finding("logs-journal-gap", "high", _JOURNAL, message, seconds, action=action))
        return True

    def _expired(self) -> list[str]:
        oldest = (utc_now() - datetime.timedelta(seconds=self.settings.retention)).strftime("%Y-%m-%d")
        return [day for day in self.target.days() if day < oldest]

    def _prune(self) -> None:
        """The last cursor of the journal must not go with its day: without it all would be archived again."""
        for day in self._expired():
            entries = read_manifest(self.target, day)
            if self.settings.journal and any(entry.get("cursor") == self.cursor for entry in entries):
                continue
            self.target.remove(day)
            self.pruned += 1
            self.outcome.pruned.append(day)
            self.outcome.changed = True


def _written(one: Rotated) -> str:
    """When somebody wrote to it last, in whole seconds: that is what programs that compress it keep."""
    return write_time(datetime.datetime.fromtimestamp(one.modified // 10**9, datetime.timezone.utc))


@contextlib.contextmanager
def _opened(one: Rotated) -> t.Iterator[t.BinaryIO]:
    """The very file that was found.

    :raises FileNotFoundError: when its name belongs to another one by now.
    """
    file = os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb", buffering=0) as handle:
        seen = os.fstat(handle.fileno())
        if (seen.st_dev, seen.st_ino) != (one.device, one.inode):
            raise FileNotFoundError(one.path)
        yield t.cast("t.BinaryIO", handle)


class _Cache:
    """Contents of files that nothing was done to, so that they need not be read again. Only a help: it may be lost."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._used: dict[str, str] = {}
        try:
            with open(path, encoding="ascii") as handle:
                self._known = dict(json.load(handle))
        except (OSError, ValueError, TypeError):
            self._known = {}

    def get(self, identity: str) -> str:
        found = str(self._known.get(identity) or "")
        if found:
            self._used[identity] = found
        return found

    def put(self, identity: str, sha256: str) -> None:
        self._known[identity] = self._used[identity] = sha256

    def write(self) -> None:
        write_whole(self._path, json.dumps(self._used).encode())


def remove_spools(directory: str) -> None:
    """What killed runs left."""
    for name in os.listdir(directory):
        if name.startswith(_SPOOL):
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
