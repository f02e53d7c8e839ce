# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which copies in a bucket may go, and their removal: the manifest first, so that half a copy is never taken for one.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from .._core.clock import utc_now, write_time
from .._s3.client import Store
from .._s3.errors import S3Error
from .._s3.streams import Streams
from .backup_sets import MANIFEST, BackupSet, moment_of
from .offsite_copies import Copy
from .retention import Policy, judge


class StillLocked(S3Error):
    """An object lock keeps the copy; the text says until when."""


def expired_names(
    copies: t.Sequence[Copy], coming: t.Sequence[BackupSet], now: datetime.datetime, keep_seconds: int
) -> set[str]:
    """The names of the copies that may go, once the backups in `coming` have a proved copy as well.

    The rules are those of the backups themselves. Only copies that are proved, of backups that were verified, count as
    something to keep.
    """
    names = {backup.name for backup in coming}
    there = [copy.as_backup() for copy in copies if copy.name not in names and not copy.is_begun]
    pinned = {copy.name for copy in copies if copy.is_pinned}
    judgement = judge([*there, *coming], now, Policy(seconds=keep_seconds))
    return {backup.name for backup in judgement.expired} - pinned


def abandoned(copies: t.Sequence[Copy], now: datetime.datetime, after_seconds: int) -> list[Copy]:
    """Copies that never got their manifest, and that nobody has added anything to for so long."""
    border = now - datetime.timedelta(seconds=after_seconds)
    return [
        copy
        for copy in copies
        if copy.is_begun
        and moment_of(copy.name) < border
        and all(stored.modified < border for stored in copy.objects.values())
    ]


def remove_copy(store: Store, streams: Streams, copy: Copy, versioned: bool) -> int:
    """Remove a copy with all its versions, and see that it is gone; the number of objects and versions removed.

    :raises StillLocked: when an object lock keeps it. As long as its manifest is kept, nothing of it is removed.
    """
    prefix = f"{copy.base}/"
    if versioned:
        # Without a version, a deletion only hides the object: it would still take space, or, locked, be hidden in vain.
        targets = [(key, version) for key, version, _etag in store.versions(prefix)]
    else:
        targets = [(stored.key, "") for stored in store.objects(prefix)]
    manifest = [target for target in targets if target[0] == f"{prefix}{MANIFEST}"]
    for target in manifest:
        _delete(store, target)
    streams.each_object(lambda target: _delete(store, target), [one for one in targets if one not in manifest])
    left = sum(1 for _one in (store.versions(prefix) if versioned else store.objects(prefix)))
    if left:
        raise S3Error(
            f"{left} objects of s3://{store.settings.bucket}/{prefix} are still there after they were removed"
        )
    return len(targets)


def is_versioned(store: Store) -> bool:
    """Whether the bucket keeps what is deleted. Where the store has no such thing, it says so."""
    try:
        return bool(store.call("get_bucket_versioning").get("Status"))
    except S3Error as exc:
        if exc.code == "NotImplemented":
            return False
        raise


def require_lock(store: Store) -> None:
    """:raises S3Error: when the bucket cannot lock objects."""
    place = f"bucket {store.settings.bucket!r} has no object lock"
    try:
        answer = store.call("get_object_lock_configuration")
    except S3Error as exc:
        if exc.code in ("ObjectLockConfigurationNotFoundError", "NotImplemented"):
            raise S3Error(f"{place}: choose one that was made with it, or leave lock_mode empty", exc.code) from exc
        raise
    if (answer.get("ObjectLockConfiguration") or {}).get("ObjectLockEnabled") != "Enabled":
        raise S3Error(f"{place}: choose one that was made with it, or leave lock_mode empty")


def _delete(store: Store, target: tuple[str, str]) -> None:
    key, version = target
    chosen = {"VersionId": version} if version else {}
    try:
        store.call("delete_object", key, **chosen)
    except S3Error as exc:
        kept = _kept_until(store, key, chosen) if exc.is_denied and version else ""
        if kept:
            raise StillLocked(kept) from exc
        raise


def _kept_until(store: Store, key: str, chosen: t.Mapping[str, t.Any]) -> str:
    """Until when an object lock keeps a version; an empty text when none does, and the right is missing."""
    head = store.call("head_object", key, **chosen)
    if head.get("ObjectLockLegalHoldStatus") == "ON":
        return "a legal hold keeps it"
    until = head.get("ObjectLockRetainUntilDate")
    if until is None or until <= utc_now():
        return ""
    return f"an object lock ({head.get('ObjectLockMode')}) keeps it until {write_time(until)}"
