# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release made beside the one in use: written, installed from its locks, tested, proved, and only then named.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import time
import typing as t

from .._core.clock import utc_now, write_time
from .._core.journal import Journal, JournalError, Step, StepFailed
from .._core.masking import mask_secrets
from .._core.result import Finding, Result, ok_or_findings
from . import condition, evidence, inventory, parts
from .evidence import NotTested, StageBefore
from .inventory import Package
from .parts import Part, Tools
from .place import DESCRIPTION, Described, Place, ReleaseError, make_directory, remove_tree
from .programs import must, run, told_test, version_of
from .sources import Source

Argv = t.Tuple[str, ...]
_OWN = ".steward"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is installed, where, and what counts as proof."""

    application: str
    directory: str
    source: Source
    parts: tuple[Part, ...]
    tools: Tools
    build: tuple[Argv, ...]
    tests: tuple[Argv, ...]
    tests_timeout: float
    tested: StageBefore | None
    require_tests: bool
    state_dir: str


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result shape."""

    changed: bool = False
    release: str = ""
    current: str = ""
    evidence: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    differences: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    tests: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    output: str = ""
    diff: dict[str, str] = dataclasses.field(default_factory=dict)

    def beside(self) -> dict[str, t.Any]:
        told = dataclasses.asdict(self)
        return {key: value for key, value in told.items() if key not in ("changed", "diff")}


class FailedTests(ReleaseError):
    """The tests of the release did not pass."""


@dataclasses.dataclass
class _Work:
    """What all steps need."""

    settings: Settings
    place: Place
    release: str
    wanted: dict[str, t.Any]
    #: What the stage before says of it.
    before: dict[str, t.Any]
    outcome: Outcome
    packages: list[Package] = dataclasses.field(default_factory=list)
    found: Described = dataclasses.field(default_factory=dict)

    @property
    def root(self) -> str:
        return self.place.partial_of(self.release)

    @property
    def own(self) -> str:
        return os.path.join(self.place.directory, _OWN)

    @property
    def scratch(self) -> str:
        return os.path.join(self.own, "scratch")

    def steps(self) -> list[Step]:
        return [_Write(self), _Install(self), _Prove(self), _Name(self)]


class _Part:
    """A step that is begun anew after a kill: what it makes has no name yet, so nobody uses it."""

    name = ""
    point_of_no_return = False

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._over = False

    def is_done(self) -> bool:
        return self._over

    def do(self) -> None:
        self._do()
        self._over = True

    def _do(self) -> None: ...

    def undo(self) -> None:
        self._work.place.discard(self._work.release)
        remove_tree(self._work.scratch)


class _Write(_Part):
    name = "write the files"

    def _do(self) -> None:
        work = self._work
        remove_tree(work.scratch)
        root = work.place.begin(work.release)
        make_directory(work.scratch)
        work.settings.source.write(root, work.own)
        if os.path.lexists(os.path.join(root, DESCRIPTION)):
            raise ReleaseError(
                f"it has a file {DESCRIPTION} of its own, which is where we write down what a release is"
            )
        # The locks first: what is not what was tested need not be installed.
        work.wanted["locks"] = parts.lock_digests(work.settings.parts, root)
        _refuse_other(work, work.wanted)


class _Install(_Part):
    name = "install what it depends on"

    def _do(self) -> None:
        work, settings = self._work, self._work.settings
        for part in settings.parts:
            part.install(work.root, settings.tools, work.scratch)
        more = _environment(work)
        for argv in settings.build:
            must(argv, work.root, settings.tools.timeout, f"{argv[0]} does not build the release", more)


class _Prove(_Part):
    name = "prove that it is what was tested"

    def _do(self) -> None:
        work, settings = self._work, self._work.settings
        if parts.lock_digests(settings.parts, work.root) != work.wanted["locks"]:
            raise ReleaseError("a lock is not what it was before the installation")
        work.packages = parts.installed_in(settings.parts, work.root)
        about = {
            **work.wanted,
            "parts": [part.to_dict() for part in settings.parts],
            "programs": _programs(work),
            "installed": write_time(utc_now()),
        }
        work.found = evidence.described(about, work.packages)
        _refuse_other(work, evidence.evidence_of(work.found))
        # Tests of code that is not what was tested would prove nothing, so they come last.
        work.found["tests"] = [*work.wanted.get("tests", []), *_test(work)]
        left = parts.installed_in(settings.parts, work.root)
        if inventory.digest_of(left) != inventory.digest_of(work.packages):
            raise ReleaseError("the tests changed what is installed")


class _Name(_Part):
    name = "give it its name"

    def _do(self) -> None:
        work = self._work
        for part in work.settings.parts:
            part.relocate(work.root, work.place.path_of(work.release))
        work.place.finish(work.release, work.found)
        remove_tree(work.scratch)

    def is_done(self) -> bool:
        return self._over


def _refuse_other(work: _Work, here: t.Mapping[str, t.Any]) -> None:
    tested = work.settings.tested
    if tested is not None:
        other = tested.mismatch(work.before, here)
        if other:
            raise ReleaseError(f"this is not what was tested in {tested.stage}: {other}")


def _environment(work: _Work) -> dict[str, str]:
    """Programs of the release are found first."""
    places = [os.path.join(work.root, part.environment, "bin") for part in work.settings.parts if part.environment]
    places += [
        os.path.join(work.root, part.path, "node_modules", ".bin") for part in work.settings.parts if part.modules
    ]
    return {"PATH": os.pathsep.join([*places, os.environ.get("PATH", os.defpath)]), "TMPDIR": work.scratch}


def _programs(work: _Work) -> dict[str, str]:
    git = {"git": version_of("git", "--version")} if work.wanted.get("commit") else {}
    return {**git, **parts.programs_of(work.settings.parts, work.settings.tools)}


def _test(work: _Work) -> list[dict[str, t.Any]]:
    """:raises FailedTests: when one does not end well."""
    found = []
    for argv in work.settings.tests:
        began = time.monotonic()
        ran = run(argv, work.root, work.settings.tests_timeout, _environment(work))
        told = told_test(argv, ran, time.monotonic() - began)
        if ran.status:
            work.outcome.output = str(mask_secrets(ran.text[-4000:]))
            raise FailedTests(f"the tests failed: {told['command']} ended with {ran.told()}")
        found.append(told)
    work.outcome.tests = found
    return found


def install(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Have the release beside the others, whole and proved, or leave all as it was and say why."""
    os.umask(0o022)
    try:
        return _install(settings, check_mode, outcome)
    except NotTested as exc:
        return _not_done(settings, exc.verdict, f"{exc}; nothing was touched")
    except StepFailed as exc:
        return _not_done(settings, "failed", str(exc))
    except (ReleaseError, JournalError) as exc:
        return _not_done(settings, "failed", f"{exc}; nothing was touched")
    except OSError as exc:
        return _not_done(settings, "failed", f"{exc.filename or settings.directory}: {exc.strerror or exc}")


def _install(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    place, release = Place(settings.directory), settings.source.release
    outcome.release, outcome.current = release, place.current()
    before: dict[str, t.Any] = {}
    if settings.tested is not None:
        before = settings.tested.evidence(settings.application, release, utc_now())
    _refuse_untested(settings, before)
    wanted = {"release": release, **settings.source.told(), "tests": list(before.get("tests") or ())}
    work = _Work(settings, place, release, wanted, before, outcome)
    if place.has(release):
        there = condition.condition_of(place, release)
        if not there.damage:
            work.packages, work.found = list(there.packages), there.described
            _refuse_other(work, evidence.evidence_of(work.found))
            return _told(work, "is installed already")
        if release in (outcome.current, place.previous()):
            reason = f"the release {release} is in use or the way back, and is not what was installed: {there.damage}"
            raise ReleaseError(f"{reason}; install another commit, and switch to it")
    if check_mode:
        return _foretell(work)
    with Journal(settings.state_dir, f"releases in {os.path.abspath(settings.directory)}") as journal:
        steps = work.steps()
        if journal.references is not None:
            # What has no name yet is nobody's, so it is made anew.
            place.discard(str(journal.references["release"]))
            journal.abandon(steps)
        place.sweep()
        journal.run(steps, {"release": release})
    outcome.changed = True
    return _told(work, "is installed beside the others")


def _refuse_untested(settings: Settings, before: t.Mapping[str, t.Any]) -> None:
    if settings.require_tests and not settings.tests and not before.get("tests"):
        stage = f"in {settings.tested.stage}" if settings.tested else "before"
        raise NotTested("failed", f"no tests of this release were run {stage}, and none are named here (see tests)")


def _foretell(work: _Work) -> Result:
    """By the locks: what would be installed. All in a temporary directory."""
    scratch = tempfile.mkdtemp(prefix="steward-release-")
    try:
        root = os.path.join(scratch, "release")
        os.mkdir(root)
        work.settings.source.write(root, scratch)
        work.wanted["locks"] = parts.lock_digests(work.settings.parts, root)
        _refuse_other(work, work.wanted)
        work.packages = parts.locked_in(work.settings.parts, root)
    finally:
        shutil.rmtree(scratch)
    work.outcome.changed = True
    return _told(work, "would be installed beside the others")


def _told(work: _Work, what: str) -> Result:
    settings, outcome = work.settings, work.outcome
    before = condition.packages_of(work.place, outcome.current)
    foreseen = not work.found
    # A lock says nothing of contents: of what is foreseen, versions are compared.
    old = [dataclasses.replace(one, content="") for one in before] if foreseen else before
    outcome.differences = inventory.difference(old, work.packages)
    if work.found:
        outcome.evidence = evidence.evidence_of(work.found)
    outcome.diff = {
        "before": condition.lines(settings.application, outcome.current, before),
        "after": condition.lines(settings.application, work.release, work.packages),
    }
    findings = []
    if settings.tested is None and not settings.require_tests and not (work.found or {}).get("tests"):
        message = "no tests were run, and no stage before says that it was tested"
        action = "name tests, or let a stage before prove it"
        findings.append(Finding("untested", "medium", settings.application, message, action=action))
    tested = f", as it was tested in {settings.tested.stage}" if settings.tested is not None else ""
    count = len(work.packages)
    summary = f"the release {work.release} of {settings.application} with {count} packages {what}{tested}"
    figures = {"packages": count, "changed_packages": len(outcome.differences)}
    return ok_or_findings(summary, findings, figures, looked=len(settings.parts), of=len(settings.parts))


def _not_done(settings: Settings, verdict: str, reason: str) -> Result:
    summary = f"the release {settings.source.release} of {settings.application} was not installed"
    return Result(verdict, summary, reason, of=len(settings.parts))
