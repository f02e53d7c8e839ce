# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an update comes to, in words: differences, versions of programs, and the result of all projects.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import concurrent.futures
import os
import platform
import typing as t

from .._core.result import Result
from .changes import NPM, PYPI
from .model import Project
from .moving import Tools
from .running import run, shortened
from .work import STATES, Work, done_by

_MOST_REASONS = 5


def lines_of(project: Project) -> list[str]:
    return sorted(
        f"{source.file}: {node.name} {node.version}"
        for source in project.sources
        if source.kind != "environment"
        for node in source.nodes.values()
        if node.version and not node.own
    )


def diff_of(one: Work) -> dict[str, str]:
    before, after = set(one.before_lines), set(one.after_lines)
    header = f"{one.wanted.path} ({one.branch})"
    return {
        "before_header": header,
        "after_header": header,
        "before": "".join(f"{line}\n" for line in sorted(before - after)),
        "after": "".join(f"{line}\n" for line in sorted(after - before)),
    }


def programs_of(one: Work, tools: Tools) -> dict[str, str]:
    """The versions of what was used."""
    ecosystems = {move.ecosystem for move in one.moves}
    asked = {"git": ["git", "--version"]}
    if PYPI in ecosystems:
        asked.update(pip=[tools.python, "-m", "pip", "--version"])  # which tells its Python, too
    if NPM in ecosystems:
        asked.update(npm=[tools.npm, "--version"], node=["node", "--version"])
    files = {file for move in one.moves for file in move.files}
    writers = {"pnpm-lock.yaml": ("pnpm", tools.pnpm), "yarn.lock": ("yarn", tools.yarn),
               "uv.lock": ("uv", tools.uv), "poetry.lock": ("poetry", tools.poetry)}  # fmt: skip
    asked.update({name: [program, "--version"] for file, (name, program) in writers.items() if file in files})
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda command: run(command, "/", tools.timeout, dict(os.environ)), asked.values()))
    told = {
        name: shortened(ran.output) if not ran.problem and ran.status == 0 else "" for name, ran in zip(asked, answers)
    }
    return {"system": platform.platform(), **told}


def judge(works: t.Sequence[Work], seconds: float) -> Result:
    counted = {state: sum(one.status == state for one in works) for state in STATES}
    findings = tuple(finding for one in works for finding in one.findings)
    moves = [move for one in works if one.status in ("planned", "waiting", "updated") for move in one.moves]
    figures: dict[str, float] = {
        "projects": len(works),
        **{state.replace("-", "_"): number for state, number in counted.items()},
        "moves": len(moves),
        "fixes": sum(len(move.fixes) for move in moves),
        "blocked": sum(finding.id == "dependency-fix-blocked" for finding in findings),
        "duration_seconds": round(seconds, 3),
    }
    told = ", ".join(f"{number} {state.replace('-', ' ')}" for state, number in counted.items() if number)
    summary = f"{len(works)} projects: {told}; {len(moves)} packages move, {figures['fixes']:.0f} vulnerabilities fixed"
    bad = [one for one in works if one.status in ("failed", "unknown")]
    looked = len(works) - len(bad)
    done = tuple(done_by(one) for one in works if one.sha256)
    if not bad:
        return Result("findings" if findings else "ok", summary, "", findings, figures, looked, len(works), done)
    reasons = [f"{one.wanted.path}: {one.step}: {one.reason}" for one in bad[:_MOST_REASONS]]
    if len(bad) > _MOST_REASONS:
        reasons.append(f"and {len(bad) - _MOST_REASONS} more, see the projects")
    verdict = "failed" if counted["failed"] else "unknown"
    return Result(verdict, summary, "; ".join(reasons), findings, figures, looked, len(works), done)
