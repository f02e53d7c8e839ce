# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When each vulnerability was first seen: a file of this host, from which its clock runs.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

An entry is kept by all the names of the vulnerability, since an advisory may get another one. It goes when a whole look
at its project no longer finds it; a look that was not whole forgets nothing.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import typing as t

from .._core.clock import parse_time, write_time
from .._core.files import sync_directory, write_all
from .._core.suggest import InputError

_FORMAT = 1


@dataclasses.dataclass
class Sighting:
    ecosystem: str
    project: str
    package: str
    ids: list[str]
    first: datetime.datetime
    now: bool = False


class Memory:
    """What the file holds. `damage` says why nothing of it could be used."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.damage = ""
        self._sightings: list[Sighting] = []
        self._by_package: dict[tuple[str, str, str], list[Sighting]] = {}
        self._read()

    def _read(self) -> None:
        try:
            with open(self.path, encoding="utf-8") as handle:
                content = json.load(handle)
            if not isinstance(content, dict) or content.get("format") != _FORMAT:
                raise ValueError("it has another format")
            for entry in content["seen"]:
                ids = [str(name) for name in entry["ids"]]
                ecosystem, project, package = (str(entry[key]) for key in ("ecosystem", "project", "package"))
                self._add(Sighting(ecosystem, project, package, ids, parse_time(entry["first"])))
        except FileNotFoundError:
            return
        except OSError as exc:
            self.damage = f"{self.path} cannot be read: {exc.strerror}"
        except (ValueError, KeyError, TypeError, InputError) as exc:
            self.damage = f"{self.path} is damaged ({' '.join(str(exc).split())[:120]})"
        if self.damage:
            self._sightings.clear()
            self._by_package.clear()

    def _add(self, sighting: Sighting) -> None:
        self._sightings.append(sighting)
        self._by_package.setdefault((sighting.ecosystem, sighting.project, sighting.package), []).append(sighting)

    def first_seen(
        self, ecosystem: str, project: str, package: str, ids: t.Iterable[str], now: datetime.datetime
    ) -> datetime.datetime:
        """When it was first seen in this project; now, when it was not seen before."""
        names = list(ids)
        for sighting in self._by_package.get((ecosystem, project, package), []):
            if set(names) & set(sighting.ids):
                sighting.now = True
                sighting.ids = list(dict.fromkeys([*sighting.ids, *names]))
                sighting.first = min(sighting.first, now)
                return sighting.first
        self._add(Sighting(ecosystem, project, package, names, now, True))
        return now

    def write(self, looked_at: t.Collection[tuple[str, str]]) -> None:
        """Keep what was seen, and what may still be there.

        :param looked_at: ecosystems and projects that were wholly looked at.
        :raises OSError: when it cannot be written. A file that could not be read is left alone, under another name.
        """
        data = self.content(looked_at)
        directory = os.path.dirname(self.path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if self.damage and os.path.exists(self.path):
            os.replace(self.path, f"{self.path}.damaged")
        beside = f"{self.path}.new"
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(beside, self.path)
        sync_directory(directory)

    @property
    def count(self) -> int:
        return len(self._sightings)

    def kept(self, looked_at: t.Collection[tuple[str, str]]) -> int:
        """How many are left after a look."""
        return len(self._left(looked_at))

    def _left(self, looked_at: t.Collection[tuple[str, str]]) -> list[Sighting]:
        return [one for one in self._sightings if one.now or (one.ecosystem, one.project) not in looked_at]

    def content(self, looked_at: t.Collection[tuple[str, str]]) -> bytes:
        """What the file is to hold after a look."""
        seen = [
            {
                "ecosystem": one.ecosystem,
                "project": one.project,
                "package": one.package,
                "ids": one.ids,
                "first": write_time(one.first),
            }
            for one in self._left(looked_at)
        ]
        return json.dumps({"format": _FORMAT, "seen": seen}, sort_keys=True).encode() + b"\n"
