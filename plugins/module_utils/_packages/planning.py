# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages of a project go where: what was found is put before the policy, package by package.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core.result import Finding
from . import lanes, moving_python
from .changes import NPM, PYPI
from .judging import Vulnerability
from .locks_node import HIDDEN
from .looking import Seen, askable, group_of
from .looks import Listing
from .model import Node, Project, Source, SourceError
from .moving import Move, StepError
from .policy import Choice, Installed, Rules, choose
from .requirements import read_requirements
from .updating import needs_met

#: Ecosystem, name and version.
Key = t.Tuple[str, str, str]
#: Tells who asks for a package of a lock, each with its range.
Asked = t.Callable[[Source, Node], t.List[t.Tuple[str, str]]]


@dataclasses.dataclass
class Plan:
    """:param left: vulnerabilities that stay, and why."""

    moves: list[Move] = dataclasses.field(default_factory=list)
    left: list[Finding] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _There:
    """A version of a package, over all files of the project that have it."""

    ranges: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    listing: Listing | None = None
    is_direct: bool = False
    is_movable: bool = False


def sources_to_write(project: Project) -> list[Source]:
    """Files that moves are written into. A file of requirements is read anew: pip may have added to what it says.

    :raises StepError: when one of them cannot be read any more.
    """
    found = []
    for source in project.sources:
        if source.kind == "environment" or source.file == HIDDEN:
            continue
        try:
            found.append(read_requirements(source.project, source.file) if source.kind == "requirements" else source)
        except SourceError as exc:
            raise StepError("resolve", str(exc)) from exc
    return found


def plan(
    project: Project,
    seen: Seen,
    vulnerabilities: t.Sequence[Vulnerability],
    rules: Rules,
    languages: t.Mapping[str, str],
    listings: t.Callable[[t.Sequence[str]], dict[str, Listing]],
    ranges: Asked,
) -> Plan:
    """:param languages: versions of Python and Node that the project is installed with, by ecosystem.

    :param listings: asks the index of Python packages.
    :param ranges: who in a lock of Node asks for a package.
    :raises StepError: when the versions of a package could not be looked up.
    """
    known = _open(project, vulnerabilities)
    there = _gather(project, seen, known, rules, ranges)
    names = sorted({name for ecosystem, name, _version in there if ecosystem == PYPI})
    python = listings(names) if names else {}
    found = Plan()
    for (ecosystem, name, version), one in sorted(there.items()):
        listing = python[name] if ecosystem == PYPI else one.listing
        if listing is None or listing.problem:
            told = listing.problem if listing else "npm was not told of them"
            raise StepError("look", f"the versions of {name} could not be looked up: {told}")
        worst = known.get((ecosystem, name, version), [])
        advisories = tuple(vulnerability.advisory for vulnerability in worst)
        if advisories and not one.is_movable:
            told = "no file of the project pins it: it comes with something that is not locked"
            found.left.append(_left(project, worst, Choice(obstacle=told)))
            continue
        installed = Installed(ecosystem, name, version, advisories, languages.get(ecosystem, ""), tuple(one.ranges))
        # What others bring moves only where it has to.
        choice = choose(installed, listing, rules if one.is_direct else dataclasses.replace(rules, policy="security"))
        if choice.version:
            found.moves.append(_move(installed, choice, listing))
        if choice.obstacle:
            found.left.append(_left(project, worst, choice))
    return found


def _open(project: Project, vulnerabilities: t.Sequence[Vulnerability]) -> dict[Key, list[Vulnerability]]:
    found: dict[Key, list[Vulnerability]] = {}
    for one in vulnerabilities:
        if any(place.project == project.path for place in one.open_places):
            found.setdefault((one.ecosystem, *one.pair), []).append(one)
    return found


def _gather(
    project: Project, seen: Seen, known: t.Mapping[Key, t.Any], rules: Rules, ranges: Asked
) -> dict[Key, _There]:
    there: dict[Key, _There] = {}
    for source in sources_to_write(project):
        for node in askable(source):
            key = (source.ecosystem, node.name, node.version)
            is_direct = node.key in source.direct
            if key not in known and not (is_direct and rules.policy != "security"):
                continue
            one = there.setdefault(key, _There())
            one.is_direct = one.is_direct or is_direct
            one.is_movable = True
            one.ranges += ranges(source, node) if source.ecosystem == NPM else _ranges(source, node)
            if source.ecosystem == NPM:
                one.listing = seen.listings.get(group_of(source), {}).get(node.name)
    for key in known:
        # What only pip knows that it would come along.
        there.setdefault(key, _There(listing=Listing() if key[0] == NPM else None))
    return there


def _ranges(source: Source, node: Node) -> list[tuple[str, str]]:
    """Who asks for it with which range, as far as this module does not write that itself."""
    if source.kind == "lock":
        wanted = source.direct.get(node.key, "")
        return [("pyproject.toml", wanted)] if wanted else []
    companion = moving_python.companion_of(source)
    if companion is None:
        return []
    # A pin is written anew, a range is not.
    asked = [companion.direct.get(other.key, "") for other in companion.named(node.name) if not other.version]
    return [(companion.file, wanted) for wanted in asked if wanted]


def _move(one: Installed, choice: Choice, listing: Listing) -> Move:
    old, new = listing.releases.get(one.version), listing.releases.get(choice.version)
    needs = (old.needs if old else "", new.needs if new else "")
    return Move(
        ecosystem=one.ecosystem,
        package=one.package,
        old=one.version,
        new=choice.version,
        why="fix" if choice.fixes else "routine",
        fixes=choice.fixes,
        needs=needs,
        needs_met=needs_met(one.ecosystem, one.language, needs[1]),
        published=new.published if new else "",
        links=dict(listing.links),
    )


def _left(project: Project, worst: t.Sequence[Vulnerability], choice: Choice) -> Finding:
    order = {severity: number for number, severity in enumerate(lanes.SEVERITIES)}
    first = min(worst, key=lambda one: order[one.counted])
    name, version = first.pair
    action = "mitigate it, or accept it for a while under an owner's name"
    if choice.needed:
        action = f"approve {name} for this project if {choice.needed} suits it, or {action}"
    return Finding(
        id="dependency-fix-blocked",
        severity=first.counted,
        subject=f"{os.path.basename(project.path)} {first.ecosystem} {name} {version}",
        message=f"{project.path} keeps {', '.join(sorted(one.advisory.id for one in worst))}: {choice.obstacle}",
        action=action,
    )
