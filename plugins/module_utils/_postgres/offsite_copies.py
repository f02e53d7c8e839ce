# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copies of backups in an S3 bucket: which are whole, which were proved, which are damaged.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A copy is all that lies below ``<prefix>/<system identifier>/<name of the backup>/``. Its ``manifest.json`` is sent
last, when everything else was proved to be there; without it the copy is not one. Beside what the backup holds are

``offsite.json``           the record of the copying: begun, or proved, with what the store said of each object then
``offsite-verified.json``  the copy was fetched back and restored
``offsite-refuted.json``   it was fetched back and is not what it should be

Each of them counts only for the very manifest that it names.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import tempfile
import typing as t

from .._core.clock import parse_time
from .._core.sizes import format_size
from .._s3.client import Store, Stored
from .._s3.errors import S3Error
from .._s3.streams import Streams
from .backup_sets import MANIFEST, PINNED, REFUTED, VERIFIED, BackupSet, read_manifest

RECORD = "offsite.json"
OFFSITE_VERIFIED = "offsite-verified.json"
OFFSITE_REFUTED = "offsite-refuted.json"
STATEMENTS = (RECORD, OFFSITE_VERIFIED, OFFSITE_REFUTED)

_NAME = re.compile(r"\d{8}T\d{6}Z")


@dataclasses.dataclass(frozen=True)
class Copy:
    """One copy as a listing and its own small files tell it; no more is asked of the store."""

    system: str
    name: str
    base: str
    objects: t.Mapping[str, Stored]
    manifest: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    record: t.Mapping[str, t.Any] | None = None
    verified: t.Mapping[str, t.Any] | None = None
    refuted: t.Mapping[str, t.Any] | None = None
    backup_verified: bool = False
    damage: str = ""

    @property
    def is_complete(self) -> bool:
        """It has its manifest, and all that the manifest lists is there in its size."""
        return bool(self.manifest) and not self.damage

    @property
    def is_proved(self) -> bool:
        """All of it was looked at when it was sent, the listing still says the same, and no proof has failed since."""
        return self.is_complete and self.record is not None and self.refuted is None

    @property
    def is_begun(self) -> bool:
        return MANIFEST not in self.objects

    @property
    def is_pinned(self) -> bool:
        return PINNED in self.objects

    @property
    def bytes(self) -> int:
        return sum(stored.bytes for stored in self.objects.values())

    @property
    def state(self) -> str:
        if self.is_begun:
            return "incomplete"
        if self.damage:
            return "damaged"
        if self.refuted:
            return "refuted"
        if not self.is_proved:
            return "not proved"
        return "restored" if self.verified else "proved"

    def as_backup(self) -> BackupSet:
        """As the rules of retention see it: verified only if the copy is proved and it or its original was restored."""
        was_restored = self.backup_verified or self.verified is not None
        verified = self.record if self.is_proved and was_restored else None
        return BackupSet(self.name, self.base, self.manifest, "" if self.manifest else "no manifest", verified=verified)


def describe(copy: Copy) -> str:
    """One copy as a line of a diff."""
    return f"{copy.system}/{copy.name} {copy.state}, {len(copy.objects)} objects, {format_size(copy.bytes)}"


def read_copies(store: Store, streams: Streams, system: str) -> list[Copy]:
    """The copies of one server's backups, oldest first: one listing, and a few small files of each."""
    base = f"{store.settings.key(system)}/"
    found: dict[str, dict[str, Stored]] = {}
    for name, group in itertools.groupby(store.objects(base), key=lambda stored: stored.key[len(base) :].split("/")[0]):
        if _NAME.fullmatch(name):
            found.setdefault(name, {}).update({stored.key[len(base) + len(name) + 1 :]: stored for stored in group})
    return streams.each_object(lambda item: _read_copy(store, system, item[0], item[1]), sorted(found.items()))


def read_systems(store: Store) -> list[str]:
    """The identifiers of the servers of which there are copies."""
    return [
        name for name in store.directories(store.settings.key("") + "/" * bool(store.settings.prefix)) if name.isdigit()
    ]


def _read_copy(store: Store, system: str, name: str, objects: t.Mapping[str, Stored]) -> Copy:
    copy = Copy(system, name, store.settings.key(system, name), objects)
    if copy.is_begun:
        return copy
    try:
        manifest = _read_manifest(store, copy)
    except ValueError as exc:
        return dataclasses.replace(copy, damage=str(exc))
    said = {
        path: _statement(store, copy, path, manifest["digest"]) if path in objects else None
        for path in (*STATEMENTS, VERIFIED)
    }
    record = said[RECORD]
    proved = record if record and record.get("state") == "proved" else None
    return dataclasses.replace(
        copy,
        manifest=manifest,
        record=proved,
        verified=said[OFFSITE_VERIFIED],
        refuted=said[OFFSITE_REFUTED],
        backup_verified=said[VERIFIED] is not None,
        damage="; ".join(_differences(copy, manifest, proved)[:3]),
    )


def _read_manifest(store: Store, copy: Copy) -> dict[str, t.Any]:
    """Read by the one reader of manifests there is, so that what is right here is right there.

    :raises ValueError: naming the object, when it is not what was written.
    """
    content = store.read(f"{copy.base}/{MANIFEST}")
    with tempfile.TemporaryDirectory(prefix="steward-manifest-") as directory:
        with open(os.path.join(directory, MANIFEST), "wb") as handle:
            handle.write(content)
        place = f"s3://{store.settings.bucket}/{copy.base}"
        try:
            manifest = read_manifest(directory)
        except ValueError as exc:
            raise ValueError(str(exc).replace(directory, place)) from exc
    # Anybody who may write into the bucket can give something else than a manifest a checksum that fits.
    lacking = [word for word in ("files", "databases", "server") if word not in manifest]
    if lacking:
        raise ValueError(f"{place}/{MANIFEST} is no manifest of a backup: it lacks {', '.join(lacking)}")
    return manifest


def _statement(store: Store, copy: Copy, path: str, digest: str) -> dict[str, t.Any] | None:
    try:
        said = json.loads(store.read(f"{copy.base}/{path}"))
    except ValueError:
        return None
    except S3Error as exc:
        if exc.is_missing:  # taken away since the listing
            return None
        raise
    return said if isinstance(said, dict) and said.get("manifest") == digest else None


def _differences(copy: Copy, manifest: t.Mapping[str, t.Any], record: t.Mapping[str, t.Any] | None) -> list[str]:
    """What the listing says that does not fit the manifest, or what the store said when the copy was proved."""
    wrong = []
    for entry in manifest["files"]:
        stored = copy.objects.get(entry["path"])
        if stored is None:
            wrong.append(f"{entry['path']} is missing")
        elif stored.bytes != entry["bytes"]:
            wrong.append(f"{entry['path']} has {stored.bytes} bytes instead of {entry['bytes']}")
    for path, etag in (record or {}).get("etags", {}).items():
        stored = copy.objects.get(path)
        if stored is None:
            wrong.append(f"{path} is missing")
        elif stored.etag != etag:
            wrong.append(f"{path} is another object than the one that was proved")
    return list(dict.fromkeys(wrong))


def beside_manifest(backup: BackupSet) -> list[str]:
    """What lies in a backup's directory beside the manifest and is not listed in it: signatures, statements."""
    listed = {entry["path"] for entry in backup.manifest["files"]}
    names = sorted(os.listdir(backup.path))
    return [
        name
        for name in names
        if name not in listed
        and name not in (MANIFEST, REFUTED, *STATEMENTS)
        and not name.endswith(".new")
        and os.path.isfile(os.path.join(backup.path, name))
    ]


def restored_moment(copy: Copy) -> float:
    """When the copy was last restored for proof, in seconds of the epoch; 0 when never."""
    return parse_time(copy.verified["verified"]).timestamp() if copy.verified else 0
