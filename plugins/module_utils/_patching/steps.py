# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an upgrade: previous versions put aside, packages fetched, installed, marks restored; and the way back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What is done is asked of dpkg, never of the journal: a run that was killed is taken up where the packages stand.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

from .._core.files import sync_directory, write_all
from . import archives, configuration, previous, simulation, versions
from .dpkg import Installed, installed, interrupted
from .programs import Apt, Done, PatchingError, tail

FORWARD, BACK = "forward", "back"
_RECORD = "last.json"
_LOG_BYTES = 4 * 1000 * 1000


@dataclasses.dataclass
class Means:
    """With what the steps work."""

    apt: Apt
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
        return os.path.join(self.state_dir, "apt.log")

    def change(self, *argv: str) -> Done:
        """:raises PatchingError: when it does not end in time."""
        locks = ["-o", f"DPkg::Lock::Timeout={int(self.lock_timeout)}"] if argv[0] == "apt-get" else []
        done = self.apt.change(
            [argv[0], *locks, *argv[1:]], self.log, configuration.variables(self.conffiles), self.timeout
        )
        self.output = tail(done.out)
        return done

    def must(self, *argv: str) -> None:
        """:raises PatchingError: with the packages that are not whole, and the end of what was said."""
        done = self.change(*argv)
        if done.status:
            broken = interrupted(self.apt, installed(self.apt))
            what = f"{', '.join(broken.packages)}; " if broken.packages else ""
            raise PatchingError(f"{argv[0]} ended with status {done.status}: {what}{tail(done.out, 8, ' | ')}")

    def repair(self) -> None:
        """:raises PatchingError: when packages cannot be configured."""
        words = configuration.OPTIONS[self.conffiles]
        self.must("dpkg", *words, "--configure", "-a")


class _Step:
    """The common part."""

    name = ""
    point_of_no_return = False

    def __init__(self, means: Means, references: t.Mapping[str, t.Any]) -> None:
        self._means = means
        self._apt = means.apt
        self._packages: dict[str, dict[str, str]] = references["packages"]
        self._references = references

    def undo(self) -> None:
        """What it has made is of use later, or harmless."""


class _Keep(_Step):
    """Archives forget old versions, and caches are cleaned: put them aside while they can be had."""

    name = "put the installed versions aside"

    def is_done(self) -> bool:
        # Once anything is upgraded, what was not kept by then cannot be kept any more.
        return not self._ways() or _began(self._apt, self._packages)

    def do(self) -> None:
        for way in self._ways():
            previous.keep(self._apt, way, self._means.kept, self._means.log, self._means.timeout)

    def _ways(self) -> list[previous.Way]:
        """Those that can be kept and are not."""
        packages = {name: one for name, one in installed(self._apt).items() if name in self._packages}
        tables = archives.tables(self._apt, packages)
        found = previous.ways_back(self._apt, packages, tables, self._means.kept)
        return [way for way in found.values() if way.where in ("cache", "archive")]


class _Fetch(_Step):
    """Nothing is unpacked before all of it is here."""

    name = "fetch the packages"

    def __init__(self, means: Means, references: t.Mapping[str, t.Any]) -> None:
        super().__init__(means, references)
        self._over = False

    def is_done(self) -> bool:
        return self._over or _began(self._apt, self._packages)

    def do(self) -> None:
        wanted = {name: one["to"] for name, one in self._packages.items()}
        self._means.must("apt-get", "-q", *simulation.INSTALL, "--download-only", *_words(wanted))
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
        if self._failed and _began(self._apt, self._packages):
            # Half done and stuck: past the point of no return, and yet not done.
            raise PatchingError("some packages are upgraded and others are not")
        return False

    def do(self) -> None:
        self._failed = True
        packages = installed(self._apt)
        if interrupted(self._apt, packages):
            # A killed run left it so. What cannot be configured may be mended by a newer version, below.
            self._means.change("dpkg", *configuration.OPTIONS[self._means.conffiles], "--configure", "-a")
        left = self._left()
        if left:
            options = configuration.options(self._means.conffiles)
            self._means.must("apt-get", "-q", *simulation.INSTALL, *options, *_words(left))
        self._failed = False

    def undo(self) -> None:
        go_back(self._means, self._packages)

    def _left(self) -> dict[str, str]:
        """What is not installed yet, and as which version it can be had now."""
        packages = installed(self._apt)
        waiting = [name for name, one in self._packages.items() if not _is_there(packages.get(name), one["to"])]
        tables = archives.tables(self._apt, [name for name in waiting if name in packages])
        left = {}
        for name in waiting:
            target = _target(packages.get(name), tables.get(name), self._packages[name]["to"])
            if target:
                left[name] = target
        return left


class _Marks(_Step):
    """apt takes a package that is named for one that somebody wants for itself, and would never remove it again."""

    name = "restore what was installed automatically"

    def is_done(self) -> bool:
        return not self._lost()

    def do(self) -> None:
        self._means.must("apt-mark", "auto", *self._lost())

    def _lost(self) -> list[str]:
        marked = automatic(self._apt)
        there = installed(self._apt)
        return sorted(name for name in self._references["automatic"] if name in there and name not in marked)


class _Return(_Step):
    """The versions that were there before."""

    name = "install the previous versions"
    point_of_no_return = True

    def is_done(self) -> bool:
        return not _to_return(self._apt, self._packages, self._means.kept)[0]

    def do(self) -> None:
        go_back(self._means, self._packages)


def forward_steps(means: Means, references: t.Mapping[str, t.Any]) -> list[t.Any]:
    keep = [_Keep(means, references)] if references["keep"] else []
    return [*keep, _Fetch(means, references), _Install(means, references), _Marks(means, references)]


def steps_of(means: Means, references: t.Mapping[str, t.Any]) -> list[t.Any]:
    if references["direction"] == BACK:
        return [_Return(means, references), _Marks(means, references)]
    return forward_steps(means, references)


def automatic(apt: Apt) -> set[str]:
    """Packages that only came because others need them."""
    return set(apt.call("apt-mark", "showauto").out.split())


def go_back(means: Means, packages: t.Mapping[str, t.Mapping[str, str]]) -> None:
    """Have the previous versions installed, of all packages that have one somewhere.

    :raises PatchingError: when apt does not do it.
    """
    ways, _lost = _to_return(means.apt, packages, means.kept)
    if ways:
        options = configuration.options(means.conffiles)
        means.must("apt-get", "-q", *BACKWARDS, *options, *back_words(ways))
    still, _lost = _to_return(means.apt, packages, means.kept)
    if still:
        raise PatchingError(f"{', '.join(sorted(way.name for way in still))} did not go back")


BACKWARDS = ("install", "-y", "--allow-downgrades", "--no-install-recommends", "--no-remove")


def back_words(ways: t.Iterable[previous.Way]) -> list[str]:
    return sorted(way.path or f"{way.name}={way.version}" for way in ways)


def _to_return(
    apt: Apt, packages: t.Mapping[str, t.Mapping[str, str]], kept: str
) -> tuple[list[previous.Way], list[str]]:
    """The packages that are not what they were, with where that can be had; and those for which it cannot."""
    there = installed(apt)
    tables = archives.tables(apt, [name for name in packages if name in there])
    wrong = {
        name: dataclasses.replace(there[name], version=one["from"])
        for name, one in packages.items()
        if name in there and not (there[name].version == one["from"] and there[name].is_whole)
    }
    found = previous.ways_back(apt, wrong, tables, kept)
    return [way for way in found.values() if way.where], sorted(name for name in found if not found[name].where)


def to_return(means: Means, packages: t.Mapping[str, t.Mapping[str, str]]) -> tuple[list[previous.Way], list[str]]:
    return _to_return(means.apt, packages, means.kept)


def _words(wanted: t.Mapping[str, str]) -> list[str]:
    return [f"{name}={version}" for name, version in sorted(wanted.items())]


def _is_there(package: Installed | None, version: str) -> bool:
    """Whether it is wholly installed in this version or a newer one."""
    return bool(package and package.is_whole and not versions.is_newer(version, package.version))


def is_back(package: Installed | None, version: str) -> bool:
    """Whether it is what it was, or gone."""
    return package is None or (package.is_whole and package.version == version)


def _began(apt: Apt, packages: t.Mapping[str, t.Mapping[str, str]]) -> bool:
    """Whether any of them is no longer what it was."""
    there = installed(apt)
    return any(
        name not in there or not there[name].is_whole or there[name].version != one["from"]
        for name, one in packages.items()
    )


def _target(package: Installed | None, table: archives.Table | None, version: str) -> str:
    """The version to install; empty when it cannot be had any more. What is there and broken may have a newer one."""
    if package is None or table is None:
        return ""
    is_broken = not package.is_whole
    if is_broken and table.candidate and versions.is_newer(table.candidate, version):
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
