# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be upgraded to which very version, and what is left as it is, each with its reason.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import re
import typing as t

from .._core import accepted
from . import archives, possible
from .advisories import Advisory, worst
from .advisories import ids as advisory_ids
from .manager import LEAVE, UPGRADE, Manager
from .packages import Installed
from .possible import Simulation

__all__ = ["ALL", "LEAVE", "SECURITY", "UPGRADE", "Plan", "Policy", "make_plan"]

SECURITY, ALL = "security", "all"
#: Whose scripts restart database servers. The client library has no server to restart.
_POSTGRES = "postgresql*"
#: The servers of one major version: Debian's names, and those of the PostgreSQL project for rpm. A new one makes a
#: cluster of its own.
_POSTGRES_MAJOR = re.compile(r"postgresql-\d+|postgresql\d+-server")
#: Where the name has no major version, as in Red Hat's packages, the package's version has it.
_POSTGRES_SERVER = "postgresql-server"


@dataclasses.dataclass(frozen=True)
class Policy:
    """What is wanted. `rules`: which archives hold security fixes. `accepted`: which of them somebody answers for."""

    upgrade: str
    rules: t.Sequence[t.Mapping[str, str]]
    exclude: tuple[str, ...] = ()
    postgresql: str = LEAVE
    accepted: tuple[accepted.Entry, ...] = ()
    host: str = ""

    def refuses(self, name: str) -> tuple[str, str]:
        """Why a package is not to be touched, as a word and as a reason; both empty when it may be."""
        base = name.partition(":")[0]
        pattern = next((each for each in self.exclude if fnmatch.fnmatchcase(base, each)), "")
        if pattern:
            return "excluded", f"exclude has {pattern!r}"
        if self.postgresql == LEAVE and fnmatch.fnmatchcase(base, _POSTGRES):
            return "postgresql", "its upgrade restarts database servers: set postgresql to upgrade when that is wanted"
        return "", ""


@dataclasses.dataclass(frozen=True)
class Change:
    """One package that is to get another version."""

    name: str
    old: str
    new: str
    is_security: bool
    origins: tuple[str, ...]
    advisories: tuple[Advisory, ...] = ()

    @property
    def severity(self) -> str:
        """How severe what it mends is, where anybody said so."""
        return worst(self.advisories, "high")


def answered(
    policy: Policy, change: Change, today: datetime.date
) -> tuple[accepted.Entry | None, accepted.Entry | None]:
    """The entry by which a security fix may be left today, and one that allowed it until it expired.

    apt's lists have no names of vulnerabilities, so an entry names the package, or the package and the version. Where
    there are advisories, it may name one of those, or what that is about.
    """
    ids = (change.name, f"{change.name}={change.new}", *advisory_ids(change.advisories))
    subject = accepted.Subject(ids, accepted.SYSTEM, change.name, "", policy.host)
    return accepted.acceptance(policy.accepted, subject, today)


def answered_orphan(policy: Policy, name: str, today: datetime.date) -> bool:
    """Whether somebody answers for a package that no archive has."""
    subject = accepted.Subject((name,), accepted.SYSTEM, name, "", policy.host)
    return accepted.acceptance(policy.accepted, subject, today)[0] is not None


@dataclasses.dataclass(frozen=True)
class Left:
    """One package that has a newer version and does not get it. `why`: held, excluded, pinned, phased, blocked, ..."""

    change: Change
    why: str
    reason: str


@dataclasses.dataclass
class Plan:
    """`new`: packages that come with the others because those need them."""

    packages: dict[str, Installed]
    tables: dict[str, archives.Table]
    changes: dict[str, Change]
    new: dict[str, str]
    left: list[Left]

    @property
    def wanted(self) -> dict[str, str]:
        return {name: change.new for name, change in self.changes.items()}

    @property
    def security(self) -> list[str]:
        return sorted(name for name, change in self.changes.items() if change.is_security)

    @property
    def orphans(self) -> list[str]:
        """Packages of which no archive has any version: fixes for them never come, and none is known to lack."""
        return sorted(name for name, table in self.tables.items() if not any(one.origins for one in table.versions))

    @property
    def left_security(self) -> list[Left]:
        return [one for one in self.left if one.change.is_security]


def make_plan(manager: Manager, policy: Policy) -> Plan:
    """Decide by the lists, by what is installed and by the policy; the manager's simulation has the last word.

    :raises PatchingError: when something cannot be seen, or there is no way.
    """
    packages = manager.installed()
    tables = manager.tables(packages)
    everything = manager.upgrade() if policy.upgrade == ALL else Simulation()
    wanted: dict[str, Change] = {}
    left: list[Left] = []
    for name, package in sorted(packages.items()):
        change = _change(manager, package, tables[name], policy)
        if change is None:
            continue
        why, reason = _obstacle(manager, package, tables[name], change, policy, everything)
        if why:
            left.append(Left(change, why, reason))
        else:
            wanted[name] = change
    held = {one.change.name: one.why for one in left}

    def forbidden(name: str) -> str:
        if name not in packages and _POSTGRES_MAJOR.fullmatch(name):
            return "a new major version of PostgreSQL, which is a migration"
        return held.get(name, "") or policy.refuses(name)[0] or ("held" if _is_held(packages, name) else "")

    known = everything if policy.upgrade == ALL else None
    found = possible.possible(manager, {name: change.new for name, change in wanted.items()}, forbidden, known)
    left += [Left(wanted[name], "blocked", reason) for name, reason in sorted(found.blocked.items())]
    left += _replaced(packages, everything, {*wanted, *held})
    changes = {name: wanted[name] for name in sorted(found.wanted)}
    for name, (old, new) in sorted(found.simulation.upgraded.items()):
        # What has to come along: a library of the same source, most often.
        changes.setdefault(name, _as_change(manager, name, old, new, tables.get(name), policy))
    return Plan(packages, tables, changes, dict(sorted(found.simulation.new.items())), left)


def _replaced(
    packages: t.Mapping[str, Installed], everything: Simulation, known: t.Collection[str]
) -> t.Iterator[Left]:
    """What another package takes the place of: it would be removed, and nothing is."""
    for name, by in sorted(everything.replaced.items()):
        if name in packages and name not in known:
            change = Change(name, packages[name].version, by, False, ())
            yield Left(change, "replaced", f"{by} takes its place, which removes it")


def _is_held(packages: t.Mapping[str, Installed], name: str) -> bool:
    return name in packages and packages[name].is_held


def _change(manager: Manager, package: Installed, table: archives.Table, policy: Policy) -> Change | None:
    new = ""
    fix = table.security(policy.rules)
    if policy.upgrade == ALL and table.is_upgradable:
        new = table.candidate
    elif fix:
        new = fix.version
    elif policy.upgrade == ALL and table.phased:
        new = table.phased.version
    return _as_change(manager, package.name, package.version, new, table, policy) if new else None


def _as_change(manager: Manager, name: str, old: str, new: str, table: archives.Table | None, policy: Policy) -> Change:
    version = table.get(new) if table else None
    is_security = bool(table and table.security(policy.rules))
    about = table.advisories if table and is_security else ()
    return Change(name, old, new, is_security, tuple(manager.told(version.origins if version else ())), about)


def _obstacle(
    manager: Manager,
    package: Installed,
    table: archives.Table,
    change: Change,
    policy: Policy,
    everything: Simulation,
) -> tuple[str, str]:
    """Why it is left, as a word and as a reason; both empty when nothing is in its way so far."""
    if package.is_held:
        return "held", f"it is on hold: {manager.release} lets it go"
    why, reason = policy.refuses(change.name)
    if why:
        return why, reason
    if change.name == _POSTGRES_SERVER and _major(change.old) != _major(change.new):
        return "postgresql", f"{_major(change.new)} is a new major version of PostgreSQL, which is a migration"
    if policy.upgrade == ALL and change.name not in everything.upgraded and not change.is_security:
        version = table.get(change.new)
        part = version.phased if version else None
        if change.name in everything.deferred or (part is not None and part < 100):
            told = "" if part is None else f" ({part} % so far)"
            return "phased", f"its archive gives it to a part of all hosts first{told}"
    why, reason = manager.obstacle(table, change.new)
    if why:
        return why, reason
    if policy.upgrade == ALL and change.name not in everything.upgraded:
        problem = manager.install({change.name: change.new}).problem
        if problem:
            return "kept-back", problem
    return "", ""


def _major(version: str) -> str:
    """The major version of PostgreSQL in the version of a package; since 10 it is the first number."""
    return version.rpartition(":")[2].partition(".")[0]
