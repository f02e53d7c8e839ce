# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backups in a directory: which are whole, which are proved, which are damaged.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A backup is a directory named after the moment it was begun, in UTC. The manifest in it is written last; the directory
gets its name only when everything in it is on the disk. A ``verified.json`` beside the manifest says that a restore
proved it, a ``refuted.json`` that a proof failed; both count only for the very manifest that they name. A
``pinned.json``, whatever is in it, keeps the backup for ever.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import typing as t

from .._core.clock import parse_time
from .connection import PostgresError
from .durable import digest_of, flush, read_json, remove_tree, sha256_of, write_json

MANIFEST = "manifest.json"
VERIFIED = "verified.json"
REFUTED = "refuted.json"
PINNED = "pinned.json"
PARTIAL = ".partial"

#: What every version of this collection can read: one pg_dump directory for each database.
FORMAT = 1
#: The dumps must be decrypted or decompressed by another program before pg_restore can read them.
FORMAT_OF_WRAPPED = 2

#: Clocks of two hosts may differ a little.
_CLOCKS_DIFFER = datetime.timedelta(minutes=10)

_NAME = re.compile(r"\d{8}T\d{6}Z")


@dataclasses.dataclass(frozen=True)
class BackupSet:
    """One backup. With a `damage`, its manifest could not be read and nothing else is known of it."""

    name: str
    path: str
    manifest: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    damage: str = ""
    verified: t.Mapping[str, t.Any] | None = None
    refuted: t.Mapping[str, t.Any] | None = None
    is_pinned: bool = False
    pinned: str = ""

    @property
    def started(self) -> datetime.datetime:
        """The moment whose data is in it: what the age and the RPO are counted from."""
        return parse_time(self.manifest["started"]) if not self.damage else moment_of(self.name)

    @property
    def is_verified(self) -> bool:
        return self.verified is not None

    @property
    def databases(self) -> list[str]:
        return [entry["name"] for entry in self.manifest.get("databases", [])]

    @property
    def missing_databases(self) -> list[str]:
        """Databases of the server that are not in it: they could not be dumped, or others had been chosen."""
        failed = [entry["name"] for entry in self.manifest.get("failed", [])]
        return failed + list(self.manifest.get("others", []))

    @property
    def major(self) -> int:
        """The major version of the server; 0 where it is not known."""
        return int(self.manifest.get("server", {}).get("version_number", 0)) // 10000

    @property
    def recipients(self) -> list[str]:
        """The public keys that it is encrypted to; none when it is clear."""
        return list((self.manifest.get("encryption") or {}).get("recipients", []))

    @property
    def bytes(self) -> int:
        return sum(int(entry["bytes"]) for entry in self.manifest.get("files", []))


def moment_of(name: str) -> datetime.datetime:
    return datetime.datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def read_sets(path: str) -> list[BackupSet]:
    """The backups that carry a final name, oldest first; none when there is no such directory.

    :raises PostgresError: when the directory cannot be read.
    """
    try:
        names = sorted(os.listdir(path))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise PostgresError(f"cannot read the backups in {path}: {exc.strerror}") from exc
    return [_read_set(name, os.path.join(path, name)) for name in names if _NAME.fullmatch(name)]


def until(sets: t.Sequence[BackupSet], now: datetime.datetime) -> list[BackupSet]:
    """Those that were begun by now. One that bears a date in the future was made while a clock was wrong: nobody knows
    how old it is, so it can neither be the newest nor stand in for a younger one."""
    return [backup for backup in sets if not is_future(backup.started, now)]


def is_future(moment: datetime.datetime, now: datetime.datetime) -> bool:
    """Whether it lies farther in the future than the clocks of two hosts differ."""
    return moment > now + _CLOCKS_DIFFER


def _read_set(name: str, path: str) -> BackupSet:
    is_pinned = os.path.lexists(os.path.join(path, PINNED))
    try:
        manifest = read_manifest(path)
    except ValueError as exc:
        return BackupSet(name, path, damage=str(exc), is_pinned=is_pinned)
    return BackupSet(
        name,
        path,
        manifest,
        verified=_statement(path, VERIFIED, manifest),
        refuted=_statement(path, REFUTED, manifest),
        is_pinned=is_pinned,
        pinned=_why_pinned(path) if is_pinned else "",
    )


def _why_pinned(path: str) -> str:
    """What was written with the pin. A file made by hand needs no contents, and none that can be read."""
    try:
        return str(read_json(os.path.join(path, PINNED)).get("reason", ""))
    except ValueError:
        return ""


def _statement(path: str, name: str, manifest: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any] | None:
    try:
        said: t.Mapping[str, t.Any] = read_json(os.path.join(path, name))
    except ValueError:
        return None
    return said if said.get("manifest") == manifest["digest"] else None


def read_manifest(path: str) -> dict[str, t.Any]:
    """:raises ValueError: naming the file, when it cannot be read or is not what was written."""
    place = os.path.join(path, MANIFEST)
    manifest: dict[str, t.Any] = read_json(place)
    body = {name: value for name, value in manifest.items() if name != "digest"}
    if manifest.get("digest") != digest_of(body):
        raise ValueError(f"{place} was altered: its contents do not have the checksum that stands in it")
    if manifest.get("format") not in (FORMAT, FORMAT_OF_WRAPPED):
        known = f"{FORMAT} and {FORMAT_OF_WRAPPED}"
        raise ValueError(f"{place} has format {manifest.get('format')!r}; this version reads {known}")
    return manifest


def write_manifest(path: str, body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    manifest = {**body, "digest": digest_of(body)}
    write_json(os.path.join(path, MANIFEST), manifest)
    return manifest


def declare(backup: BackupSet, name: str, said: t.Mapping[str, t.Any]) -> None:
    """Write beside the manifest that it was proved or refuted; the opposite statement goes away."""
    opposite = {VERIFIED: REFUTED, REFUTED: VERIFIED}[name]
    write_json(os.path.join(backup.path, name), {**said, "manifest": backup.manifest["digest"]})
    if os.path.exists(os.path.join(backup.path, opposite)):
        os.unlink(os.path.join(backup.path, opposite))
        flush(backup.path)


def damaged_files(backup: BackupSet, by_hash: bool) -> list[str]:
    """What is wrong with the files of a backup, a sentence each, naming the file.

    :param by_hash: read every byte; else look at the sizes only.
    """
    wrong = []
    for entry in backup.manifest["files"]:
        path = os.path.join(backup.path, entry["path"])
        try:
            size = os.stat(path).st_size
            if size != entry["bytes"]:
                wrong.append(f"{path} has {size} bytes instead of {entry['bytes']}")
            elif by_hash and sha256_of(path) != entry["sha256"]:
                wrong.append(f"{path} was altered: its SHA-256 is not the one in the manifest")
        except FileNotFoundError:
            wrong.append(f"{path} is missing")
        except OSError as exc:
            wrong.append(f"{path} cannot be read: {exc.strerror}")
    return wrong


def remove_partials(path: str) -> list[str]:
    """Remove what killed runs left; only for the one who holds the lock of the directory."""
    names = sorted(os.listdir(path))
    stale = [name for name in names if name.endswith(PARTIAL) and _NAME.fullmatch(name[: -len(PARTIAL)])]
    for name in stale:
        remove_tree(os.path.join(path, name))
    return stale


def remove_set(backup: BackupSet) -> None:
    """Remove a backup: its final name goes first, so that one that is half gone is never taken for whole."""
    os.rename(backup.path, backup.path + PARTIAL)
    flush(os.path.dirname(backup.path))
    remove_tree(backup.path + PARTIAL)
