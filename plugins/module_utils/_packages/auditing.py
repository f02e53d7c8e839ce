# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of dependencies from the first question to the verdict.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import shutil
import tempfile
import time
import typing as t

from .._core.accepted import judge_entries
from .._core.locks import Busy, left_in, own_place
from .._core.result import Finding, Result
from . import judging, lanes
from .arguments import Settings
from .judging import Answer, Vulnerability
from .looking import Seen, askable, look
from .model import Project
from .seen import Memory
from .updating import Updates
from .web import Http

_PATIENCE = 60
_MOST_REASONS = 5


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    projects: list[Answer] = dataclasses.field(default_factory=list)
    vulnerabilities: list[Answer] = dataclasses.field(default_factory=list)
    updates: list[Answer] = dataclasses.field(default_factory=list)

    def beside(self) -> Answer:
        return dataclasses.asdict(self)


def audit(settings: Settings, check: bool, now: datetime.datetime, outcome: Outcome) -> Result:
    """Look at all projects and judge what was found; whatever goes wrong is in the result."""
    began = time.monotonic()
    try:
        with _scratch(settings, check) as scratch:
            http = Http(settings.answer_timeout)
            seen = look(settings, scratch, now, http)
            updates = Updates(settings, now, http).collect(seen) if settings.updates else []
            memory = Memory(settings.state_file)
            return _judge(settings, seen, updates, memory, now, outcome, began)
    except Busy as exc:
        return Result("unknown", "the dependencies were not judged", str(exc), of=len(settings.projects))
    except OSError as exc:
        told = f"{exc.strerror}: {exc.filename}" if exc.filename else str(exc)
        return Result("failed", "the dependencies were not judged", told, of=len(settings.projects))


@contextlib.contextmanager
def _scratch(settings: Settings, check: bool) -> t.Iterator[str]:
    """A directory for the questions to the scanners. Who has it is alone at work; what a killed run left is removed.

    :raises Busy: when another audit of this account does not end.
    """
    if check:
        with tempfile.TemporaryDirectory(prefix="steward-audit-") as scratch:
            yield scratch
        return
    state = os.path.dirname(settings.state_file)
    os.makedirs(state, mode=0o700, exist_ok=True)
    with own_place(os.path.join(state, "audit"), _PATIENCE) as scratch:
        for path in left_in(scratch):
            shutil.rmtree(path)
        yield scratch


def _judge(
    settings: Settings,
    seen: Seen,
    updates: list[Answer],
    memory: Memory,
    now: datetime.datetime,
    outcome: Outcome,
    began: float,
) -> Result:
    vulnerabilities = judging.Vulnerabilities(settings, memory, now).collect(seen)
    whole = [project for project in seen.projects if not project.all_problems()]
    findings = [one.finding() for one in vulnerabilities if one.open_places]
    findings += _damage(memory)
    is_whole = len(whole) == len(seen.projects)
    ecosystems = settings.places.ecosystems
    findings += judge_entries(settings.accepted, now.date(), ecosystems, settings.host, is_whole)
    findings += [finding for project in seen.projects for finding in judging.differences(project)]
    outcome.vulnerabilities = [one.told() for one in vulnerabilities]
    outcome.updates = updates
    outcome.projects = [_told(project, vulnerabilities, updates) for project in seen.projects]
    figures = _figures(seen, vulnerabilities, updates, time.monotonic() - began)
    summary = _summary(len(whole), len(seen.projects), figures)
    if is_whole:
        verdict, reason = ("findings" if findings else "ok"), ""
    else:
        verdict, reason = "unknown", _reason(seen.projects)
    return Result(verdict, summary, reason, tuple(findings), figures, len(whole), len(seen.projects))


def _damage(memory: Memory) -> list[Finding]:
    if not memory.damage:
        return []
    message = f"{memory.damage}: when the vulnerabilities were first seen is not known, their clocks begin now"
    action = "it is kept as .damaged beside it; look up in the records since when they are known"
    return [Finding("dependency-memory-damaged", "medium", memory.path, message, action=action)]


def _told(project: Project, vulnerabilities: t.Sequence[Vulnerability], updates: t.Sequence[Answer]) -> Answer:
    problems = list(dict.fromkeys(project.all_problems()))
    places = [place for one in vulnerabilities for place in one.places if place.project == project.path]
    return {
        "path": project.path,
        "files": [source.file for source in project.sources],
        "packages": len({(s.ecosystem, node.name, node.version) for s in project.sources for node in askable(s)}),
        "looked_at": not problems,
        "problems": problems,
        "vulnerabilities": sum(place.accepted is None for place in places),
        "accepted": sum(place.accepted is not None for place in places),
        "updates": sum(project.path in one["projects"] for one in updates),
    }


def _figures(
    seen: Seen, vulnerabilities: t.Sequence[Vulnerability], updates: t.Sequence[Answer], seconds: float
) -> dict[str, float]:
    still_open = [one for one in vulnerabilities if one.open_places]
    figures: dict[str, float] = {
        "projects": len(seen.projects),
        "packages": sum(len({*one.found, *one.missed}) for one in seen.looks.values()),
        "packages_looked_at": sum(len(set(one.found) - set(one.missed)) for one in seen.looks.values()),
        "vulnerabilities": len(still_open),
        "accepted": len(vulnerabilities) - len(still_open),
        "overdue": sum(any(place.due.is_overdue for place in one.open_places) for one in still_open),
        "updates": len(updates),
        "advisories_unjoined": len(seen.unjoined),
        "duration_seconds": round(seconds, 3),
    }
    for severity in lanes.SEVERITIES:
        figures[severity] = sum(one.counted == severity for one in still_open)
    return figures


def _summary(whole: int, of: int, figures: t.Mapping[str, float]) -> str:
    severe = ", ".join(f"{figures[severity]:.0f} {severity}" for severity in lanes.SEVERITIES if figures[severity])
    known = f"{figures['vulnerabilities']:.0f} known vulnerabilities{f' ({severe})' if severe else ''}"
    return (
        f"{whole} of {of} projects looked at wholly, {figures['packages_looked_at']:.0f} of {figures['packages']:.0f} "
        f"packages: {known}, {figures['overdue']:.0f} overdue, {figures['accepted']:.0f} accepted, "
        f"{figures['updates']:.0f} updates"
    )


def _reason(projects: t.Sequence[Project]) -> str:
    """Why not everything was looked at: each cause once, with how many projects it concerns."""
    concerned: dict[str, list[str]] = {}
    for project in projects:
        for problem in dict.fromkeys(project.all_problems()):
            concerned.setdefault(problem, []).append(project.path)
    ordered = sorted(concerned.items(), key=lambda item: -len(item[1]))
    told = [f"{problem} (in {judging.named(paths)})" for problem, paths in ordered[:_MOST_REASONS]]
    if len(ordered) > _MOST_REASONS:
        told.append(f"and {len(ordered) - _MOST_REASONS} more, see the problems of each project")
    return "; ".join(told)
