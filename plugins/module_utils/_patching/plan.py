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
from . import archives, simulation, versions
from .dpkg import Installed, installed
from .programs import Apt

SECURITY, ALL = "security", "all"
LEAVE, UPGRADE = "leave", "upgrade"
#: Whose scripts restart database servers. The client library has no server to restart.
_POSTGRES = "postgresql*"
#: The servers of one major version. A new one comes by the metapackage, and makes a cluster of its own.
_POSTGRES_MAJOR = re.compile(r"postgresql-\d+")


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


def answered(
    policy: Policy, change: Change, today: datetime.date
) -> tuple[accepted.Entry | None, accepted.Entry | None]:
    """The entry by which a security fix may be left today, and one that allowed it until it expired.

    apt's lists have no names of vulnerabilities, so an entry names the package, or the package and the version.
    """
    ids = (change.name, f"{change.name}={change.new}")
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


def make_plan(apt: Apt, policy: Policy) -> Plan:
    """Decide by apt's lists, dpkg's state and the policy; apt's simulation has the last word.

    :raises PatchingError: when something cannot be seen, or apt finds no way.
    """
    packages = installed(apt)
    tables = archives.tables(apt, packages)
    everything = simulation.upgrade(apt) if policy.upgrade == ALL else simulation.Simulation()
    wanted: dict[str, Change] = {}
    left: list[Left] = []
    for name, package in sorted(packages.items()):
        change = _change(package, tables[name], policy)
        if change is None:
            continue
        why, reason = _obstacle(apt, package, tables[name], change, policy, everything)
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
    found = simulation.possible(apt, {name: change.new for name, change in wanted.items()}, forbidden, known)
    left += [Left(wanted[name], "blocked", reason) for name, reason in sorted(found.blocked.items())]
    changes = {name: wanted[name] for name in sorted(found.wanted)}
    for name, (old, new) in sorted(found.simulation.upgraded.items()):
        # What has to come along: a library of the same source, most often.
        changes.setdefault(name, _as_change(name, old, new, tables.get(name), policy))
    return Plan(packages, tables, changes, dict(sorted(found.simulation.new.items())), left)


def unexplained(apt: Apt, plan: Plan, policy: Policy) -> list[str]:
    """Security fixes that apt itself would install, by its own simulation, and that were not told as left.

    The plan is ours: what it does not see, it would not see afterwards either.
    """
    told = {one.change.name for one in plan.left}
    upgraded = simulation.everything(apt).upgraded
    tables = archives.tables(apt, [name for name in upgraded if name in plan.packages and name not in told])
    return sorted(name for name, table in tables.items() if table.security(policy.rules))


def _is_held(packages: t.Mapping[str, Installed], name: str) -> bool:
    return name in packages and packages[name].is_held


def _change(package: Installed, table: archives.Table, policy: Policy) -> Change | None:
    new = ""
    fix = table.security(policy.rules)
    if policy.upgrade == ALL and table.is_upgradable:
        new = table.candidate
    elif fix:
        new = fix.version
    elif policy.upgrade == ALL and table.phased:
        new = table.phased.version
    return _as_change(package.name, package.version, new, table, policy) if new else None


def _as_change(name: str, old: str, new: str, table: archives.Table | None, policy: Policy) -> Change:
    version = table.get(new) if table else None
    is_security = bool(table and table.security(policy.rules))
    return Change(name, old, new, is_security, tuple(archives.told(version.origins if version else ())))


def _obstacle(
    apt: Apt,
    package: Installed,
    table: archives.Table,
    change: Change,
    policy: Policy,
    everything: simulation.Simulation,
) -> tuple[str, str]:
    """Why it is left, as a word and as a reason; both empty when nothing is in its way so far."""
    if package.is_held:
        return "held", "it is on hold: apt-mark unhold lets it go"
    why, reason = policy.refuses(change.name)
    if why:
        return why, reason
    if policy.upgrade == ALL and change.name not in everything.upgraded and not change.is_security:
        version = table.get(change.new)
        part = version.phased if version else None
        if change.name in everything.deferred or (part is not None and part < 100):
            told = "" if part is None else f" ({part} % so far)"
            return "phased", f"its archive gives it to a part of all hosts first{told}"
    if not table.candidate or versions.is_newer(change.new, table.candidate):
        return "pinned", f"the preferences of apt let no version newer than {table.candidate or 'none'} in"
    if policy.upgrade == ALL and change.name not in everything.upgraded:
        problem = simulation.install(apt, {change.name: change.new}).problem
        if problem:
            return "kept-back", problem
    return "", ""
