# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version a package goes to, by the policy of its project.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A fix goes to the lowest version without the vulnerabilities, a routine update to the highest that is old enough.
Nothing ever goes to an older version, a pre-release or one that was withdrawn, and what may break those who use the
package (major, and minor below 1.0) needs the policy or somebody's word for that package.
"""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import typing as t

from . import changes, lanes, pep440, semver
from .changes import PYPI
from .judging import fixed_by
from .looks import Advisory, Listing, Release
from .updating import needs_met

#: Classes of updates that nobody needs, by policy. What fixes a vulnerability may always be a patch or a minor release.
ROUTINE = {
    "security": (),
    "patch": ("patch",),
    "minor": ("patch", "minor"),
    "major": ("patch", "minor", "minor-0x", "major"),
}
_FIXES = ("patch", "minor")
_BREAKING = ("minor-0x", "major")


@dataclasses.dataclass(frozen=True)
class Rules:
    """:param approved: patterns of names of packages whose breaking steps somebody answers for."""

    policy: str
    approved: tuple[str, ...]
    cooldown: int
    now: datetime.datetime

    def allows(self, package: str, change: str, is_fix: bool) -> bool:
        if change in ROUTINE[self.policy] or (is_fix and change in _FIXES):
            return True
        is_wanted = is_fix or self.policy != "security"
        return change in _BREAKING and is_wanted and any(fnmatch.fnmatchcase(package, one) for one in self.approved)


@dataclasses.dataclass(frozen=True)
class Installed:
    """A version that is there.

    :param advisories: what is known against it and nobody accepted.
    :param language: version of the interpreter, empty where it is not known.
    :param ranges: what asks for it: who, and which versions fit; each new version has to be in all of them.
    """

    ecosystem: str
    package: str
    version: str
    advisories: tuple[Advisory, ...] = ()
    language: str = ""
    ranges: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Choice:
    """:param version: where to go; empty to stay.

    :param fixes: vulnerabilities that it no longer has.
    :param obstacle: why a vulnerability stays, in words for a finding; empty when none does.
    :param needed: the version that would be without, where there is one.
    """

    version: str = ""
    fixes: tuple[str, ...] = ()
    obstacle: str = ""
    needed: str = ""


def choose(one: Installed, listing: Listing, rules: Rules) -> Choice:
    """Where the package goes."""
    usable = _usable(one, listing)
    if not one.advisories:
        return Choice(_routine(one, usable, rules))
    fix = _fix(one, usable, rules)
    newer = _routine(one, usable, rules)
    if fix.version and newer and changes.sort_key(one.ecosystem, newer) > changes.sort_key(one.ecosystem, fix.version):
        fixes = _fixed_by(one, newer)
        if set(fixes) >= set(fix.fixes):
            return dataclasses.replace(fix, version=newer, fixes=fixes)
    if not fix.version and newer:
        return dataclasses.replace(fix, version=newer, fixes=_fixed_by(one, newer))
    return fix


def fits(ecosystem: str, version: str, wanted: str) -> bool:
    """Whether a version is in a range; a range that cannot be read holds nothing back here, its tool reads it later."""
    if not wanted:
        return True
    answer = pep440.satisfies(version, wanted) if ecosystem == PYPI else semver.satisfies(version, wanted)
    return answer is not False


def _usable(one: Installed, listing: Listing) -> list[Release]:
    """Newer releases that this project could have, from the lowest."""
    key = changes.sort_key(one.ecosystem, one.version)
    is_pre = pep440.is_pre_release if one.ecosystem == PYPI else semver.is_pre_release
    found = []
    for release in listing.releases.values():
        other = changes.sort_key(one.ecosystem, release.version)
        if key is None or other is None or other <= key or release.withdrawn:
            continue
        if is_pre(release.version) and not is_pre(one.version):
            continue
        if needs_met(one.ecosystem, one.language, release.needs) is not False:
            found.append(release)
    return sorted(found, key=lambda release: changes.sort_key(one.ecosystem, release.version))


def _fixed_by(one: Installed, version: str) -> tuple[str, ...]:
    """Which vulnerabilities a newer version no longer has. A fix older than what is there says nothing of it."""
    telling = [advisory for advisory in one.advisories if not fixed_by(one.ecosystem, [advisory], one.version)]
    return tuple(fixed_by(one.ecosystem, telling, version))


def _routine(one: Installed, usable: t.Sequence[Release], rules: Rules) -> str:
    for release in reversed(usable):
        change = changes.update_class(one.ecosystem, one.version, release.version)
        held = lanes.held_until(release.published, rules.now, rules.cooldown)
        if held is None and rules.allows(one.package, change, False) and not _blocking(one, release.version):
            return release.version
    return ""


def _blocking(one: Installed, version: str) -> str:
    """Who does not allow the version; empty when all do."""
    return next(
        (f"{who} asks for {wanted}" for who, wanted in one.ranges if not fits(one.ecosystem, version, wanted)), ""
    )


def _fix(one: Installed, usable: t.Sequence[Release], rules: Rules) -> Choice:
    """The lowest version without any of the vulnerabilities that have a fix at all."""
    possible = [(release.version, _fixed_by(one, release.version)) for release in usable]
    most = max((len(fixes) for _version, fixes in possible), default=0)
    named = ", ".join(sorted(advisory.id for advisory in one.advisories))
    if not most:
        return Choice(obstacle=f"no newer version that this project could have is without {named}")
    obstacle, needed = "", ""
    for version, fixes in possible:
        if len(fixes) < most:
            continue
        change = changes.update_class(one.ecosystem, one.version, version)
        blocking = _blocking(one, version)
        if rules.allows(one.package, change, True) and not blocking:
            left = sorted({advisory.id for advisory in one.advisories} - set(fixes))
            told = f"no newer version that this project could have is without {', '.join(left)}" if left else ""
            return Choice(version, tuple(fixes), told)
        if not obstacle:
            needed = version
            obstacle = blocking or (
                f"the first version without {', '.join(fixes)} is {version}, which may break what uses it ({change}) "
                "and is not approved"
            )
    return Choice(obstacle=obstacle, needed=needed)
