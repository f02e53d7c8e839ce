# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore reads of a backup, clear and unpacked, whatever it was packed with.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from .._core.sealing import SUFFIX
from .backup_plan import require_space
from .backup_sets import BackupSet
from .backup_writing import GLOBALS
from .encryption import Key, find_key
from .scratch import private_space, remove_leftovers
from .streaming import StreamedDump
from .unpacking import is_wrapped, key_for, require_openable, unpacked, zstd_program


@dataclasses.dataclass(frozen=True)
class Opening:
    """With which key, and where what has to be unpacked lies meanwhile, closed to others.

    :param public_key: of whoever must have signed the manifest; empty: nobody has to.
    """

    identity_file: str = ""
    scratch_path: str = "/var/tmp"  # noqa: S108 (each copy gets a private directory in it)
    jobs: int = 1
    public_key: str = ""

    def require(self, backup: BackupSet) -> None:
        """:raises PostgresError: when the key, or the program that it was packed with, is missing here."""
        require_openable(backup, self._key(backup))

    @contextlib.contextmanager
    def dump(self, backup: BackupSet, entry: t.Mapping[str, t.Any]) -> t.Iterator[str]:
        """What pg_restore is to read for one database.

        :raises PostgresError: when it cannot be opened, or there is no room for it.
        """
        if not is_wrapped(backup):
            yield os.path.join(backup.path, entry["directory"])
            return
        remove_leftovers(self.scratch_path, None)  # of killed runs, which must not lie there in clear
        require_space(self.scratch_path, int(entry["bytes"]), "the unpacked dump")
        key = self._key(backup)
        with private_space(self.scratch_path) as place, unpacked(backup, entry, place, key, self.jobs) as source:
            yield source

    @contextlib.contextmanager
    def streamed(self, backup: BackupSet, entry: t.Mapping[str, t.Any], pg_restore: str) -> t.Iterator[StreamedDump]:
        """The same for one that is read while it is unpacked, see :func:`is_streamable`.

        :raises PostgresError: when there is no room for its small tables.
        """
        remove_leftovers(self.scratch_path, None)
        tables = [(table["schema"], table["name"]) for table in entry["stored_tables"]]
        source = os.path.join(backup.path, entry["directory"])
        with private_space(self.scratch_path) as place:
            dump = StreamedDump(zstd_program(), pg_restore, source, os.path.join(place, "clear"), tables)
            require_space(self.scratch_path, int(int(entry["bytes"]) * dump.unpacked_share), "what has to be unpacked")
            dump.prepare()
            yield dump

    def contents(self, backup: BackupSet, entry: t.Mapping[str, t.Any]) -> t.ContextManager[str]:
        """The same for who reads only what is in it, not the rows: that is clear in each backup that is not
        encrypted."""
        if backup.recipients:
            return self.dump(backup, entry)
        return contextlib.nullcontext(os.path.join(backup.path, entry["directory"]))

    def globals(self, backup: BackupSet) -> str:
        """The roles as SQL.

        :raises PostgresError: when they cannot be decrypted.
        """
        path = os.path.join(backup.path, GLOBALS)
        if backup.recipients:
            data = key_for(backup, self._key(backup)).read(path + SUFFIX)
        else:
            with open(path, "rb") as handle:
                data = handle.read()
        return data.decode("utf-8", "surrogateescape")

    def _key(self, backup: BackupSet) -> Key | None:
        return find_key(self.identity_file) if backup.recipients else None
