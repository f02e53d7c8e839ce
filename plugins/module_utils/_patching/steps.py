# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an upgrade: previous versions put aside, packages fetched, installed, marks restored; and the way back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What is done is asked of the packages, never of the journal: a run that was killed is taken up where the packages stand.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

from .._core.files import sync_directory, write_all
from . import archives, previous
from .manager import Manager, Work
from .packages import Installed
from .programs import Done, PatchingError, tail

FORWARD, BACK = "forward", "back"
_RECORD = "last.json"
_LOG_BYTES = 4 * 1000 * 1000


@dataclasses.dataclass
class Means:
    """With what the steps work."""

    manager: Manager
    state_dir: str
    conffiles: str
    lock_timeout: float
    timeout: float
    returns: bool
    output: str = ""

    @property
    def kept(self) -> str:
        return os.path.join(self.state_dir, "kept")

    @property
    def log(self) -> str:
        return os.path.join(self.state_dir, f"{self.manager.name}.log")

    @property
    def work(self) -> Work:
        return Work(self.log, self.conffiles, self.lock_timeout, self.timeout)

    def told(self, done: Done) -> Done:
        self.output = tail(done.out)
        return done

    def must(self, done: Done) -> None:
        """:raises PatchingError: with the packages that are not whole, and the end of what was said."""
        self.told(done)
        if done.status:
            broken = self.manager.interrupted(self.manager.installed())
            what = f"{', '.join(broken.packages)}; " if broken.packages else ""
            raise PatchingError(f"{done.ended}: {what}{tail(done.out, 8, ' | ')}")

    def repair(self) -> None:
        """:raises PatchingError: when packages cannot be made whole."""
        self.must(self.manager.repair(self.work))


class _Step:
    """The common part."""

    name = ""
    point_of_no_return = False

    def __init__(self, means: Means, references: t.Mapping[str, t.Any]) -> None:
        self._means = means
        self._manager = means.manager
        self._packages: dict[str, dict[str, str]] = references["packages"]
        self._references = references

    def undo(self) -> None:
        """What it has made is of use later, or harmless."""


class _Keep(_Step):
    """Archives forget old versions, and caches are cleaned: put them aside while they can be had."""

    name = "put the installed versions aside"

    def is_done(self) -> bool:
        # Once anything is upgraded, what was not kept by then cannot be kept any more.
        return not self._ways() or _began(self._manager, self._packages)

    def do(self) -> None:
        for way in self._ways():
            self._manager.keep(way, self._means.kept, self._means.work)

    def _ways(self) -> list[previous.Way]:
        """Those that can be kept and are not."""
        packages = {name: one for name, one in self._manager.installed().items() if name in self._packages}
        tables = self._manager.tables(packages)
        found = self._manager.ways_back(packages, tables, self._means.kept)
        return [way for way in found.values() if way.where in ("cache", "archive")]


class _Fetch(_Step):
    """Nothing is unpacked before all of it is here."""

    name = "fetch the packages"

    def __init__(self, means: Means, references: t.Mapping[str, t.Any]) -> None:
        super().__init__(means, references)
        self._over = False

    def is_done(self) -> bool:
        return self._over or _began(self._manager, self._packages)

    def do(self) -> None:
        wanted = {name: one["to"] for name, one in self._packages.items()}
        self._means.must(self._manager.fetch(wanted, self._means.work))
        self._over = True


class _Install(_Step):
    """The one step that changes packages."""

    name = "install the packages"

    def __init__(self, means: Means, references: t.Mapping[str, t.Any]) -> None:
        super().__init__(means, references)
        # With the policy to return, whatever was begun is taken back.
        self.point_of_no_return = not means.returns
        self._failed = False

    def is_done(self) -> bool:
        if not self._left():
            return True
        if self._failed and _began(self._manager, self._packages):
            # Half done and stuck: past the point of no return, and yet not done.
            raise PatchingError("some packages are upgraded and others are not")
        return False

    def do(self) -> None:
        self._failed = True
        if self._manager.interrupted(self._manager.installed()):
            # A killed run left it so. What cannot be made whole may be mended by a newer version, below.
            self._means.told(self._manager.repair(self._means.work))
        left = self._left()
        if left:
            self._means.must(self._manager.put(left, self._means.work))
        self._failed = False

    def undo(self) -> None:
        go_back(self._means, self._packages)

    def _left(self) -> dict[str, str]:
        """What is not installed yet, and as which version it can be had now."""
        packages = self._manager.installed()
        waiting = [
            name for name, one in self._packages.items() if not _is_there(self._manager, packages.get(name), one["to"])
        ]
        tables = self._manager.tables([name for name in waiting if name in packages])
        left = {}
        for name in waiting:
            target = _target(self._manager, packages.get(name), tables.get(name), self._packages[name]["to"])
            if target:
                left[name] = target
        return left


class _Marks(_Step):
    """apt takes a package that is named for one that somebody wants for itself, and would never remove it again."""

    name = "restore what was installed automatically"

    def is_done(self) -> bool:
        return not self._lost()

    def do(self) -> None:
        self._means.must(self._manager.mark_automatic(self._lost(), self._means.work))

    def _lost(self) -> list[str]:
        marked = self._manager.automatic()
        there = self._manager.installed()
        return sorted(name for name in self._references["automatic"] if name in there and name not in marked)


class _Return(_Step):
    """The versions that were there before."""

    name = "install the previous versions"
    point_of_no_return = True

    def is_done(self) -> bool:
        return not _to_return(self._manager, self._packages, self._means.kept)[0]

    def do(self) -> None:
        go_back(self._means, self._packages)


def forward_steps(means: Means, references: t.Mapping[str, t.Any]) -> list[t.Any]:
    keep = [_Keep(means, references)] if references["keep"] else []
    return [*keep, _Fetch(means, references), _Install(means, references), _Marks(means, references)]


def steps_of(means: Means, references: t.Mapping[str, t.Any]) -> list[t.Any]:
    if references["direction"] == BACK:
        return [_Return(means, references), _Marks(means, references)]
    return forward_steps(means, references)


def go_back(means: Means, packages: t.Mapping[str, t.Mapping[str, str]]) -> None:
    """Have the previous versions installed, of all packages that have one somewhere.

    :raises PatchingError: when the package manager does not do it.
    """
    ways, _lost = _to_return(means.manager, packages, means.kept)
    if ways:
        means.must(means.manager.put_back(ways, means.work))
    still, _lost = _to_return(means.manager, packages, means.kept)
    if still:
        raise PatchingError(f"{', '.join(sorted(way.name for way in still))} did not go back")


def _to_return(
    manager: Manager, packages: t.Mapping[str, t.Mapping[str, str]], kept: str
) -> tuple[list[previous.Way], list[str]]:
    """The packages that are not what they were, with where that can be had; and those for which it cannot."""
    there = manager.installed()
    wrong = {
        name: dataclasses.replace(there[name], version=one["from"])
        for name, one in packages.items()
        if not is_back(there.get(name), one["from"])
    }
    found = manager.ways_back(wrong, manager.tables(wrong), kept) if wrong else {}
    return [way for way in found.values() if way.where], sorted(name for name in found if not found[name].where)


def to_return(means: Means, packages: t.Mapping[str, t.Mapping[str, str]]) -> tuple[list[previous.Way], list[str]]:
    return _to_return(means.manager, packages, means.kept)


def _is_there(manager: Manager, package: Installed | None, version: str) -> bool:
    """Whether it is wholly installed in this version or a newer one."""
    return bool(package and package.is_whole and not manager.is_newer(version, package.version))


def is_back(package: Installed | None, version: str) -> bool:
    """Whether it is what it was, or gone. Where several are beside each other, the one of before has to be there."""
    return package is None or (package.is_whole and version in package.versions)


def _began(manager: Manager, packages: t.Mapping[str, t.Mapping[str, str]]) -> bool:
    """Whether any of them is no longer what it was."""
    there = manager.installed()
    return any(
        name not in there or not there[name].is_whole or there[name].version != one["from"]
        for name, one in packages.items()
    )


def _target(manager: Manager, package: Installed | None, table: archives.Table | None, version: str) -> str:
    """The version to install; empty when it cannot be had any more. What is there and broken may have a newer one."""
    if package is None or table is None:
        return ""
    is_broken = not package.is_whole
    if is_broken and table.candidate and manager.is_newer(table.candidate, version):
        return table.candidate
    offered = table.get(version)
    if offered and (offered.origins or is_broken):
        return version
    return table.candidate if table.is_upgradable else (package.version if is_broken else "")


def rotate(log: str) -> None:
    """Begin a new log when the old one is long; one old one is kept."""
    with contextlib.suppress(FileNotFoundError):
        if os.stat(log).st_size > _LOG_BYTES:
            os.replace(log, f"{log}.1")


def write_record(state_dir: str, record: t.Mapping[str, t.Any]) -> None:
    """What the way back is from. On the disk before anything is changed."""
    path = os.path.join(state_dir, _RECORD)
    half = f"{path}.part"
    file = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(file, json.dumps(record, sort_keys=True, indent=1).encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(half, path)
    sync_directory(state_dir)


def read_record(state_dir: str) -> dict[str, t.Any] | None:
    """:raises PatchingError: when it is there and cannot be read."""
    path = os.path.join(state_dir, _RECORD)
    try:
        with open(path, encoding="utf-8") as file:
            return t.cast("dict[str, t.Any]", json.load(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise PatchingError(f"the record of the last upgrade, {path}, cannot be read: {exc}") from exc
