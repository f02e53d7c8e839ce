# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rebuilt index looked like where it still seems bloated, so that it is not rebuilt in every run.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A small JSON file beside the records on the host that runs the module. Only such odd indexes are in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t

FILE_NAME = "postgres-indexes.json"


def default_directory() -> str:
    """Where the collection keeps its state: the system's directory for root, else the user's own."""
    if os.geteuid() == 0:
        return "/var/lib/steward"
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "steward")


class Memory:
    """Bytes a row of indexes right after their rebuild, by server, database and index."""

    def __init__(self, directory: str = "") -> None:
        self.path = os.path.join(directory or default_directory(), FILE_NAME)

    def recall(self, key: str) -> float | None:
        """What was noted for an index; None as well where the file is missing or unreadable: then it is judged
        afresh."""
        value = self._read().get(key)
        return float(value) if isinstance(value, (int, float)) else None

    def note(self, key: str, bytes_per_row: float) -> str:
        """Remember an index; returns why that was not possible, or an empty text."""
        noted = dict(self._read(), **{key: bytes_per_row})
        directory = os.path.dirname(self.path)
        try:
            os.makedirs(directory, mode=0o750, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=FILE_NAME, dir=directory)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(noted, file, indent=1, sort_keys=True)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as exc:
            return f"{self.path}: {exc.strerror}"
        return ""

    def _read(self) -> dict[str, t.Any]:
        try:
            with open(self.path, encoding="utf-8") as file:
                known = json.load(file)
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
