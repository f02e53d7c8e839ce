# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions repositories have, what keeps them out, and from where the installed one could be had again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import glob
import os
import re
import shutil
import typing as t

from . import rpm_versions
from .advisories import Advisory
from .archives import Origin, Table, Version, is_security
from .dnf_host import Dnf
from .packages import Installed
from .possible import Simulation
from .preflight import Sizes, is_kernel
from .previous import Way
from .programs import PatchingError
from .rpm_state import plain

#: A line of the plugin versionlock: a name, or one with a version and patterns behind it.
_LOCKED = re.compile(r"(?P<name>.+?)-(?:\d+:)?[^-]+-[^-]+")


@dataclasses.dataclass(frozen=True)
class Repository(Origin):
    """A repository is known by its id alone; `label` has it."""

    def told(self) -> str:
        return self.label


@dataclasses.dataclass(frozen=True)
class RpmTable(Table):
    """What repositories have of one package. `out`: version -> what keeps it out (`excluded` or `module`)."""

    fixes: tuple[Advisory, ...] = ()
    out: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_upgradable(self) -> bool:
        return bool(self.candidate) and rpm_versions.is_newer(self.candidate, self.installed)

    @property
    def phased(self) -> Version | None:
        """The newest version where something keeps it out: nothing is phased here, but kept out without a word."""
        newer = [one for one in self.versions if rpm_versions.is_newer(one.version, self.installed)]
        return next((one for one in newer if one.version in self.out), None)

    @property
    def advisories(self) -> tuple[Advisory, ...]:
        return self.fixes

    def security(self, rules: t.Sequence[t.Mapping[str, str]]) -> Version | None:
        """The first version that has every fix, or the newest one of a repository whose versions all count as fixes.

        Also where it cannot be had: what is installed lacks the fix all the same.
        """
        newer = [one for one in self.versions if rpm_versions.is_newer(one.version, self.installed)]
        found = [one for one in newer if any(is_security(origin, rules) for origin in one.origins)][:1]
        if self.fixes:
            needed = max((one.version for one in self.fixes), key=rpm_versions.key)
            has_it = [one for one in newer if not rpm_versions.is_newer(needed, one.version)]
            found += ([one for one in has_it if one.version not in self.out] or has_it or [Version(needed, ())])[-1:]
        return max(found, key=lambda one: rpm_versions.key(one.version), default=None)


@dataclasses.dataclass(frozen=True)
class Listed:
    """One package of one version in a repository."""

    name: str
    architecture: str
    version: str
    repository: str
    size: int
    installed_size: int
    out: str


@dataclasses.dataclass(frozen=True)
class Offers:
    """All that repositories have of packages."""

    tables: dict[str, RpmTable]
    listed: dict[tuple[str, str], Listed]


def offers(dnf: Dnf, packages: t.Mapping[str, Installed]) -> Offers:
    """All that repositories have of these packages.

    :raises PatchingError: when dnf cannot tell.
    """
    dnf.load()
    own = dnf.where("architecture")
    bare = sorted({name.partition(":")[0] for name in packages})
    told = dnf.ask("tables", names=bare)
    listed: dict[tuple[str, str], Listed] = {}
    by_name: dict[str, list[Listed]] = {}
    for name, architecture, version, repository, size, installed_size, out in told["versions"]:
        key = plain(name, architecture, own)
        one = Listed(key, architecture, version, repository, size, installed_size, out)
        by_name.setdefault(key, []).append(one)
        if listed.get((key, version), one).out or (key, version) not in listed:
            listed[(key, version)] = one
    fixes: dict[str, list[Advisory]] = {}
    for name, architecture, version, id_, severity, cves in told["advisories"]:
        fixes.setdefault(plain(name, architecture, own), []).append(Advisory(id_, severity, version, tuple(cves)))
    tables = {
        name: _table(name, one.version, by_name.get(name, []), fixes.get(name, [])) for name, one in packages.items()
    }
    return Offers(tables, listed)


def note(known: Offers, rows: t.Iterable[t.Sequence[t.Any]], own: str) -> None:
    """What comes along is listed as well, once it is known: it is not installed, so nobody has asked for it."""
    for name, architecture, version, repository, size, installed_size in rows:
        key = plain(name, architecture, own)
        one = Listed(key, architecture, version, repository, size, installed_size, "")
        known.listed.setdefault((key, version), one)


def _table(name: str, installed: str, listed: t.Sequence[Listed], fixes: t.Sequence[Advisory]) -> RpmTable:
    versions = sorted({one.version for one in listed}, key=rpm_versions.key, reverse=True)
    rows, out = [], {}
    for version in versions:
        there = [one for one in listed if one.version == version]
        open_ = [one for one in there if not one.out]
        if not open_:
            out[version] = there[0].out
        origins = tuple(Repository(label=one.repository) for one in open_ or there)
        rows.append(Version(version, tuple(dict.fromkeys(origins))))
    candidate = next((version for version in versions if version not in out), "")
    about = sorted(set(fixes), key=lambda one: rpm_versions.key(one.version))
    return RpmTable(name, installed, candidate, tuple(rows), tuple(about), out)


def obstacle(table: RpmTable, version: str, locks: t.Sequence[str], excludes: t.Sequence[str]) -> tuple[str, str]:
    """What keeps a version out, as a word and as a reason; both empty when nothing does."""
    why = table.out.get(version, "")
    base = table.name.partition(":")[0]
    if not table.get(version):
        return "unavailable", "an advisory is about it, and no repository has it or anything newer"
    if not why:
        return "", ""
    if why == "module":
        return "module", "it belongs to a stream of a module that is not enabled, or that another stream shadows"
    lock = next((line for line in locks if fnmatch.fnmatchcase(base, _locked_name(line))), "")
    if lock:
        return "held", f"versionlock has {lock!r}: dnf versionlock delete lets it go"
    pattern = next((each for each in excludes if fnmatch.fnmatchcase(base, each)), "")
    told = f"excludepkgs of dnf has {pattern!r}" if pattern else "dnf or its repository excludes it"
    return "pinned", told


def _locked_name(line: str) -> str:
    match = _LOCKED.fullmatch(line.lstrip("!"))
    return match.group("name") if match else line.lstrip("!")


def simulated(told: t.Mapping[str, t.Any], own: str, installed: t.Mapping[str, Installed]) -> Simulation:
    """What dnf's library says that it would do."""
    if "problem" in told:
        lines = [line.strip() for line in told["problem"].splitlines() if line.strip()]
        return Simulation(problem="; ".join(lines[:4]) or "dnf does not say why")
    come = {plain(name, architecture, own): version for name, architecture, version, *_about in told["come"]}
    gone = {plain(name, architecture, own): version for name, architecture, version in told["gone"]}
    replaced = {plain(name, architecture, own): by for name, architecture, by in told["replaced"]}
    # A kernel is installed beside the old one, and is an upgrade all the same.
    upgraded = {name: (installed[name].version, version) for name, version in come.items() if name in installed}
    older = sorted(name for name, (old, new) in upgraded.items() if not rpm_versions.is_newer(new, old))
    return Simulation(
        upgraded,
        {name: version for name, version in come.items() if name not in installed},
        {name: version for name, version in gone.items() if name not in come},
        problem=f"it would take back {', '.join(older)}" if older else "",
        replaced={name: by for name, by in replaced.items() if name in gone and name not in come},
    )


def sizes(known: Offers, wanted: t.Mapping[str, str], packages: t.Mapping[str, Installed], cache: str) -> Sizes:
    """What has to be fetched and unpacked for these versions."""
    found = [known.listed[(name, version)] for name, version in wanted.items() if (name, version) in known.listed]
    fetched = [one for one in found if not _in_cache(cache, one.name, one.version, one.architecture)]
    growth = sum(one.installed_size - (packages[one.name].size if one.name in packages else 0) for one in found)
    kernels = tuple(name for name in wanted if is_kernel(name))
    largest = max((one.installed_size for one in found), default=0)
    return Sizes(sum(one.size for one in fetched), max(0, growth), largest, kernels)


def _in_cache(cache: str, name: str, version: str, architecture: str) -> str:
    """Where dnf has it: below the directory of a repository."""
    pattern = os.path.join(glob.escape(cache), "*", "packages", rpm_versions.file_name(name, version, architecture))
    return next(iter(sorted(glob.glob(pattern))), "")


def ways_back(
    dnf: Dnf, known: Offers, packages: t.Mapping[str, Installed], architectures: t.Mapping[str, str], kept: str
) -> dict[str, Way]:
    """For each package, where its installed version is."""
    found = {}
    for name, one in packages.items():
        architecture = architectures.get(name, dnf.where("architecture"))
        file = rpm_versions.file_name(name, one.version, architecture)
        way = Way(name, one.version, "")
        for where, path in (("kept", os.path.join(kept, file)), ("cache", _cached(dnf, name, one, architecture))):
            if not way.where and path and os.path.isfile(path) and is_it(dnf, path, name, one.version):
                way = Way(name, one.version, where, path)
        listed = known.listed.get((name, one.version))
        if not way.where and listed and not listed.out:
            way = Way(name, one.version, "archive")
        found[name] = way
    return found


def _cached(dnf: Dnf, name: str, one: Installed, architecture: str) -> str:
    return _in_cache(dnf.where("cache"), name, one.version, architecture)


def is_it(dnf: Dnf, path: str, name: str, version: str) -> bool:
    """Whether a file really is that package and whole: `rpm --checksig` reads all of it."""
    form = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}"
    told = dnf.call("rpm", "--query", "--package", "--nosignature", "--queryformat", form, path, must=False)
    epoch, upstream, release = rpm_versions.split(version)
    if told.status or told.out.split() != [name.partition(":")[0], f"{epoch}:{upstream}-{release}"]:
        return False
    return not dnf.call("rpm", "--checksig", "--nosignature", path, must=False).status


def keep(dnf: Dnf, way: Way, architecture: str, directory: str) -> Way:
    """Put the installed version aside.

    :raises PatchingError: when it cannot be had, or is not what it is called.
    """
    os.makedirs(directory, mode=0o755, exist_ok=True)
    if way.where == "kept":
        return way
    source = way.path
    if way.where == "archive":
        dnf.load()
        told = dnf.ask("fetch", words=[rpm_versions.full(way.name, way.version, architecture)])
        if "problem" in told:
            raise PatchingError(f"{way.name} {way.version} cannot be fetched: {told['problem']}")
        source = told["files"][0]
    target = os.path.join(directory, rpm_versions.file_name(way.name, way.version, architecture))
    if source:
        half = f"{target}.part"
        shutil.copyfile(source, half)
        with open(half, "rb") as file:
            os.fsync(file.fileno())
        os.replace(half, target)
    if not source or not is_it(dnf, target, way.name, way.version):
        raise PatchingError(f"{way.name} {way.version} is in no repository and in no cache any more")
    return dataclasses.replace(way, where="kept", path=target)


def prune(directory: str, wanted: t.Mapping[str, str], architectures: t.Mapping[str, str]) -> None:
    """Remove what was put aside for earlier upgrades."""
    names = {
        rpm_versions.file_name(name, version, architectures.get(name, "noarch")) for name, version in wanted.items()
    }
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            if name.endswith(".rpm") and name not in names:
                os.unlink(os.path.join(directory, name))
