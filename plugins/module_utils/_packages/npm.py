# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm, asked once for all projects: what is known against packages, and which versions there are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

All packages of all projects are written into the lock of one made-up project, each under a name of its own ("p12"), so
that several versions of a package fit in. Nothing is installed. What says "clean" without having looked: `npm audit`
that is offline, or finds no lock because a setting says so (a report of zeros, exit status 0), and `npm outdated` whose
registry answers 403 or 404 (an empty object, exit status 0). So the report must tell of as many packages as were
written, the canary must be in it, and every range that was asked for must be answered.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t

from . import semver
from .looks import Advisory, Look, Pair, github_id
from .running import Ran, as_json, find_program, run, shortened

_NAME = re.compile(r"(?:@[A-Za-z0-9~][A-Za-z0-9._~-]*/)?[A-Za-z0-9._~-]+")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_SEVERITIES = {"critical": "critical", "high": "high", "moderate": "medium", "low": "low", "info": "low"}
_MOST_TITLE = 160

#: A package and the range that it may be in.
Ask = t.Tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Npm:
    """How to run it.

    :param canary: a pair that is known to be vulnerable.
    :param configuration: an `.npmrc` of the projects that are asked for; empty without one.
    """

    program: str
    canary: Pair
    timeout: float
    answer_timeout: float
    configuration: str = ""


@dataclasses.dataclass
class Versions:
    """The answers of `npm outdated`: the version that an installation would take today, and the latest one."""

    wanted: dict[Ask, tuple[str, str]] = dataclasses.field(default_factory=dict)
    missed: dict[Ask, str] = dataclasses.field(default_factory=dict)


def can_be_asked(wanted: str) -> bool:
    """Whether it is a range or a tag of the registry, and not an address or a directory."""
    return semver.is_range(wanted) or bool(_TAG.fullmatch(wanted))


def audit(pairs: t.Collection[Pair], settings: Npm, place: str) -> Look:
    """What is known against these packages; what was not looked at is told with the reason."""
    look = Look()
    if not find_program(settings.program):
        look.miss(pairs, f"{settings.program} is not installed here, or not in PATH")
        return look
    askable = []
    for name, version in sorted(pairs):
        if _NAME.fullmatch(name) and semver.parse(version) is not None:
            askable.append((name, version))
        else:
            look.miss([(name, version)], f"{version!r} of {name} is no version that npm could be asked for")
    if not askable:
        return look
    wanted = sorted({*askable, settings.canary})
    places = {f"p{number}": pair for number, pair in enumerate(wanted)}
    _write_project(
        place, settings, {alias: f"npm:{name}@{version}" for alias, (name, version) in places.items()}, places
    )
    ran = _npm(settings, place, "audit", "--package-lock-only", "--package-lock", "--audit-level=info")
    look.take(judge_audit(ran, places, askable, settings.canary))
    return look


def outdated(asks: t.Collection[Ask], settings: Npm, place: str) -> Versions:
    """Which versions an installation would take, and the latest ones. The registry's answers stay in npm's cache."""
    versions = Versions()
    if not find_program(settings.program):
        versions.missed = dict.fromkeys(asks, f"{settings.program} is not installed here, or not in PATH")
        return versions
    askable = [ask for ask in sorted(asks) if _NAME.fullmatch(ask[0]) and can_be_asked(ask[1])]
    versions.missed = {ask: f"npm cannot be asked for {ask[0]} {ask[1]!r}" for ask in asks if ask not in askable}
    if not askable:
        return versions
    places = {f"p{number}": ask for number, ask in enumerate(askable)}
    _write_project(place, settings, {alias: f"npm:{name}@{wanted or '*'}" for alias, (name, wanted) in places.items()})
    judge_outdated(_npm(settings, place, "outdated", "--long"), places, versions)
    return versions


def _write_project(
    place: str, settings: Npm, dependencies: dict[str, str], locked: t.Mapping[str, Pair] | None = None
) -> None:
    os.makedirs(place, mode=0o700)
    manifest = {"name": "steward-audit", "version": "0.0.0", "private": True, "dependencies": dependencies}
    _write_json(os.path.join(place, "package.json"), manifest)
    if locked is not None:
        packages: dict[str, t.Any] = {"": manifest}
        for alias, (name, version) in locked.items():
            packages[f"node_modules/{alias}"] = {"name": name, "version": version}
        lock = {
            "name": manifest["name"],
            "version": "0.0.0",
            "lockfileVersion": 3,
            "requires": True,
            "packages": packages,
        }
        _write_json(os.path.join(place, "package-lock.json"), lock)
    if settings.configuration:
        # The registry of the projects, and its token: by a link, so that it is copied nowhere.
        os.symlink(settings.configuration, os.path.join(place, ".npmrc"))


def _write_json(path: str, content: t.Any) -> None:
    with open(path, "w", encoding="utf-8") as handle:
        json.dump(content, handle)


def cache_of(place: str) -> str:
    """The cache of the questions asked from there: its own, so that no old answer is taken for a new one."""
    return os.path.join(os.path.dirname(place), "npm-cache")


def _npm(settings: Npm, place: str, *arguments: str) -> Ran:
    patience = str(max(1, round(settings.answer_timeout * 1000)))
    common = ["--json", "--cache", cache_of(place), "--global=false", "--loglevel=error", "--no-update-notifier"]
    common += ["--fund=false", "--ignore-scripts", "--fetch-retries=0", f"--fetch-timeout={patience}"]
    command = [settings.program, *arguments, *common]
    return run(command, place, settings.timeout, {**os.environ, "NO_COLOR": "1"})


def _error_of(report: t.Any, ran: Ran) -> str:
    """What npm said of its trouble."""
    told = report.get("error") if isinstance(report, dict) else None
    texts = [told.get("code"), told.get("summary")] if isinstance(told, dict) else []
    texts += [report.get("message")] if isinstance(report, dict) else []
    said = " ".join(str(text) for text in texts if isinstance(text, str) and text)
    return shortened(said) if said else ran.told()


def judge_audit(ran: Ran, places: t.Mapping[str, Pair], pairs: t.Collection[Pair], canary: Pair) -> Look:
    """What the report says of each pair, as far as it can be believed.

    :param places: the made-up name of each package that was written into the lock.
    """
    look = Look()
    if ran.problem:
        look.miss(pairs, ran.problem)
        return look
    report = as_json(ran)
    if not isinstance(report, dict) or report.get("auditReportVersion") != 2:
        look.miss(pairs, f"npm audit gave no report: {_error_of(report, ran)}")
        return look
    vulnerabilities = report.get("vulnerabilities")
    counted = _dig(report, "metadata", "dependencies", "total")
    if not isinstance(vulnerabilities, dict) or not isinstance(
        _dig(report, "metadata", "vulnerabilities", "total"), int
    ):
        look.miss(pairs, "npm audit gave a report without its parts")
        return look
    if counted != len(places):
        look.miss(pairs, f"npm audit looked at {counted} packages, {len(places)} were in the lock")
        return look
    found, problem = _read_vulnerabilities(vulnerabilities, places)
    if problem:
        look.miss(pairs, problem)
        return look
    if not found.get(canary):
        why = "so it did not look (is npm set offline?), or its advisories are not whole"
        look.miss(pairs, f"npm audit did not find the known vulnerability of {canary[0]} {canary[1]}: {why}")
        return look
    for pair in pairs:
        look.found[pair] = found.get(pair, [])
    return look


def _dig(table: t.Any, *names: str) -> t.Any:
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    return table


def _read_vulnerabilities(
    vulnerabilities: dict[str, t.Any], places: t.Mapping[str, Pair]
) -> tuple[dict[Pair, list[Advisory]], str]:
    """What is known against each pair; or why the report cannot be read."""
    found: dict[Pair, list[Advisory]] = {}
    for name, entry in vulnerabilities.items():
        vias = [via for via in _dig(entry, "via") or [] if isinstance(via, dict)]
        nodes = _dig(entry, "nodes")
        if not vias or not isinstance(nodes, list):
            return {}, f"npm audit tells of {name} without an advisory, or without saying where"
        for node in nodes:
            pair = places.get(str(node).rpartition("node_modules/")[2])
            if pair is None:
                return {}, f"npm audit tells of {node}, which was not asked for"
            # The report says which versions are vulnerable, and which advisories there are, but not which is for which.
            fitting = [
                via for via in vias if semver.satisfies(pair[1], str(via.get("range") or "*"), True) is not False
            ]
            found[pair] = [_advisory(via) for via in fitting or vias]
    return found, ""


def _advisory(via: dict[str, t.Any]) -> Advisory:
    url = str(via.get("url") or "")
    names = [github_id(url), f"npm:{via['source']}" if via.get("source") else ""]
    ids = tuple(name for name in names if name) or (url or "npm:unnamed",)
    severity = _SEVERITIES.get(str(via.get("severity") or "").lower(), "")
    title = " ".join(str(via.get("title") or "").split())
    return Advisory(ids, severity, None, title[:_MOST_TITLE], url, vulnerable=str(via.get("range") or "*"))


def judge_outdated(ran: Ran, places: t.Mapping[str, Ask], versions: Versions) -> None:
    """Which version would be taken for each range; what is not in the answer was not looked up."""
    if ran.problem:
        versions.missed.update(dict.fromkeys(places.values(), ran.problem))
        return
    report = as_json(ran)
    error = report.get("error") if isinstance(report, dict) else None
    if not isinstance(report, dict) or (isinstance(error, dict) and "wanted" not in error):
        reason = f"npm outdated gave no answer: {_error_of(report, ran)}"
        versions.missed.update(dict.fromkeys(places.values(), reason))
        return
    for name, entry in report.items():
        ask = places.get(name.partition(":")[0])
        wanted, latest = _dig(entry, "wanted"), _dig(entry, "latest")
        if ask is not None and isinstance(wanted, str) and isinstance(latest, str):
            versions.wanted[ask] = (wanted, latest)
    for ask in places.values():
        if ask not in versions.wanted:
            reason = f"the registry does not give {ask[0]} to npm, or no version of it is in {ask[1] or '*'!r}"
            versions.missed[ask] = reason
