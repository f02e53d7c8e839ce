# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which newer versions there are: installed, wanted by the project's own range, and latest, with what each would mean.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Only of what a project itself asks for: what others bring comes with them.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import typing as t

from . import changes, lanes, pep440, semver
from .arguments import Settings
from .changes import NPM, PYPI
from .index import Index, IndexUnknown, pip_settings
from .judging import fixed_by
from .looking import Seen, direct_asks, group_of
from .looks import Advisory, Listing
from .model import Project, Source
from .running import run
from .web import Http

Answer = t.Dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A package that a project asks for, and what could be had instead."""

    ecosystem: str
    package: str
    installed: str
    wanted: str
    latest: str
    language: str


class Updates:
    """Collects them over all projects: the same step in many projects is one entry."""

    def __init__(self, settings: Settings, now: datetime.datetime, http: Http) -> None:
        self._settings = settings
        self._now = now
        self._http = http
        self._advisories: dict[tuple[str, str, str], list[Advisory]] = {}
        self._entries: dict[_Candidate, tuple[Listing, list[str]]] = {}

    def collect(self, seen: Seen) -> list[Answer]:
        """All updates there are; where nobody could be asked, the project's problems say so."""
        for (ecosystem, _configured), one in seen.looks.items():
            for (name, version), advisories in one.found.items():
                self._advisories.setdefault((ecosystem, name, version), []).extend(advisories)
        if PYPI in self._settings.places.ecosystems:
            self._collect_pypi(seen)
        if NPM in self._settings.places.ecosystems:
            self._collect_npm(seen)
        pypi = [(listing, one.latest) for one, (listing, _reason) in self._entries.items() if one.ecosystem == PYPI]
        links = iter(Index(self._http, self._settings.jobs).links(pypi))
        found = []
        for candidate, (listing, projects) in self._entries.items():
            told = next(links) if candidate.ecosystem == PYPI else listing.links
            found.append(self._told(candidate, listing, sorted(projects), told))
        return sorted(found, key=lambda one: (one["ecosystem"], one["package"], one["installed"]))

    def _add(self, project: Project, candidate: _Candidate, listing: Listing) -> None:
        targets = {candidate.wanted, candidate.latest} - {""}
        classes = {changes.update_class(candidate.ecosystem, candidate.installed, target) for target in targets}
        if classes <= {"none", "downgrade"}:
            return
        projects = self._entries.setdefault(candidate, (listing, []))[1]
        if project.path not in projects:
            projects.append(project.path)

    def _collect_pypi(self, seen: Seen) -> None:
        planned = [(project, source) for project, source in seen.sources(PYPI) if _tells_updates(project, source)]
        asked = [(project, source) for project, source in planned if any(_direct(source))]
        _miss([one for one in asked if one[1].offline], "newer versions were not looked up: it says --no-index")
        asked = [one for one in asked if not one[1].offline]
        if not asked:
            return
        try:
            pip = pip_settings(self._settings.python, self._settings.timeout)
        except IndexUnknown as exc:
            _miss(asked, str(exc))
            return
        if pip.offline:
            _miss(asked, f"newer versions were not looked up: pip is set not to ask an index ({pip.offline})")
            return
        try:
            http = Http(self._settings.answer_timeout, pip.certificates)
        except OSError as exc:
            _miss(asked, f"newer versions were not looked up: the certificates that pip is set to: {exc.strerror}")
            return
        index = Index(http, self._settings.jobs)
        asks = {
            (indexes_of(source, pip.indexes), name)
            for _project, source in asked
            for name, _version, _spec in _direct(source)
        }
        index.look_up(sorted(asks))
        for project, source in asked:
            for name, version, specifier in _direct(source):
                listing = index.listing(indexes_of(source, pip.indexes), name)
                if listing.problem:
                    source.problems.append(f"newer versions of {name} could not be looked up: {listing.problem}")
                    continue
                self._add(project, _candidate_pypi(project, source, (name, version, specifier), listing), listing)

    def _collect_npm(self, seen: Seen) -> None:
        language = ""
        for project, source in seen.sources(NPM):
            if not _tells_updates(project, source):
                continue
            versions = seen.versions.get(group_of(source))
            listings = seen.listings.get(group_of(source), {})
            language = language or node_version(self._settings.timeout)
            for (name, wanted), key in zip(direct_asks(source), _direct_keys(source)):
                if versions is None or (name, wanted) not in versions.wanted:
                    reason = (
                        versions.missed.get((name, wanted), "npm was not asked") if versions else "npm was not asked"
                    )
                    source.problems.append(f"newer versions of {name} could not be looked up: {reason}")
                    continue
                target, latest = versions.wanted[(name, wanted)]
                installed = _installed(project, source, name) or source.nodes[key].version
                listing = listings.get(name, Listing())
                # npm passes over what this Node cannot run; that the latest one wants another Node should be known.
                candidate = _Candidate(NPM, name, installed, target, listing.latest or latest, language)
                self._add(project, candidate, listing)

    def _told(self, one: _Candidate, listing: Listing, projects: list[str], links: dict[str, str]) -> Answer:
        installed = listing.releases.get(one.installed)
        targets = [
            self._target(one, listing, version) for version in dict.fromkeys((one.wanted, one.latest)) if version
        ]
        return {
            "ecosystem": one.ecosystem,
            "package": one.package,
            "installed": one.installed,
            "wanted": one.wanted,
            "latest": one.latest,
            "class": changes.update_class(one.ecosystem, one.installed, one.latest or one.wanted),
            "needs": installed.needs if installed else "",
            "targets": [target for target in targets if target["class"] not in ("none", "downgrade")],
            "links": links,
            "projects": projects,
        }

    def _target(self, one: _Candidate, listing: Listing, version: str) -> Answer:
        release = listing.releases.get(version)
        published = release.published if release else ""
        needs = release.needs if release else ""
        known = self._advisories.get((one.ecosystem, one.package, one.installed), ())
        fixes = sorted(set(fixed_by(one.ecosystem, known, version)))
        held = lanes.held_until(published, self._now, self._settings.cooldown, bool(fixes))
        return {
            "version": version,
            "class": changes.update_class(one.ecosystem, one.installed, version),
            "published": published,
            "ready": held is None,
            "held_until": held or "",
            "fixes": fixes,
            "needs": needs,
            "needs_met": needs_met(one.ecosystem, one.language, needs),
        }


def needs_met(ecosystem: str, language: str, needs: str) -> bool | None:
    """Whether the language that the project has is one that the release wants; None where that is not known."""
    if not needs:
        return True
    if not language:
        return None
    return pep440.satisfies(language, needs) if ecosystem == PYPI else semver.satisfies(language, needs)


def node_version(timeout: float) -> str:
    ran = run(["node", "--version"], "/", timeout, dict(os.environ))
    return ran.output.strip().lstrip("v") if not ran.problem and ran.status == 0 else ""


def _tells_updates(project: Project, source: Source) -> bool:
    """An environment tells them only where no lock and no file does."""
    if source.kind != "environment":
        return True
    return not any(other.ecosystem == source.ecosystem and other.kind != "environment" for other in project.sources)


def _direct_keys(source: Source) -> t.Iterator[str]:
    for key in source.direct:
        node = source.nodes.get(key)
        if node is not None and node.version and not node.own:
            yield key


def _direct(source: Source) -> t.Iterator[tuple[str, str, str]]:
    """Name, version and range of what the project itself asks for."""
    return ((source.nodes[key].name, source.nodes[key].version, source.direct[key]) for key in _direct_keys(source))


def _installed(project: Project, source: Source, name: str) -> str:
    """The version in the environment of the project; empty without one, or where it is not the only one."""
    there = {
        node.version
        for other in project.sources
        if other.kind == "environment" and other.ecosystem == source.ecosystem
        for node in (other.nodes[key] for key in other.direct if key in other.nodes)
        if node.name == name
    }
    if source.ecosystem == PYPI and not there:
        environments = [other for other in project.sources if other.kind == "environment" and other.ecosystem == PYPI]
        there = {node.version for other in environments for node in other.named(name)}
    return there.pop() if len(there) == 1 else ""


def _candidate_pypi(project: Project, source: Source, asked: tuple[str, str, str], listing: Listing) -> _Candidate:
    name, locked, specifier = asked
    language = next((one.language for one in project.sources if one.kind == "environment" and one.language), "")
    language = language or source.language
    installed = _installed(project, source, name) or locked
    pre = pep440.is_pre_release(installed)
    usable = [
        release.version
        for release in listing.releases.values()
        if not release.withdrawn and needs_met(PYPI, language, release.needs) is not False
    ]
    latest = pep440.highest(usable, "", pre) or ""
    # What the range allows; a pin allows itself alone, whether the index still has it or not.
    wanted = pep440.highest(usable, specifier, pre) or locked
    return _Candidate(PYPI, name, installed, wanted, latest, language)


def indexes_of(source: Source, of_pip: tuple[str, ...]) -> tuple[str, ...]:
    """Where pip would look: the file's own index instead of the set one, and what either adds."""
    if not source.indexes:
        return of_pip
    main, *extra = source.indexes
    return tuple(dict.fromkeys((main or of_pip[0], *of_pip[1:], *extra)))


def _miss(asked: t.Iterable[tuple[Project, Source]], reason: str) -> None:
    for _project, source in asked:
        source.problems.append(reason)
