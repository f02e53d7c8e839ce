# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill restores from: the backups of this host, or copies that are fetched from far away.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import typing as t

from .._core.clock import write_time
from .._core.locks import left_in, own_place
from .._core.result import Finding
from .._core.suggest import InputError
from .._s3.client import Store
from .._s3.streams import Streams
from .backup_plan import require_space
from .backup_sets import BackupSet, moment_of, read_sets, until
from .durable import remove_tree
from .offsite_copies import Copy
from .offsite_fetch import NoCopy, download, find_copy
from .offsite_fetch import Settings as Choice

PREFIX = "steward-drill-"

_LOCK_PATIENCE = 2
_SECOND = datetime.timedelta(seconds=1)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A backup that may be restored, where it is, and how it comes here."""

    name: str
    where: str
    bytes: int
    databases: tuple[str, ...]
    bring: t.Callable[[], BackupSet]


def local_candidates(path: str, failed: datetime.datetime) -> t.Iterator[Candidate]:
    """The backups in a directory that were begun before the failure, newest first."""

    def as_it_is(backup: BackupSet) -> t.Callable[[], BackupSet]:
        return lambda: backup

    for backup in reversed(until(read_sets(path), failed)):
        yield Candidate(backup.name, backup.path, backup.bytes, tuple(backup.databases), as_it_is(backup))


class OffsiteSource:
    """Copies in a store, fetched into a place of the drill's own."""

    def __init__(self, store: Store, streams: Streams, system_identifier: str, place: str) -> None:
        self._store = store
        self._streams = streams
        self._system = system_identifier
        self._place = place
        #: Copies that were passed over because they are known not to be right.
        self.findings: list[Finding] = []

    def candidates(self, failed: datetime.datetime) -> t.Iterator[Candidate]:
        """Those that were begun before the failure, newest first.

        :raises InputError: when there is none that was.
        :raises NoCopy: when there is none at all, or none that is right.
        """
        at = failed
        first = True
        while True:
            choice = Choice(path="", at=write_time(at), system_identifier=self._system)
            try:
                copy = find_copy(self._store, self._streams, choice, self.findings)
            except (InputError, NoCopy):
                if first:
                    raise
                return
            first = False
            names = tuple(str(entry["name"]) for entry in copy.manifest["databases"])
            where = f"s3://{self._store.settings.bucket}/{copy.base}"
            yield Candidate(copy.name, where, _bytes_of(copy), names, self._bringing(copy))
            at = moment_of(copy.name) - _SECOND

    def _bringing(self, copy: Copy) -> t.Callable[[], BackupSet]:
        def bring() -> BackupSet:
            # What an earlier candidate left here is of no use any more.
            _empty(self._place)
            require_space(self._place, _bytes_of(copy), "the fetched copy")
            directory = os.path.join(self._place, copy.name)
            os.mkdir(directory, 0o700)
            download(self._store, self._streams, copy, directory)
            return next(backup for backup in read_sets(self._place) if backup.name == copy.name)

        return bring


def _bytes_of(copy: Copy) -> int:
    return sum(int(entry["bytes"]) for entry in copy.manifest["files"])


@contextlib.contextmanager
def place_of_its_own(scratch_path: str) -> t.Iterator[str]:
    """Empty: what a killed drill fetched would make this one look faster than it is. One drill at a time.

    :raises OSError: when somebody else has taken the name.
    :raises Busy: when another drill is at work.
    """
    path = os.path.join(scratch_path, f"{PREFIX}{os.geteuid()}")
    with own_place(path, _LOCK_PATIENCE, remove_tree) as place:
        _empty(place)
        yield place


def _empty(place: str) -> None:
    for left in left_in(place):
        remove_tree(left)
