# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The update of one project: what is known of it so far, and its steps, each of which proves itself.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

All steps but the last work in a clone beside. So there is nothing to take back: what fails, or is killed, leaves the
repository as it was, and the clone is removed, at the latest by the next run. The last step moves one branch at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import typing as t

from .._core.masking import mask_secrets
from .._core.result import Finding
from . import proving, writing
from .changes import NPM
from .forge import request_merge
from .judging import Vulnerability
from .model import Project
from .moving import Move, StepError, Tools
from .planning import Plan, sources_to_write
from .repository import TRAILER, Author, GitError, Repository, changed_files, commit_files
from .update_arguments import Wanted
from .web import Http, NoAnswer

_GIT_SECONDS = 300
_MOST_SUBJECT = 72

#: How an update of a project may end.
STATES = ("up-to-date", "planned", "waiting", "updated", "failed", "unknown")


@dataclasses.dataclass
class Work:
    """One project on its way. `status` is empty until it has ended."""

    wanted: Wanted
    scratch: str
    status: str = ""
    step: str = ""
    reason: str = ""
    output: str = ""
    repository: Repository | None = None
    base: str = ""
    branch: str = ""
    branch_before: str = ""
    digest_before: str = ""
    digest_after: str = ""
    project: Project | None = None
    updated: Project | None = None
    plan: Plan = dataclasses.field(default_factory=Plan)
    along: list[Move] = dataclasses.field(default_factory=list)
    commit: str = ""
    tested: proving.Tested | None = None
    evidence: str = ""
    #: Of each file of the evidence.
    sha256: dict[str, str] = dataclasses.field(default_factory=dict)
    is_published: bool = False
    merge_request: str = ""
    findings: list[Finding] = dataclasses.field(default_factory=list)
    before_lines: list[str] = dataclasses.field(default_factory=list)
    after_lines: list[str] = dataclasses.field(default_factory=list)

    @property
    def top(self) -> str:
        """Of the clone."""
        return os.path.join(self.scratch, "tree")

    @property
    def place(self) -> str:
        """The directory of the project in the clone."""
        inside = self.repository.inside if self.repository else "."
        return os.path.normpath(os.path.join(self.top, inside))

    @property
    def moves(self) -> list[Move]:
        return [*self.plan.moves, *self.along]

    def end(self, status: str, step: str = "", reason: str = "", output: str = "") -> None:
        self.status, self.step, self.reason, self.output = status, step, reason, output

    def plan_digest(self) -> str:
        """What makes two updates the same: where they begin, and what they move."""
        moves = sorted((move.ecosystem, move.package, move.old, move.new) for move in self.plan.moves)
        told = [self.base, self.wanted.path, self.wanted.policy, moves]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def told(self) -> dict[str, t.Any]:
        return {
            "path": self.wanted.path,
            "policy": self.wanted.policy,
            "status": self.status,
            "step": self.step,
            "reason": self.reason,
            "output": self.output,
            "base": self.base,
            "branch": self.branch if self.plan.moves else "",
            "commit": self.commit if self.status in ("updated", "waiting") else "",
            "moves": [move.told() for move in self.moves],
            "test": self.tested.told() if self.tested else {},
            "evidence": self.evidence,
            "merge_request": self.merge_request,
            "tree": {
                "before": self.digest_before,
                "after": self.digest_after,
                "unchanged": bool(self.digest_before) and self.digest_before == self.digest_after,
            },
        }


def done_by(work: Work) -> dict[str, t.Any]:
    """What was done to a project, for its record, which vouches for the evidence by the digests of its files."""
    return {
        "subject": work.wanted.path,
        "action": "update" if work.is_published else "keep",
        "before": {"commit": work.base},
        "after": {"commit": work.commit, "branch": work.branch} if work.is_published else {},
        "test": work.tested.told() if work.tested else {},
        "evidence": {"directory": work.evidence, "sha256": work.sha256},
    }


def begin(work: Work, prefix: str) -> None:
    """Clone the project.

    :raises GitError: when it is in no repository, or what it should begin with is not there.
    """
    repository = Repository(work.wanted.path, _GIT_SECONDS)
    work.repository = repository
    work.base = repository.commit_of(work.wanted.base)
    inside = "" if repository.inside == "." else "-" + repository.inside.replace("/", "-")
    work.branch = f"{prefix}-{work.wanted.policy}{inside}"
    work.branch_before = repository.tip(work.branch)
    work.digest_before = repository.digest(work.branch)
    repository.clone(work.top, work.base)
    if not os.path.isdir(work.place):
        raise GitError(f"{work.wanted.path} is not in the commit {work.base[:12]}")
    # Which registry is asked, and by which token, may stand in a file that is kept out of Git: by a link, never a copy.
    settings, there = os.path.join(work.wanted.path, ".npmrc"), os.path.join(work.place, ".npmrc")
    if os.path.isfile(settings) and not os.path.lexists(there):
        os.symlink(settings, there)


def judge_branch(work: Work) -> bool:
    """Whether the branch has this very update already.

    :raises StepError: when the branch is not ours to write.
    """
    repository = work.repository
    if repository is None or not work.branch_before:
        return False
    parent, plan = repository.told_by(work.branch_before)
    if parent == work.base and plan == work.plan_digest():
        work.commit = work.branch_before
        return True
    if repository.strangers(work.base, work.branch_before):
        raise StepError(
            "commit", f"the branch {work.branch} has commits of somebody else: merge it, rename it or remove it"
        )
    if repository.is_checked_out(work.branch):
        raise StepError("commit", f"the branch {work.branch} is checked out: check out another one")
    return False


def resolve(work: Work, tools: Tools) -> None:
    """Write the moves into the files of the clone.

    :raises StepError: when they do not go together, or nobody here can write a file.
    """
    if work.project is None:
        return
    along: dict[tuple[str, str, str], Move] = {}
    sources = sources_to_write(work.project)
    for number, source in enumerate(sources):
        moves = [
            move
            for move in work.plan.moves
            if move.ecosystem == source.ecosystem
            and any(node.version == move.old for node in source.named(move.package))
        ]
        if not moves:
            continue
        if source.stale:
            lacking = ", ".join(source.stale[:3])
            raise StepError("resolve", f"{source.file} lacks what the project asks for ({lacking}): resolve it first")
        for move in writing.write(source, moves, tools, os.path.join(work.scratch, f"resolve-{number}")):
            known = along.setdefault((move.ecosystem, move.package, move.old), move)
            known.files += [file for file in move.files if file not in known.files]
    work.along = list(along.values())


def judge_fixed(work: Work, before: t.Sequence[Vulnerability], after: t.Sequence[Vulnerability]) -> None:
    """The same scanners must no longer find what was to be fixed, and nothing that was not there before.

    :raises StepError: when they do.
    """
    old, new = _ids(work.wanted.path, before), _ids(work.wanted.path, after)
    still = sorted(
        f"{one} of {move.package} {move.new}"
        for move in work.plan.moves
        for one in move.fixes
        if (move.ecosystem, move.package, move.new, one) in new
    )
    if still:
        raise StepError("audit", f"what was to be fixed is still there: {', '.join(still)}")
    known = {(ecosystem, package, one) for ecosystem, package, _version, one in old}
    come = sorted(
        f"{one} of {package} {version}"
        for ecosystem, package, version, one in new
        if (ecosystem, package, one) not in known
    )
    if come:
        raise StepError("audit", f"the update would bring new vulnerabilities: {', '.join(come)}")


def _ids(path: str, vulnerabilities: t.Sequence[Vulnerability]) -> set[tuple[str, str, str, str]]:
    return {
        (one.ecosystem, *one.pair, one.advisory.id)
        for one in vulnerabilities
        if any(place.project == path for place in one.open_places)
    }


def commit(work: Work, author: Author) -> None:
    """Commit in the clone what was moved, with what and why.

    :raises GitError: when something else would be in it.
    """
    work.commit = commit_files(work.top, _files(work), message_of(work), author, _GIT_SECONDS)


def _files(work: Work) -> list[str]:
    """What was written, relative to the repository."""
    inside = os.path.relpath(work.place, work.top)
    return sorted({os.path.normpath(os.path.join(inside, file)) for move in work.moves for file in move.files})


def message_of(work: Work) -> str:
    moves = work.plan.moves
    subject = f"Update {moves[0].package} to {moves[0].new}" if len(moves) == 1 else f"Update {len(moves)} packages"
    if len(subject) > _MOST_SUBJECT:
        subject = subject[: _MOST_SUBJECT - 3] + "..."
    paragraphs = [subject, "\n".join(_told(move) for move in moves)]
    if work.along:
        paragraphs.append("What that needs:\n" + "\n".join(f"- {move.line()}" for move in work.along))
    noted = [f"- {move.package} {note}" for move in moves for note in move.notes]
    if noted:
        paragraphs.append("Changelogs say of what may break:\n" + "\n".join(noted))
    command = mask_secrets(" ".join(work.wanted.test.split()))
    paragraphs.append(f"Policy: {work.wanted.policy}\nTested-With: {command}\n{TRAILER}: {work.plan_digest()}")
    return "\n\n".join(paragraphs) + "\n"


def _told(move: Move) -> str:
    why = f"fixes {', '.join(move.fixes)}" if move.fixes else "newer"
    lines = [f"- {move.line()} ({move.change}): {why}"]
    if move.needs[0] != move.needs[1]:
        language = "Node" if move.ecosystem == NPM else "Python"
        lines.append(f"  now needs {language} {move.needs[1] or 'of any version'}, before {move.needs[0] or 'any'}")
    link = next(
        (move.links[kind] for kind in ("changelog", "releases", "repository", "homepage") if kind in move.links), ""
    )
    return "\n".join([*lines, *([f"  {link}"] if link else [])])


def install(work: Work, tools: Tools) -> str:
    """Install the project from its locks; the path of its Python environment, empty without one.

    :raises StepError: when it cannot be installed.
    """
    if work.updated is None:
        raise StepError("install", "what was locked could not be read")
    return proving.install(work.place, work.updated, tools, os.path.join(work.scratch, "install"))


def test(work: Work, environment: str, timeout: float) -> None:
    """Run the tests of the project.

    :raises StepError: when they fail, or write into what was committed.
    """
    try:
        work.tested = proving.test(work.place, work.wanted.test, environment, timeout, work.scratch)
    except proving.FailedTests as exc:
        work.tested = exc.tested
        raise
    changed = sorted(set(_files(work)) & set(changed_files(work.top, _GIT_SECONDS)))
    if changed:
        raise StepError("test", f"the tests changed {', '.join(changed)}: what they tested is not what was committed")


def hand_over(work: Work, http: Http) -> None:
    """Push the branch, and ask for its merge, where that is wanted and not so already.

    :raises StepError: when the other repository or the forge does not take it.
    """
    wanted, repository = work.wanted, work.repository
    if repository is None or not wanted.remote:
        return
    try:
        work.is_published = repository.push(wanted.remote, work.branch, work.commit, work.base) or work.is_published
    except GitError as exc:
        raise StepError("push", str(exc)) from exc
    if wanted.forge is not None:
        title, _newline, text = message_of(work).partition("\n")
        try:
            work.merge_request, is_new = request_merge(wanted.forge, http, work.branch, title, text.strip())
        except NoAnswer as exc:
            raise StepError("merge", str(exc)) from exc
        work.is_published = work.is_published or is_new
