# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The update of dependencies from the first question to the verdict, over all projects.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import os
import shutil
import tempfile
import time
import typing as t
import urllib.parse

from .._core import cyclonedx, evidence
from .._core.accepted import answered_for
from .._core.clock import write_time
from .._core.locks import Busy, left_in, own_place
from .._core.result import Finding, Result
from . import keeping, lanes, notes, planning, sbom, work
from .changes import NPM, PYPI
from .discover import read_project
from .index import Index, IndexUnknown, pip_settings
from .judging import Vulnerabilities, Vulnerability
from .looking import Seen, look
from .looks import Listing
from .model import Project, Source, SourceError
from .moving import StepError, Tools
from .policy import Rules
from .proving_node import place_of
from .repository import GitError
from .running import run, shortened
from .seen import Memory
from .telling import diff_of, judge, lines_of, programs_of
from .update_arguments import UpdateSettings
from .updating import indexes_of, node_version
from .web import Http, NoAnswer
from .work import Work
from .writing import Ranges

Answer = t.Dict[str, t.Any]
_PATIENCE = 60


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    projects: list[Answer] = dataclasses.field(default_factory=list)
    diff: list[dict[str, str]] = dataclasses.field(default_factory=list)


def update(settings: UpdateSettings, check: bool, now: datetime.datetime, outcome: Outcome) -> Result:
    """Update what the policies say; whatever goes wrong is in the result."""
    began = time.monotonic()
    of = len(settings.projects)
    try:
        with _scratch(settings, check) as scratch:
            works = [
                Work(wanted, os.path.join(scratch, f"p{number}")) for number, wanted in enumerate(settings.projects)
            ]
            _Run(settings, check, now, scratch, works).run()
            # In check mode: whether it would be.
            outcome.changed = any(one.is_published or one.status == "planned" for one in works)
            outcome.projects = [one.told() for one in works]
            outcome.diff = [diff_of(one) for one in works if one.plan.moves and one.status in ("planned", "updated")]
            return judge(works, time.monotonic() - began)
    except Busy as exc:
        return Result("unknown", "the dependencies were not updated", str(exc), of=of)
    except OSError as exc:
        told = f"{exc.strerror}: {exc.filename}" if exc.filename else str(exc)
        return Result("failed", "the dependencies were not updated", told, of=of)


@contextlib.contextmanager
def _scratch(settings: UpdateSettings, check: bool) -> t.Iterator[str]:
    """Where the clones are. Who has it is alone at work; what a killed run left is removed.

    :raises Busy: when another update of this account does not end.
    """
    if check:
        beside = tempfile.mkdtemp(prefix="steward-update-")
        try:
            yield os.path.realpath(beside)
        finally:
            _remove(beside)
        return
    os.makedirs(settings.state_dir, mode=0o700, exist_ok=True)
    with own_place(os.path.join(os.path.realpath(settings.state_dir), "update"), _PATIENCE, _remove) as scratch:
        for path in left_in(scratch):
            _remove(path)
        yield scratch


def _remove(path: str) -> None:
    """With directories that a tool or a test closed to itself."""
    for directory, names, _files in os.walk(path):
        for name in names:
            inner = os.path.join(directory, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(path)


class _Run:
    def __init__(
        self, settings: UpdateSettings, check: bool, now: datetime.datetime, scratch: str, works: list[Work]
    ) -> None:
        self._settings = settings
        self._check = check
        self._now = now
        self._scratch = scratch
        self._works = works
        self._http = Http(settings.looking.answer_timeout)
        self._looks = 0
        self._indexes: dict[str, tuple[Index, tuple[str, ...]]] = {}

    def run(self) -> None:
        for one in self._works:
            os.makedirs(one.scratch, mode=0o700)
            with _failures(one, "read"):
                work.begin(one, self._settings.branch)
        begun = [one for one in self._works if not one.status]
        if begun:
            seen, vulnerabilities = self._look(begun, any(one.wanted.policy != "security" for one in begun))
            for one in begun:
                self._one(one, seen, vulnerabilities)
        for one in self._works:
            self._look_at_the_tree(one)
            _remove(one.scratch)

    def _look(self, works: t.Sequence[Work], routine: bool) -> tuple[Seen, list[Vulnerability]]:
        """Ask the scanners for what is in the clones; the projects keep the names that people know them by.

        :param routine: whether newer versions are looked up, too.
        """
        place = os.path.join(self._scratch, f"look-{self._looks}")
        self._looks += 1
        os.makedirs(place, mode=0o700)
        looking = dataclasses.replace(
            self._settings.looking, projects=tuple(one.place for one in works), updates=routine
        )
        seen = look(looking, place, self._now, self._http)
        for one, project in zip(works, seen.projects):
            project.path = one.wanted.path
        memory = Memory(self._settings.looking.state_file)
        return seen, Vulnerabilities(looking, memory, self._now).collect(seen)

    def _one(self, one: Work, seen: Seen, before: list[Vulnerability]) -> None:
        project = next(project for project in seen.projects if project.path == one.wanted.path)
        problems = project.all_problems()
        if problems:
            one.end("unknown", "look", "; ".join(dict.fromkeys(problems)))
            return
        one.project = project
        with _failures(one, "resolve"):
            tools = self._tools(one, project)
            languages = {PYPI: self._language(one, project), NPM: self._node(project)}
            rules = self._rules(one)
            ranges = Ranges(tools, one.scratch)
            one.plan = planning.plan(project, seen, before, rules, languages, tools.listings, ranges.of)
            one.findings += one.plan.left
            if not one.plan.moves:
                one.end("up-to-date")
                return
            if work.judge_branch(one):
                if not self._check:
                    work.hand_over(one, self._http)
                one.end("waiting")
                return
            if not any(move.why == "fix" for move in one.plan.moves):
                # Fixes do not wait. Without one, npm is to bring along nothing that is too young.
                tools = dataclasses.replace(tools, before=self._before())
            bill, parts = self._bill(one, project, tools), sbom.parts_of(project)
            one.before_lines = lines_of(read_project(one.place, self._settings.looking.places))
            work.resolve(one, tools)
            one.after_lines = lines_of(read_project(one.place, self._settings.looking.places))
            self._tell(one, tools)
            if self._check:
                one.end("planned")
                return
            self._prove(one, tools, before, bill, parts)

    def _prove(
        self,
        one: Work,
        tools: Tools,
        before: list[Vulnerability],
        bill: Answer,
        parts: t.Mapping[sbom.Part, set[str]],
    ) -> None:
        repository = one.repository
        if repository is None:
            return
        files: Answer = {"sbom-before.json": bill}
        try:
            seen, after = self._look([one], routine=False)
            one.updated = seen.projects[0]
            problems = one.updated.all_problems()
            if problems:
                raise StepError("audit", f"the update could not be looked at: {'; '.join(dict.fromkeys(problems))}")
            work.judge_fixed(one, before, after)
            files["sbom-after.json"] = self._bill(one, one.updated, tools)
            files["difference.json"] = sbom.difference(parts, sbom.parts_of(one.updated))
            environment = work.install(one, tools)
            self._note(one)
            work.commit(one, self._settings.author)
            work.test(one, environment, self._settings.test_timeout)
            self._keep(one, files, keeping.TESTED, tools)
            repository.publish(one.top, one.commit, one.branch, one.branch_before)
        except (StepError, GitError) as exc:
            one.reason = str(exc)
            # That it failed is told in any case.
            with contextlib.suppress(OSError):
                self._keep(one, files, keeping.FAILED, tools)
                self._retire(one)
            raise
        one.is_published = True
        self._retire(one)
        work.hand_over(one, self._http)
        one.end("updated")

    def _keep(self, one: Work, files: Answer, outcome: str, tools: Tools) -> None:
        at = write_time(self._now)
        # What was tested and then could not be published is told in the same place.
        one.evidence = one.evidence or keeping.place_for(
            self._settings.evidence_dir, one.wanted.path, one.plan_digest(), at
        )
        told = {
            "outcome": outcome,
            "reason": one.reason,
            "project": one.wanted.path,
            "policy": one.wanted.policy,
            "at": at,
            "host": self._settings.looking.host,
            "base": one.base,
            "branch": one.branch,
            "commit": one.commit,
            "plan": one.plan_digest(),
            "moves": [move.told() for move in one.moves],
            "approvals": self._approvals(one),
            "test": one.tested.told() if one.tested else {},
            "tree_before": one.digest_before,
            "programs": programs_of(one, tools),
        }
        output = {"tests.log": one.tested.output} if one.tested else {}
        one.sha256 = evidence.write_evidence(one.evidence, {**files, **output, "update.json": told})

    def _retire(self, one: Work) -> None:
        one.findings += keeping.retire(one.evidence, one.wanted.path, self._settings.evidence_keep)

    def _approvals(self, one: Work) -> Answer:
        """Who answers for what: breaking steps of packages, and vulnerabilities that stay."""
        accepted = answered_for(self._settings.looking.accepted)
        return {"breaking_steps": list(one.wanted.approved), "accepted": accepted}

    def _look_at_the_tree(self, one: Work) -> None:
        """Nothing of the checkout may be other than it was. Somebody may work in it meanwhile: then we cannot know."""
        if one.repository is None or not one.digest_before:
            return
        with contextlib.suppress(GitError, OSError):
            one.digest_after = one.repository.digest(one.branch)
        if one.digest_after != one.digest_before:
            message = f"the checkout of {one.wanted.path} is other than it was when the update began"
            action = "somebody worked in it meanwhile; if nobody did, look at git status"
            one.findings.append(Finding("dependency-tree-changed", "medium", one.wanted.path, message, action=action))

    # -- what it works with --------------------------------------------------------------------------------------------

    def _rules(self, one: Work) -> Rules:
        return Rules(one.wanted.policy, one.wanted.approved, self._settings.looking.cooldown, self._now)

    def _before(self) -> str:
        cooldown = self._settings.looking.cooldown
        return write_time(self._now - datetime.timedelta(seconds=cooldown)) if cooldown else ""

    def _tools(self, one: Work, project: Project) -> Tools:
        looking = self._settings.looking
        sources = [source for source in project.sources if source.ecosystem == PYPI]
        return Tools(
            python=one.wanted.python,
            npm=looking.npm,
            pnpm=self._settings.pnpm,
            yarn=self._settings.yarn,
            uv=self._settings.uv,
            poetry=self._settings.poetry,
            timeout=looking.timeout,
            answer_timeout=looking.answer_timeout,
            run_scripts=self._settings.install_scripts,
            listings=functools.partial(self._listings, one.wanted.python, sources),
            may_be_taken=lambda published: lanes.held_until(published, self._now, looking.cooldown) is None,
            cooldown=looking.cooldown,
        )

    def _listings(self, python: str, sources: t.Sequence[Source], names: t.Sequence[str]) -> dict[str, Listing]:
        """:raises StepError: when nobody knows which index to ask."""
        looking = self._settings.looking
        if python not in self._indexes:
            try:
                pip = pip_settings(python, looking.timeout)
                http = Http(looking.answer_timeout, pip.certificates)
            except (IndexUnknown, OSError) as exc:
                raise StepError("look", str(exc)) from exc
            if pip.offline:
                raise StepError("look", "newer versions were not looked up: pip is set not to ask an index")
            self._indexes[python] = (Index(http, looking.jobs), pip.indexes)
        if any(source.offline for source in sources):
            raise StepError("look", "newer versions were not looked up: a file says --no-index")
        index, of_pip = self._indexes[python]
        named = next((source for source in sources if any(source.indexes)), None)
        indexes = indexes_of(named, of_pip) if named else of_pip
        index.look_up([(indexes, name) for name in names])
        return {name: index.listing(indexes, name) for name in names}

    def _language(self, one: Work, project: Project) -> str:
        if not any(source.ecosystem == PYPI for source in project.sources):
            return ""
        program = "import platform; print(platform.python_version())"
        ran = run([one.wanted.python, "-c", program], "/", self._settings.looking.timeout, dict(os.environ))
        if ran.problem or ran.status != 0:
            raise StepError(
                "resolve", f"{one.wanted.python} is no Python that could be used: {ran.problem or ran.told()}"
            )
        return ran.output.strip()

    def _node(self, project: Project) -> str:
        has_node = any(source.ecosystem == NPM for source in project.sources)
        return node_version(self._settings.looking.timeout) if has_node else ""

    # -- what is told --------------------------------------------------------------------------------------------------

    def _bill(self, one: Work, project: Project, tools: Tools) -> Answer:
        names = sorted({name for ecosystem, name in sbom.parts_of(project) if ecosystem == PYPI})
        hashes = {
            cyclonedx.package_url(PYPI, name, release.version): release.hashes
            for name, listing in (tools.listings(names) if names else {}).items()
            for release in listing.releases.values()
            if release.hashes
        }
        return sbom.bill_of(project, one.wanted.path, write_time(self._now), hashes)

    def _tell(self, one: Work, tools: Tools) -> None:
        """Links to the changes of each Python package; npm's are known already."""
        moves = [move for move in one.moves if move.ecosystem == PYPI and move.new]
        if not moves:
            return
        listings = tools.listings([move.package for move in moves])
        index = self._indexes[one.wanted.python][0]
        for move, links in zip(moves, index.links([(listings[move.package], move.new) for move in moves])):
            move.links = links

    def _note(self, one: Work) -> None:
        if not self._settings.changelogs:
            return
        asked = {urllib.parse.urlsplit(url).netloc for index, urls in self._indexes.values() for url in urls}
        asked |= {urllib.parse.urlsplit(url).netloc for source in (one.project.sources if one.project else ())
                  for url in source.indexes}  # fmt: skip
        for move in one.plan.moves:
            brought = place_of(one.place, move.package, move.new) if move.ecosystem == NPM else ""
            text = notes.local_changelog(brought) if brought else ""
            if text:
                move.notes = notes.scan(text, move.ecosystem, move.old, move.new)
                continue
            url = move.links.get("changelog", "")
            if not url:
                continue
            try:
                text = notes.fetched_changelog(self._http, url, asked - {""})
            except NoAnswer as exc:
                move.notes = [f"the changelog could not be read: {exc}"]
                continue
            move.notes = notes.scan(text, move.ecosystem, move.old, move.new)


@contextlib.contextmanager
def _failures(one: Work, step: str) -> t.Iterator[None]:
    """A project that fails does not stop the others."""
    try:
        yield
    except StepError as exc:
        one.end("unknown" if exc.step == "look" else "failed", exc.step, shortened(str(exc)), exc.output)
    except (GitError, SourceError) as exc:
        one.end("failed", "publish" if one.commit else step, shortened(str(exc)))
    except OSError as exc:
        told = f"{exc.strerror or exc}: {exc.filename or one.wanted.path}"
        one.end("failed", "publish" if one.commit else step, shortened(told))
