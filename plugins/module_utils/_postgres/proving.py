# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup proved: its bytes and its signature, then a restore into a throwaway server, then what is in there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import time
import typing as t

from .._core.sealing import SUFFIX
from .backup_plan import require_space
from .backup_sets import BackupSet, damaged_files
from .backup_writing import GLOBALS
from .binaries import find_binary
from .connection import PostgresError
from .encryption import Key, NoKey, find_key
from .processes import ProgramFailed, account_for, give_way_at_the_disk
from .proofs import Compared, Refuted, compare_database, restore_database, restore_globals
from .scratch import ScratchServer, Serving, private_space, remove_leftovers, scratch_server
from .signatures import wrong_signature
from .unpacking import is_wrapped, require_openable, unpacked
from .verify_plan import Settings

_NEEDS_NO_PRELOAD = ("pg_stat_statements",)  # can be created, and restored, without being preloaded
_RESTORED_GROWTH = 1.2
_MOST_NAMED = 5
_DISK_FULL = "no space left on device"


def prove(
    backup: BackupSet,
    settings: Settings,
    compared: Compared,
    serving: Serving | None = None,
    then: t.Callable[[ScratchServer], None] | None = None,
) -> dict[str, float]:
    """What was measured.

    :param serving: how the server works that it is restored into, when it is not only there to be compared.
    :param then: called when all is proved, while that server still runs.
    :raises Refuted: when the backup is not what it says.
    :raises PostgresError: when it could not be looked at.
    """
    if backup.damage:
        raise Refuted(backup.damage)
    began = time.monotonic()
    _compare_bytes(backup, settings.public_key)
    rehashed = time.monotonic() - began
    key = find_key(settings.identity_file) if backup.recipients else None
    try:
        require_openable(backup, key)
    except NoKey as exc:
        raise NoKey(f"{exc}; its files are as its manifest says") from exc
    server = backup.manifest["server"]
    major = backup.major
    pg_restore = find_binary("pg_restore", major, settings.bin_dir)
    account = account_for(settings.run_as)
    give_way_at_the_disk(settings.io_class)
    remove_leftovers(settings.scratch_path, account)
    require_space(settings.scratch_path, restored_bytes(backup), "the restored copy")
    with scratch_server(
        settings.scratch_path,
        major,
        settings.bin_dir,
        account,
        server["bootstrap_role"],
        _preload(backup),
        settings.nice,
        serving,
    ) as scratch:
        began = time.monotonic()
        _restore(scratch, backup, settings, key, pg_restore)
        restored = time.monotonic() - began
        for entry in backup.manifest["databases"]:
            compare_database(scratch.login, entry, server["standby"], compared)
        if then:
            then(scratch)
    return {
        "rehash_seconds": round(rehashed, 3),
        "restore_seconds": round(restored, 3),
        "restored_databases": compared.databases,
        "restored_tables": compared.tables,
        "restored_rows": compared.rows,
        "checked_indexes": compared.indexes,
        "compared_checksums": compared.checksums,
        "verified_bytes": backup.bytes,
    }


def restored_bytes(backup: BackupSet) -> int:
    """The space that its restored copy needs; what must be unpacked lies there too, a database at a time."""
    sizes = [int(entry["bytes"]) for entry in backup.manifest.get("databases", [])]
    return int(sum(sizes) * _RESTORED_GROWTH) + (max(sizes, default=0) if is_wrapped(backup) else 0)


def _compare_bytes(backup: BackupSet, public_key: str) -> None:
    """:raises Refuted: before anything is restored."""
    wrong = wrong_signature(backup.path, public_key) if public_key else ""
    if wrong:
        raise Refuted(wrong)
    damaged = damaged_files(backup, by_hash=True)
    if damaged:
        raise Refuted("; ".join(damaged[:_MOST_NAMED]))
    wanted = GLOBALS + (SUFFIX if backup.recipients else "")
    if wanted not in [entry["path"] for entry in backup.manifest["files"]]:
        raise Refuted(f"{wanted} is not among the files of the manifest: without it no role comes back")


def _preload(backup: BackupSet) -> list[str]:
    installed = {name for entry in backup.manifest["databases"] for name in entry["extensions"]}
    libraries = backup.manifest["server"]["preload_libraries"]
    return [name for name in libraries if name in installed and name not in _NEEDS_NO_PRELOAD]


def _restore(scratch: ScratchServer, backup: BackupSet, settings: Settings, key: Key | None, pg_restore: str) -> None:
    try:
        restore_globals(scratch, backup, os.path.join(backup.path, GLOBALS), key)
    except (Refuted, NoKey):
        raise
    except PostgresError as exc:
        raise Refuted(str(exc)) from exc
    with private_space(settings.scratch_path) as place:
        for entry in backup.manifest["databases"]:
            _restore_database(scratch, backup, entry, place, settings, key, pg_restore)


def _restore_database(
    scratch: ScratchServer,
    backup: BackupSet,
    entry: t.Mapping[str, t.Any],
    place: str,
    settings: Settings,
    key: Key | None,
    pg_restore: str,
) -> None:
    try:
        with unpacked(backup, entry, place, key, settings.jobs) as source:
            restore_database(
                scratch,
                backup,
                entry,
                pg_restore,
                settings.jobs,
                settings.nice,
                source=source,
            )
    except ProgramFailed as exc:
        if _DISK_FULL in str(exc).lower():
            raise
        raise Refuted(f"database {entry['name']!r} cannot be unpacked: {exc}") from exc
