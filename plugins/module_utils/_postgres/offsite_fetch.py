# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup brought back from its copy: into a directory of backups, or into one where it is to be verified.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
import os
import time
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError, refuse_unknown
from .._s3.client import Store
from .._s3.download import Wanted, fetch
from .._s3.errors import S3Error
from .._s3.settings import StoreSettings
from .._s3.streams import Streams
from .backup import describe, diff_of
from .backup_plan import require_space
from .backup_sets import MANIFEST, PARTIAL, BackupSet, damaged_files, is_future, moment_of, read_manifest, read_sets
from .connection import PostgresError, one_line
from .durable import files_below, flush, flush_tree, give_to_owner_of, remove_tree
from .offsite_copies import STATEMENTS, Copy, read_copies, read_systems

LOCK = ".fetch.lock"

#: Another name than that of a backup that is being made: whoever makes one removes what killed runs of his left.
_FETCHING = f".fetch{PARTIAL}"
_LOCK_PATIENCE = 10
_MOST_BESIDE = 2**20


class NoCopy(S3Error):
    """There is nothing that could be fetched: no copy at all, or none that is right."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which copy to fetch, and where to; the newest when neither a name nor a moment is given."""

    path: str
    backup: str = ""
    at: str = ""
    system_identifier: str = ""


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    backup: str = ""
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        return {"planned": self.planned, "backup": self.backup, "diff": diff_of(self.before, self.after)}


def fetch_backup(where: StoreSettings, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Bring a backup back; whatever goes wrong is in the result, and what was in the directory is as it was."""
    try:
        outcome.before = outcome.after = [describe(backup) for backup in read_sets(settings.path)]
        store = Store(where)
        with Streams(where.streams) as streams:
            findings: list[Finding] = []
            copy = find_copy(store, streams, settings, findings)
            outcome.backup = os.path.join(settings.path, copy.name)
            if _is_here(copy, outcome.backup):
                return ok_or_findings(f"backup {copy.name} is in {settings.path} already", findings, {}, 1, 1)
            outcome.planned = [_planned(copy, settings)]
            if check:
                require_space(_nearest(settings.path), _bytes_of(copy), "the backup")
                outcome.changed = True
                outcome.after = sorted([*outcome.before, f"{copy.name} fetched, {format_size(_bytes_of(copy))}"])
                summary = f"backup {copy.name} would be fetched ({format_size(_bytes_of(copy))})"
                return ok_or_findings(summary, findings, {"missing_bytes": _bytes_of(copy)}, 1, 1)
            os.makedirs(settings.path, mode=0o700, exist_ok=True)
            with lock(os.path.join(settings.path, LOCK), _LOCK_PATIENCE):
                return _bring(store, streams, copy, settings, findings, outcome)
    except (S3Error, PostgresError, InputError, Busy, OSError) as exc:
        return Result("failed", "no backup was fetched", one_line(exc, where.secret_key))


def find_copy(store: Store, streams: Streams, settings: Settings, findings: list[Finding]) -> Copy:
    """The copy that is asked for; copies that are passed over because they are not right, or bear a date in the future,
    are told in `findings`.

    :raises InputError: naming what is asked for and not there, and what is there.
    :raises NoCopy: when there is none that is right.
    :raises S3Error: when the one that is asked for by its name is not right.
    """
    system = settings.system_identifier or _only_system(store)
    copies = [copy for copy in read_copies(store, streams, system) if not copy.is_begun]
    place = f"{store.settings.place}/{system}"
    if not copies:
        raise NoCopy(f"there is no copy of a backup in {place}")
    if settings.backup:
        refuse_unknown(f"backup: %s is not in {place}: unknown name", settings.backup, [copy.name for copy in copies])
        chosen = next(copy for copy in copies if copy.name == settings.backup)
        if chosen.damage or chosen.refuted:
            raise S3Error(f"the copy {chosen.name} is not right: {_why_wrong(chosen)}")
        return chosen
    limit = _moment(settings.at)
    eligible = [copy for copy in copies if limit is None or moment_of(copy.name) <= limit]
    if not eligible:
        raise InputError(
            f"at is {settings.at!r}: the oldest copy in {place} is of {write_time(moment_of(copies[0].name))}"
        )
    now = utc_now()
    begun = [copy for copy in eligible if not is_future(moment_of(copy.name), now)]
    for copy in eligible:
        if copy not in begun:
            message = "it bears a date in the future, for a clock was wrong: nobody knows how old it is"
            action = "find out when it was made; naming it as the backup fetches it all the same"
            findings.append(Finding("offsite-in-the-future", "high", copy.name, message, action=action))
    if not begun:
        wrong = "bear dates in the future, for a clock was wrong"
        raise NoCopy(f"all copies in {place} {wrong}: name the one that is meant")
    for copy in reversed(begun):
        if not copy.damage and not copy.refuted:
            return copy
        message = f"it is passed over, for the copy is not right: {_why_wrong(copy)}"
        findings.append(Finding("offsite-damaged", "high", copy.name, message, action="copy that backup again"))
    raise NoCopy(f"none of the copies in {place} is right: {_why_wrong(begun[-1])}")


def download(store: Store, streams: Streams, copy: Copy, directory: str) -> int:
    """Fetch all files of a copy into a directory, the manifest last; the bytes that came over the line.

    What is there already and right is not fetched again.

    :raises Damaged: when something is not what was sent.
    """
    paths = [entry["path"] for entry in copy.manifest["files"]]
    small = [path for path in copy.objects if path not in paths and path not in (MANIFEST, *STATEMENTS)]
    for path in [*paths, *small]:
        _refuse_to_leave(path, copy)
    wanted = [
        Wanted(f"{copy.base}/{entry['path']}", os.path.join(directory, entry["path"]), entry["bytes"], entry["sha256"])
        for entry in copy.manifest["files"]
    ]
    counts = streams.each_object(lambda one: fetch(store, streams, one), wanted)
    for path in [*small, MANIFEST]:
        if path != MANIFEST and copy.objects[path].bytes > _MOST_BESIDE:
            raise S3Error(
                f"s3://{store.settings.bucket}/{copy.base}/{path} does not belong to a backup: it is too large"
            )
        _write(os.path.join(directory, path), store.read(f"{copy.base}/{path}"))
    for name in set(files_below(directory)) - {*paths, *small, MANIFEST}:
        os.unlink(os.path.join(directory, name))
    return sum(counts)


def _bring(
    store: Store, streams: Streams, copy: Copy, settings: Settings, findings: list[Finding], outcome: Outcome
) -> Result:
    final = outcome.backup
    if os.path.lexists(final):
        raise PostgresError(f"{final} is there and is not this backup, or is damaged: move it away first")
    partial = final + _FETCHING
    _remove_other_leftovers(settings.path, os.path.basename(partial))
    there = sum(os.stat(os.path.join(partial, name)).st_size for name in files_below(partial))
    require_space(settings.path, max(0, _bytes_of(copy) - there), "the backup")
    os.makedirs(partial, mode=0o700, exist_ok=True)
    began = time.monotonic()
    try:
        count = download(store, streams, copy, partial)
        flush_tree(partial)
        give_to_owner_of(settings.path, partial)
        os.rename(partial, final)
        flush(settings.path)
    except OSError as exc:
        # What came over a broken line is gone on with; a full disk gets its space back.
        if exc.errno == errno.ENOSPC:
            remove_tree(partial)
        raise
    outcome.changed = True
    sets = read_sets(settings.path)
    outcome.after = [describe(backup) for backup in sets]
    backup = next(one for one in sets if one.path == final)
    wrong = [backup.damage] if backup.damage else damaged_files(backup, by_hash=False)
    if wrong:
        raise PostgresError(f"the backup is damaged as soon as it is fetched: {wrong[0]}")
    seconds = round(time.monotonic() - began, 3)
    figures = {"download_seconds": seconds, "download_bytes": count, "backup_bytes": backup.bytes}
    summary = f"backup {copy.name} fetched: {format_size(count)} in {format_duration(seconds)}"
    return ok_or_findings(summary, findings, figures, 1, 1)


def _is_here(copy: Copy, path: str) -> bool:
    try:
        manifest = read_manifest(path)
    except ValueError:
        return False
    same = manifest["digest"] == copy.manifest["digest"]
    return same and not damaged_files(BackupSet(copy.name, path, manifest), by_hash=True)


def _only_system(store: Store) -> str:
    systems = read_systems(store)
    if not systems:
        raise NoCopy(f"there is no copy of a backup in {store.settings.place}")
    if len(systems) > 1:
        told = ", ".join(sorted(systems))
        raise InputError(f"system_identifier is empty: there are copies of {len(systems)} servers, name one of {told}")
    return systems[0]


def _moment(text: str) -> datetime.datetime | None:
    if not text:
        return None
    try:
        return parse_time(text)
    except InputError as exc:
        raise InputError(f"at: {exc}") from None


def _why_wrong(copy: Copy) -> str:
    return copy.damage or f"it did not pass its verification: {(copy.refuted or {}).get('reason', '')}"


def _bytes_of(copy: Copy) -> int:
    return sum(int(entry["bytes"]) for entry in copy.manifest["files"])


def _planned(copy: Copy, settings: Settings) -> dict[str, t.Any]:
    return {
        "database": ", ".join(entry["name"] for entry in copy.manifest["databases"]),
        "subject": copy.name,
        "action": "fetch",
        "reason": f"it is not in {settings.path}",
        "estimate": {"bytes": _bytes_of(copy), "objects": len(copy.manifest["files"])},
    }


def _nearest(path: str) -> str:
    """The directory itself, or the first above it that exists: they share the file system."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


def _refuse_to_leave(path: str, copy: Copy) -> None:
    """What lies in a bucket may have been written by anybody; it must not choose where it is written here."""
    if "\0" in path or path.startswith("/") or any(word in ("", ".", "..") for word in path.split("/")):
        raise S3Error(f"the copy {copy.name} names the file {path!r}, which would lie outside of the backup")


def _remove_other_leftovers(path: str, going_on: str) -> None:
    for name in os.listdir(path):
        if name.endswith(_FETCHING) and name != going_on:
            remove_tree(os.path.join(path, name))


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
