# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dump of a database in the form that pg_restore reads: decrypted and decompressed where it has to be.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t

from .backup_sets import BackupSet
from .compression import SUFFIX, decompress_directory
from .connection import PostgresError
from .durable import remove_tree
from .encryption import Key, NoKey
from .pipeline import run_pipeline
from .processes import ProgramFailed

_CLEAR = "clear"


def is_wrapped(backup: BackupSet) -> bool:
    """Whether its dumps must be unpacked before pg_restore can read them."""
    return bool(backup.recipients) or backup.manifest.get("compressed_by", "pg_dump") != "pg_dump"


def is_streamable(backup: BackupSet) -> bool:
    """Whether pg_restore can read its large tables while they are unpacked."""
    return not backup.recipients and backup.manifest.get("compressed_by") == "zstd"


def key_for(backup: BackupSet, key: Key | None) -> Key:
    """:raises NoKey: when an encrypted backup has to be opened, and there is nothing to open it with."""
    if key is None:
        unknown = "whether it can be restored is not known"
        raise NoKey(f"backup {backup.name} is encrypted, and no identity_file was given: {unknown}")
    return key


def require_openable(backup: BackupSet, key: Key | None) -> None:
    """:raises PostgresError: when the key or the program that its dumps were packed with is missing on this host."""
    if backup.recipients:
        key_for(backup, key)
    if backup.manifest.get("compressed_by") == "zstd":
        zstd_program()


@contextlib.contextmanager
def unpacked(
    backup: BackupSet, entry: t.Mapping[str, t.Any], place: str, key: Key | None, jobs: int
) -> t.Iterator[str]:
    """What pg_restore is to read for one database: the directory in the backup, or a clear copy below `place`.

    :raises NoKey: when the key does not open it.
    :raises ProgramFailed: when it is not what age or zstd wrote.
    """
    source = os.path.join(backup.path, entry["directory"])
    if not is_wrapped(backup):
        yield source
        return
    target = os.path.join(place, _CLEAR)
    try:
        if backup.recipients:
            _decrypt(os.path.join(source, entry["archive"]), target, key_for(backup, key))
        else:
            decompress_directory(zstd_program(), source, target, jobs)
        yield target
    finally:
        if os.path.isdir(target):
            remove_tree(target)
        elif os.path.exists(target):
            os.unlink(target)


def _decrypt(archive: str, target: str, key: Key) -> None:
    stages = [key.argv(archive)]
    if SUFFIX in os.path.basename(archive):
        stages.append([zstd_program(), "--quiet", "--decompress", "--stdout"])
    try:
        run_pipeline(stages, target)
    except ProgramFailed as exc:
        if exc.program == os.path.basename(key.program):
            raise key.why_not_opened(exc) from exc
        raise


def zstd_program() -> str:
    """:raises PostgresError: when there is none."""
    program = shutil.which("zstd")
    if not program:
        missing = "which is not in PATH: install the package zstd"
        raise PostgresError(f"the backup was compressed by the program zstd, {missing}")
    return program
