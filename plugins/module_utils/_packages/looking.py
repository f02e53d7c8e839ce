# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projects are read, each package of them all is asked for once, and the answers go back to the projects.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import fnmatch
import itertools
import os
import typing as t

from . import npm, osv, packuments, pep440, pip_audit, resolving
from .arguments import Settings
from .changes import NPM, PYPI
from .discover import read_project
from .freshness import age_of_npm, age_of_osv, judge_age, judge_stamp
from .lanes import SEVERITIES
from .looks import Advisory, Listing, Look, Pair
from .model import Node, Project, Source
from .running import find_program
from .web import Http, NoAnswer

if t.TYPE_CHECKING:
    import datetime

#: An ecosystem and which settings of it: projects with an `.npmrc` of their own may ask another registry.
Group = t.Tuple[str, str]


@dataclasses.dataclass
class Seen:
    """What there is, and what is known of it."""

    projects: list[Project]
    looks: dict[Group, Look] = dataclasses.field(default_factory=dict)
    listings: dict[Group, dict[str, Listing]] = dataclasses.field(default_factory=dict)
    versions: dict[Group, npm.Versions] = dataclasses.field(default_factory=dict)
    unjoined: dict[str, str] = dataclasses.field(default_factory=dict)
    by_osv: set[Group] = dataclasses.field(default_factory=set)

    def sources(self, ecosystem: str) -> t.Iterator[tuple[Project, Source]]:
        for project in self.projects:
            for source in project.sources:
                if source.ecosystem == ecosystem:
                    yield project, source


def group_of(source: Source) -> Group:
    return source.ecosystem, source.configured


def askable(source: Source) -> t.Iterator[Node]:
    """The packages that somebody else may know something of."""
    return (node for node in source.nodes.values() if node.version and not node.own)


def look(settings: Settings, scratch: str, now: datetime.datetime, http: Http) -> Seen:
    """Read the projects and ask the scanners; what could not be looked at is among the problems of its project."""
    seen = Seen(_read(settings, scratch))
    asked: dict[Group, set[Pair]] = {}
    configurations: dict[Group, str] = {}
    for ecosystem in settings.places.ecosystems:
        for _project, source in seen.sources(ecosystem):
            group = group_of(source)
            asked.setdefault(group, set()).update((node.name, node.version) for node in askable(source))
            configurations.setdefault(group, source.configuration)
    with concurrent.futures.ThreadPoolExecutor(max(1, min(settings.jobs, len(asked)))) as pool:
        futures = {}
        for number, (group, pairs) in enumerate(sorted(asked.items())):
            place = os.path.join(scratch, f"group-{number}")
            os.makedirs(place, mode=0o700)
            one = _ask_pypi if group[0] == PYPI else _ask_npm
            futures[group] = pool.submit(one, settings, seen, group, pairs, configurations[group], place)
        for group, future in futures.items():
            seen.looks[group] = future.result()
    _join(settings, seen, http)
    _judge_ages(settings, seen, now, http)
    _tell(seen)
    return seen


def _read(settings: Settings, scratch: str) -> list[Project]:
    with concurrent.futures.ThreadPoolExecutor(settings.jobs) as pool:
        projects = list(pool.map(lambda path: read_project(path, settings.places), settings.projects))
    for project in projects:
        for source in project.sources:
            for node in source.nodes.values():
                if any(fnmatch.fnmatchcase(node.name, pattern) for pattern in settings.own_packages):
                    node.own, node.problem = True, ""
    _resolve(settings, projects, scratch)
    for project in projects:
        resolving.settle(project)
        for source in project.sources:
            source.problems += [node.problem for node in source.nodes.values() if node.problem]
    return projects


def _resolve(settings: Settings, projects: list[Project], scratch: str) -> None:
    """Have pip resolve what is open; the same file in many projects is one question."""
    waiting: dict[resolving.Question, list[tuple[Project, Source]]] = {}
    for project in projects:
        for source in resolving.open_sources(project):
            waiting.setdefault(resolving.question(source), []).append((project, source))
    numbers = itertools.count()
    timeouts = (settings.timeout, settings.answer_timeout)
    with concurrent.futures.ThreadPoolExecutor(settings.jobs) as pool:
        futures = {}
        for key, places in waiting.items():
            place = os.path.join(scratch, f"resolve-{next(numbers)}")
            futures[key] = pool.submit(resolving.resolve, places[0][1], settings.python, timeouts, place)
    for key, future in futures.items():
        answer = future.result()
        for project, source in waiting[key]:
            if isinstance(answer, str):
                source.problems.append(answer)
                continue
            resolved = dataclasses.replace(
                answer, project=source.project, file=source.file, problems=list(source.problems)
            )
            project.sources[project.sources.index(source)] = resolved


def _ask_pypi(
    settings: Settings, _seen: Seen, _group: Group, pairs: set[Pair], _configuration: str, place: str
) -> Look:
    how = pip_audit.PipAudit(
        program=settings.pip_audit,
        service=settings.service,
        osv_url=settings.osv_url,
        canary=settings.canaries[PYPI],
        timeout=settings.timeout,
        answer_timeout=settings.answer_timeout,
        jobs=settings.jobs,
    )
    return pip_audit.audit(pairs, how, place)


def _ask_npm(settings: Settings, seen: Seen, group: Group, pairs: set[Pair], configuration: str, place: str) -> Look:
    how = npm.Npm(settings.npm, settings.canaries[NPM], settings.timeout, settings.answer_timeout, configuration)
    if settings.service == "osv" and not find_program(settings.npm):
        seen.by_osv.add(group)
        return _ask_osv(settings, pairs)
    audited = npm.audit(pairs, how, os.path.join(place, "audit"))
    asks = {(name, "*") for (name, _version), advisories in audited.found.items() if advisories}
    if settings.updates:
        asks |= {
            ask for _project, source in seen.sources(NPM) if group_of(source) == group for ask in direct_asks(source)
        }
    if asks:
        seen.versions[group] = npm.outdated(asks, how, os.path.join(place, "outdated"))
    listings, registries = packuments.read_listings(npm.cache_of(os.path.join(place, "audit")))
    seen.listings[group] = listings
    registry = registries.get(how.canary[0])
    if registry and settings.max_age:
        http = Http(settings.answer_timeout)
        told = judge_age("the registry's advisories", age_of_npm(http, registry, how.canary), settings.max_age)
        for pair in audited.found if told else ():
            audited.missed.setdefault(pair, told)
    return audited


def _ask_osv(settings: Settings, pairs: set[Pair]) -> Look:
    """Where npm is not there, as on a host with pnpm or Yarn alone: OSV has the same advisories."""
    found = Look()
    if not pairs:
        return found
    service = osv.Osv(Http(settings.answer_timeout), settings.osv_url, settings.jobs)
    try:
        names = service.names(sorted(pairs), settings.canaries[NPM], osv.NODE)
    except NoAnswer as exc:
        found.miss(
            pairs, f"{settings.npm} is not installed here, or not in PATH, and OSV cannot be asked instead: {exc}"
        )
        return found
    for pair in pairs:
        found.found[pair] = [Advisory((name,)) for name in names[pair]]
    return found


def direct_asks(source: Source) -> t.Iterator[npm.Ask]:
    """What the project itself asks npm for: each package with its range, without the name that an alias gives it."""
    for key, wanted in source.direct.items():
        node = source.nodes.get(key)
        if node is not None and node.version and not node.own:
            bare = wanted.rpartition("@")[2] if wanted.startswith("npm:") and "@" in wanted[5:] else wanted
            yield node.name, bare or "*"


def _join(settings: Settings, seen: Seen, http: Http) -> None:
    """Severities and other names from OSV. A severity that only it has must be known; another name need not."""
    service = osv.Osv(http, settings.osv_url, settings.jobs)
    if settings.service == "osv":
        for group, one in seen.looks.items():
            if group[0] == PYPI:
                _cross_check(one, service, settings.canaries[PYPI])
    found = {
        advisory.ids: advisory for one in seen.looks.values() for known in one.found.values() for advisory in known
    }
    joined, seen.unjoined = service.join(found.values())
    for one in seen.looks.values():
        for pair, advisories in list(one.found.items()):
            one.found[pair] = _merged(_for_package(joined[advisory.ids], pair) for advisory in advisories)
            _miss_severity(one, pair, advisories, seen.unjoined)


def _cross_check(one: Look, service: osv.Osv, canary: Pair) -> None:
    """Advisories that pip-audit left out are added; where that cannot be known, the look was not whole."""
    pairs = sorted(one.found)
    try:
        known = service.names(pairs, canary) if pairs else {}
    except NoAnswer as exc:
        for pair in pairs:
            one.missed.setdefault(pair, f"OSV does not confirm what pip-audit found: {exc}")
        return
    for pair, names in known.items():
        told = {name for advisory in one.found[pair] for name in advisory.ids}
        one.found[pair] += [Advisory((name,)) for name in names if name not in told]


def _for_package(advisory: Advisory | None, pair: Pair) -> Advisory | None:
    """With the fixes of this package, where only its name was known before."""
    if advisory is None or not advisory.fixes_of:
        return advisory
    names = {pep440.canonical(name): fixes for name, fixes in advisory.fixes_of}
    return dataclasses.replace(advisory, fixes=names.get(pep440.canonical(pair[0]), ()), fixes_of=())


def _merged(advisories: t.Iterable[Advisory | None]) -> list[Advisory]:
    """Without those that were withdrawn, and each only once, whatever it is called."""
    kept: list[Advisory] = []
    for advisory in advisories:
        if advisory is None:
            continue
        twin = next((other for other in kept if set(other.ids) & set(advisory.ids)), None)
        if twin is None:
            kept.append(advisory)
            continue
        ids = tuple(dict.fromkeys((*twin.ids, *advisory.ids)))
        severity = max(twin.severity, advisory.severity, key=("", *reversed(SEVERITIES)).index)
        fixes = twin.fixes or advisory.fixes
        kept[kept.index(twin)] = dataclasses.replace(twin, ids=ids, severity=severity, fixes=fixes)
    return kept


def _miss_severity(one: Look, pair: Pair, advisories: list[Advisory], unjoined: dict[str, str]) -> None:
    for advisory in advisories:
        # npm tells a severity itself.
        if not advisory.severity and advisory.id in unjoined:
            told = f"how severe {advisory.id} of {pair[0]} is could not be looked up: {unjoined[advisory.id]}"
            # It stays among what was found: it counts as severe until somebody knows better.
            one.missed.setdefault(pair, told)


def _judge_ages(settings: Settings, seen: Seen, now: datetime.datetime, http: Http) -> None:
    for group, one in seen.looks.items():
        stamp = settings.stamps.get(group[0])
        told = judge_stamp(http, stamp, settings.max_age, now) if stamp else ""
        # A mirror may be new, and the cache before it old.
        is_asked = settings.service == "osv" and (group[0] == PYPI or group in seen.by_osv)
        if not told and is_asked and settings.max_age and one.found:
            age = age_of_osv(http, settings.osv_url or osv.PUBLIC, settings.canaries[PYPI])
            told = judge_age("the advisories of OSV", age, settings.max_age)
        if told:
            for pair in one.found:
                one.missed.setdefault(pair, told)


def _tell(seen: Seen) -> None:
    """Give each project the reasons for which its packages were not looked at."""
    for project in seen.projects:
        for source in project.sources:
            missed = seen.looks[group_of(source)].missed if group_of(source) in seen.looks else {}
            reasons = [
                missed[(node.name, node.version)] for node in askable(source) if (node.name, node.version) in missed
            ]
            source.problems += dict.fromkeys(reasons)
