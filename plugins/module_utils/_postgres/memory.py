# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs learned of indexes: their bytes a row when packed, and which were rebuilt since a collation drifted.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A small JSON file beside the records on the host that runs the module. It saves work and decides nothing alone: where
it is missing, torn or outdated, every index is judged afresh.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import tempfile
import typing as t

FILE_NAME = "postgres-indexes.json"

#: What was not seen, or not measured again, for so long is forgotten.
_DAYS = 90

_Known = t.Dict[str, t.Dict[str, t.Any]]


def default_directory() -> str:
    """Where the collection keeps its state: the system's directory for root, else the user's own."""
    if os.geteuid() == 0:
        return "/var/lib/steward"
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "steward")


@dataclasses.dataclass(frozen=True)
class Learned:
    """How small an index is known to be."""

    bytes_per_row: float
    rebuilt: bool  # learned right after a rebuild of ours
    outdated: bool  # learned so long ago that it is to be measured again


class Memory:
    """What is known of the indexes of one database; changes are kept by :meth:`save`.

    :param scope: names the database, by what stays the same when a server moves or is renamed.
    """

    def __init__(self, directory: str = "", scope: str = "", today: datetime.date | None = None) -> None:
        self.path = os.path.join(directory or default_directory(), FILE_NAME)
        self._scope = scope + " "
        self._today = today or datetime.datetime.now(datetime.timezone.utc).date()
        self._known = {key: value for key, value in self._read().items() if key.startswith(self._scope)}
        self._dirty = False

    # -- bytes a row -----------------------------------------------------------------------------------------

    def recall(self, label: str) -> Learned | None:
        """What was learned of an index."""
        noted = self._known.get(self._scope + label, {})
        size = noted.get("bytes_per_row")
        if not isinstance(size, (int, float)):
            return None
        self._note(label)
        return Learned(float(size), noted.get("rebuilt") is True, self._age(noted.get("learned")) > _DAYS)

    def learn(self, label: str, bytes_per_row: float, rebuilt: bool = False) -> None:
        self._note(label, bytes_per_row=round(bytes_per_row, 3), rebuilt=rebuilt, learned=self._today.isoformat())

    # -- rebuilds that our time was too short for ------------------------------------------------------------

    def seconds_not_enough(self, label: str) -> float:
        """How long the last rebuild of an index ran before our time was over; 0 when it was not so."""
        seconds = self._known.get(self._scope + label, {}).get("not_enough")
        return float(seconds) if isinstance(seconds, (int, float)) else 0.0

    def note_not_enough(self, label: str, seconds: float) -> None:
        self._note(label, not_enough=round(seconds, 1))

    # -- rebuilds after a drift ------------------------------------------------------------------------------

    def rebuilt_files(self, drift: str) -> frozenset[int]:
        """The files of the indexes that were rebuilt since a drift."""
        files = self._known.get(self._scope + drift, {}).get("files")
        return frozenset(file for file in files if isinstance(file, int)) if isinstance(files, list) else frozenset()

    def note_rebuilt_file(self, drift: str, file: int) -> None:
        self._note(drift, files=sorted(self.rebuilt_files(drift) | {file}))

    def forget(self, label: str) -> None:
        self._dirty = self._known.pop(self._scope + label, None) is not None or self._dirty

    # -- the file --------------------------------------------------------------------------------------------

    def save(self) -> str:
        """Keep what was learned; returns why that was not possible, or an empty text."""
        if not self._dirty:
            return ""
        directory = os.path.dirname(self.path)
        try:
            os.makedirs(directory, mode=0o750, exist_ok=True)
            with _alone_in(directory):
                others = {key: value for key, value in self._read().items() if not key.startswith(self._scope)}
                _write(self.path, self._not_expired({**others, **self._known}))
        except OSError as exc:
            return f"{self.path}: {exc.strerror}"
        self._dirty = False
        return ""

    def _note(self, label: str, **what: t.Any) -> None:
        before = self._known.get(self._scope + label, {})
        after = {**before, **what, "seen": self._today.isoformat()}
        if after != before:
            self._known[self._scope + label] = after
            self._dirty = True

    def _not_expired(self, known: _Known) -> _Known:
        return {key: value for key, value in known.items() if self._age(value.get("seen")) <= _DAYS}

    def _age(self, date: t.Any) -> float:
        try:
            return float((self._today - datetime.date.fromisoformat(date)).days)
        except (TypeError, ValueError):
            return float("inf")

    def _read(self) -> _Known:
        try:
            with open(self.path, encoding="utf-8") as file:
                known = json.load(file)
        except (OSError, ValueError):
            return {}
        if not isinstance(known, dict):
            return {}
        return self._not_expired({key: value for key, value in known.items() if isinstance(value, dict)})


@contextlib.contextmanager
def _alone_in(directory: str) -> t.Iterator[None]:
    """Runs in other databases keep what they learned in the same file."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: str, known: _Known) -> None:
    handle, temporary = tempfile.mkstemp(prefix=FILE_NAME, dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
