# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit comes to: vulnerabilities with their way to the root and their clock, drift, and the verdict.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core import accepted as accept
from .._core.clock import write_time
from .._core.result import Finding
from . import changes, lanes, semver
from .arguments import Settings
from .changes import NPM
from .looking import Seen, askable, group_of
from .looks import Advisory, Listing, Pair
from .model import Project, Source
from .seen import Memory

Answer = t.Dict[str, t.Any]
_MOST_NAMED = 3


@dataclasses.dataclass
class Place:
    """A vulnerability in one project."""

    project: str
    files: list[str]
    paths: list[list[str]]
    due: lanes.Due
    accepted: accept.Entry | None = None
    expired: accept.Entry | None = None

    def told(self) -> Answer:
        return {
            "path": self.project,
            "files": self.files,
            "paths": self.paths,
            "first_seen": write_time(self.due.first_seen),
            "due": write_time(self.due.due),
            "overdue_seconds": round(self.due.overdue_seconds),
            "accepted_until": str(self.accepted.until) if self.accepted else "",
        }


@dataclasses.dataclass
class Vulnerability:
    """One advisory against one version, in all the projects that have it."""

    ecosystem: str
    pair: Pair
    advisory: Advisory
    counted: str
    fix: str | None
    places: list[Place] = dataclasses.field(default_factory=list)

    @property
    def open_places(self) -> list[Place]:
        return [place for place in self.places if place.accepted is None]

    @property
    def fix_class(self) -> str:
        return changes.update_class(self.ecosystem, self.pair[1], self.fix) if self.fix else ""

    def told(self) -> Answer:
        return {
            "ecosystem": self.ecosystem,
            "package": self.pair[0],
            "version": self.pair[1],
            "id": self.advisory.id,
            "aliases": list(self.advisory.ids),
            "severity": self.advisory.severity or "unknown",
            "counted_as": self.counted,
            "title": self.advisory.title,
            "url": self.advisory.url,
            "published": self.advisory.published,
            "fix_versions": list(self.advisory.fixes or ()),
            "fix": self.fix or "",
            "fix_class": self.fix_class,
            "projects": [place.told() for place in self.places],
        }

    def finding(self) -> Finding:
        places = self.open_places
        worst = min(places, key=lambda place: place.due.due)
        name, version = self.pair
        where = named([place.project for place in places])
        severity = self.advisory.severity or f"of unknown severity, which counts as {self.counted}"
        parts = [f"{self.advisory.title or 'known vulnerability'} ({severity})", f"in {where}", worst.due.told()]
        if worst.paths:
            parts.append("by " + " > ".join(worst.paths[0]))
        if worst.expired:
            parts.append(f"it was accepted until {worst.expired.until}")
        return Finding(
            id="dependency-vulnerable",
            severity=self.counted,
            subject=f"{self.ecosystem} {name} {version} {self.advisory.id}",
            message="; ".join(parts),
            value=round(worst.due.overdue_seconds),
            threshold=worst.due.lane.text,
            action=self._action(worst),
        )

    def _action(self, worst: Place) -> str:
        if self.fix is None:
            step = "find out whether there is a version without it, which nobody could be asked for"
        elif not self.fix:
            step = "there is no version without it: mitigate it, or accept it for a while under an owner's name"
        elif self.fix_class == "downgrade":
            step = f"only an older version is without it ({self.fix}): mitigate it, or accept it under an owner's name"
        elif self.fix_class in ("major", "minor-0x"):
            step = f"update to {self.fix}, which may break what uses it ({self.fix_class}): on a branch, with all tests"
        else:
            step = f"update to {self.fix} ({self.fix_class})"
        return f"emergency change: {step}" if worst.due.lane.seconds == 0 else step


def named(paths: t.Sequence[str]) -> str:
    if len(paths) == 1:
        return paths[0]
    shown = ", ".join(paths[:_MOST_NAMED])
    return f"{len(paths)} projects ({shown}{', ...' if len(paths) > _MOST_NAMED else ''})"


class Vulnerabilities:
    """Collects them over all projects."""

    def __init__(self, settings: Settings, memory: Memory, now: datetime.datetime) -> None:
        self._settings = settings
        self._memory = memory
        self._now = now
        self._found: dict[tuple[str, Pair, str], Vulnerability] = {}

    def collect(self, seen: Seen) -> list[Vulnerability]:
        for project in seen.projects:
            for ecosystem in self._settings.places.ecosystems:
                self._collect_project(project, ecosystem, seen)
        order = {severity: number for number, severity in enumerate(lanes.SEVERITIES)}
        return sorted(
            self._found.values(), key=lambda one: (order[one.counted], one.ecosystem, one.pair, one.advisory.id)
        )

    def _collect_project(self, project: Project, ecosystem: str, seen: Seen) -> None:
        """The same version in a lock and in the environment beside it is one place."""
        where: dict[Pair, list[Source]] = {}
        for source in project.sources:
            if source.ecosystem == ecosystem:
                for node in askable(source):
                    sources = where.setdefault((node.name, node.version), [])
                    if source not in sources:
                        sources.append(source)
        for pair, sources in where.items():
            advisories: dict[tuple[str, ...], Advisory] = {}
            listing: Listing | None = None
            for source in sources:
                group = group_of(source)
                known = seen.looks[group].found.get(pair, [])
                advisories.update({advisory.ids: advisory for advisory in known})
                listing = listing or seen.listings.get(group, {}).get(pair[0])
            for advisory in advisories.values():
                self._add(project, ecosystem, pair, advisory, sources, listing)

    def _add(
        self,
        project: Project,
        ecosystem: str,
        pair: Pair,
        advisory: Advisory,
        sources: list[Source],
        listing: Listing | None,
    ) -> None:
        first = self._memory.first_seen(ecosystem, project.path, pair[0], advisory.ids, self._now)
        counted, due = lanes.judge(advisory.severity, first, self._now, self._settings.lanes)
        key = (ecosystem, pair, advisory.id)
        if key not in self._found:
            fixed = with_fixes(ecosystem, pair, advisory, listing)
            fix = None if fixed.fixes is None else changes.lowest_fix(ecosystem, pair[1], fixed.fixes) or ""
            self._found[key] = Vulnerability(ecosystem, pair, fixed, counted, fix)
        subject = accept.Subject(advisory.ids, ecosystem, pair[0], project.path, self._settings.host)
        holding, expired = accept.acceptance(self._settings.accepted, subject, self._now.date())
        paths: list[list[str]] = []
        for source in sources:
            keys = {node.key for node in source.nodes.values() if (node.name, node.version) == pair}
            paths += [way for way in source.paths(keys, self._settings.paths) if way not in paths]
        files = [source.file for source in sources]
        self._found[key].places.append(Place(project.path, files, paths[: self._settings.paths], due, holding, expired))


def with_fixes(ecosystem: str, pair: Pair, advisory: Advisory, listing: Listing | None) -> Advisory:
    """The advisory with the nearest version that does not have it, where the scanner told a range only."""
    if advisory.fixes is not None or ecosystem != NPM or listing is None or not listing.releases:
        return advisory
    without = [
        version
        for version, release in listing.releases.items()
        if not release.withdrawn
        and (semver.is_pre_release(pair[1]) or not semver.is_pre_release(version))
        and semver.satisfies(version, advisory.vulnerable, pre_releases=True) is False
    ]
    nearest = changes.lowest_fix(ecosystem, pair[1], without)
    return dataclasses.replace(advisory, fixes=(nearest,) if nearest else ())


def fixed_by(ecosystem: str, advisories: t.Iterable[Advisory], version: str) -> list[str]:
    """Which of these vulnerabilities the version no longer has, as far as that is known."""
    key = changes.sort_key(ecosystem, version)
    found = []
    for advisory in advisories:
        if ecosystem == NPM and advisory.vulnerable:
            is_without = semver.satisfies(version, advisory.vulnerable, pre_releases=True) is False
        else:
            is_without = key is not None and _is_behind_a_fix(ecosystem, key, advisory.fixes or ())
        if is_without:
            found.append(advisory.id)
    return sorted(found)


def _is_behind_a_fix(ecosystem: str, key: t.Any, fixes: t.Iterable[str]) -> bool:
    """Whether a fix is not newer. With one for each series (5.0.9 and 5.1.1), it has to be that of its own series."""
    known = [other for other in (changes.sort_key(ecosystem, fix) for fix in fixes) if other is not None]
    minor, major = changes.minor_series(ecosystem, key), changes.series(ecosystem, key)
    own = [other for other in known if changes.minor_series(ecosystem, other) == minor]
    own = own or [other for other in known if changes.series(ecosystem, other) == major]
    return any(other <= key for other in own or known)


def differences(project: Project) -> list[Finding]:
    """Where what is installed is not what is locked, and where a lock is older than what asks for it."""
    findings = []
    for source in project.sources:
        if source.stale:
            message = f"{source.file} does not have what the project asks for: {', '.join(source.stale[:10])}"
            action = "resolve it again, test it, commit it"
            findings.append(
                Finding("dependency-lock-stale", "medium", f"{project.path} {source.file}", message, action=action)
            )
    for environment in project.sources:
        if environment.kind != "environment":
            continue
        others = drifted(project, environment)
        if others:
            message = f"{environment.file} has other versions than its lock: {', '.join(others[:10])}"
            action = "install from the lock, or find out who installed something else"
            subject = f"{project.path} {environment.file}"
            findings.append(Finding("dependency-drift", "medium", subject, message, len(others), action=action))
    return findings


def drifted(project: Project, environment: Source) -> list[str]:
    """What the environment has in other versions than the locks and files of the project."""
    found: dict[str, None] = {}
    for other in project.sources:
        if other.kind == "environment" or other.ecosystem != environment.ecosystem:
            continue
        for node in askable(other):
            there = [environment.nodes[node.key]] if node.key in environment.nodes else environment.named(node.name)
            if other.ecosystem == NPM:
                there = [environment.nodes[node.key]] if node.key in environment.nodes else []
            wanted = {one.version for one in other.named(node.name)}
            for one in there:
                if not any(changes.same_version(other.ecosystem, one.version, version) for version in wanted):
                    found[f"{node.name} {one.version} instead of {node.version}"] = None
    return list(found)
