# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upgrade from the first look to the proof, and the way back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from .._core.accepted import answered_for
from .._core.clock import utc_now, write_time
from .._core.journal import Journal, JournalError, StepFailed
from .._core.result import Finding, Result, ok_or_findings
from . import configuration, evidence, hosts, looking, preflight, previous, steps
from .manager import Manager
from .packages import Installed, as_it_began, versions_changed
from .plan import SECURITY, Plan, make_plan
from .programs import PatchingError, open_directory
from .upgrade import ALWAYS, KEEP, NEVER, REQUIRE, RETURN, RETURNED, Outcome, Settings

__all__ = ["Outcome", "Settings", "patch"]


class _Refused(Exception):
    """Nothing was touched; the verdict and why."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


def patch(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Bring the packages to what is asked for, prove it, or say why not and where that leaves the host."""
    try:
        run = _Run(settings, check_mode, outcome)
    except PatchingError as exc:
        return Result("failed", "the packages of this host cannot be handled", str(exc))
    with contextlib.closing(run):
        return run.kept(_ended(run, settings))


def _ended(run: _Run, settings: Settings) -> Result:
    try:
        return run.run()
    except _Refused as exc:
        return run.not_done(exc.verdict, str(exc))
    except StepFailed as exc:
        return run.failed(exc)
    except (PatchingError, JournalError) as exc:
        return run.not_done("failed", str(exc))
    except OSError as exc:
        return run.not_done("failed", f"{exc.filename or settings.state_dir}: {exc.strerror or exc}")


class _Run:
    """One run."""

    def __init__(self, settings: Settings, check_mode: bool, outcome: Outcome) -> None:
        self._settings = settings
        self._check = check_mode
        self._outcome = outcome
        self._findings: list[Finding] = []
        self._figures: dict[str, float] = {}
        self._manager = hosts.manager(settings.timeout, settings.state_dir)
        self._before: dict[str, Installed] = {}
        self._changed_files: list[configuration.Changed] = []
        self._beside: dict[str, tuple[int, int]] = {}
        limits = (settings.lock_timeout, settings.upgrade_timeout)
        returns = settings.on_failure == RETURN
        self._means = steps.Means(self._manager, settings.state_dir, settings.conffiles, *limits, returns)
        self._sources = (0, 0)
        self._open: t.Mapping[str, t.Any] | None = None

    def close(self) -> None:
        self._manager.close()

    def run(self) -> Result:
        journal = Journal(self._settings.state_dir, f"packages in {os.path.abspath(self._manager.root)}")
        self._before = self._manager.installed()
        with contextlib.ExitStack() as stack:
            if self._check:
                self._open = journal.peek()
            else:
                stack.enter_context(journal)
                self._open = journal.references
            self._wait_for_locks()
            if self._settings.state == RETURNED:
                return self._go_back(journal)
            # Lists first: what a killed run left broken may be mended by a version that is new since then.
            manager, problem = self._lists(stack)
            if self._open is not None:
                self._take_up(journal)
            self._repair()
            if problem:
                told = f"the lists of packages cannot be trusted: {problem}"
                raise _Refused(
                    "unknown", f"{told}; {'nothing' if not self._outcome.changed else 'no more'} was touched"
                )
            return self._go_forward(journal, manager)

    def _wait_for_locks(self) -> None:
        patience = 0 if self._check else self._settings.lock_timeout
        holders = preflight.wait_for_locks(self._manager.lock_holders, patience)
        if holders:
            raise _Refused("failed", f"{holders[0].told()}; nothing was touched")

    def _take_up(self, journal: Journal) -> None:
        """Bring to its end what a killed run left, as it was decided then."""
        if self._settings.repair == NEVER and self._manager.interrupted(self._before):
            told = f"an earlier run left {self._manager.below} interrupted, and repair is never; nothing was touched"
            raise _Refused("failed", told)
        if self._check:
            self._outcome.did.append("would finish what an earlier run left")
            return
        references = t.cast("t.Mapping[str, t.Any]", self._open)
        self._note_files(references["packages"])
        if references["direction"] == steps.FORWARD:
            # What the killed run changed was never told, so it is told by this one.
            last = steps.read_record(self._settings.state_dir) or {}
            new = last["new"] if last.get("packages") == references["packages"] else ()
            self._before = as_it_began(self._before, references["packages"], new)
        try:
            how = journal.resume(steps.steps_of(self._means, references))
            self._outcome.did.append(f"finished what an earlier run left ({how})")
        finally:
            self._see_changes()

    def _go_forward(self, journal: Journal, manager: Manager) -> Result:
        plan = make_plan(manager, self._settings.policy)
        ways = looking.ways_of(manager, plan, self._means.kept)
        self._outcome.packages = looking.told_packages(plan, ways, self._settings.policy)
        self._tell_diff(plan)
        self._findings += looking.way_findings(ways)
        if plan.changes:
            self._refuse_without_way(ways)
            self._refuse_without_space(manager, plan)
            self._foresee_files(manager, plan)
            if self._check:
                return self._foretold(plan)
            self._install(journal, plan)
            # It is installed as it was wanted: what earlier upgrades came from is of no use any more.
            self._manager.prune(self._means.kept, {name: one.old for name, one in plan.changes.items()})
            plan = make_plan(self._manager, self._settings.policy)
        elif self._check:
            return self._foretold(plan)
        return self._proved(plan)

    def _repair(self) -> None:
        broken = self._manager.interrupted(self._manager.installed())
        if not broken or (self._check and self._open is not None):
            return
        below, repairs = self._manager.below, self._manager.repairs
        if self._settings.repair != ALWAYS:
            action = f"see why, and set repair to always to have {repairs} run first"
            self._findings.append(Finding(f"{below}-interrupted", "high", below, broken.told(), action=action))
            raise _Refused("failed", f"{broken.told()}, not by a run of ours; nothing was touched; {action}")
        if self._check:
            self._outcome.did.append(f"would run {repairs}")
            raise _Refused("unknown", f"{broken.told()}: what would be upgraded is known only after its repair")
        self._outcome.changed = True
        self._means.repair()
        self._outcome.did.append(f"ran {repairs}, for {broken.told()}")

    def _lists(self, stack: contextlib.ExitStack) -> tuple[Manager, str]:
        """A manager with the lists to go by, and why they cannot be trusted; empty when they can."""
        settings, manager = self._settings, self._manager
        if not settings.refresh:
            known = manager.known(settings.max_age)
        elif self._check:
            manager, known = manager.fetch_aside(stack.enter_context(open_directory()), settings.timeout)
            stack.callback(manager.close)
        else:
            known = manager.refresh(settings.timeout)
        unseen = manager.unseen(known, settings.policy, settings.max_release_age)
        self._outcome.sources = [source.to_dict() for source in known.sources]
        self._sources = (known.good, max(1, len(known.sources)))
        self._findings += looking.source_findings(manager, known)
        return manager, known.problem or unseen

    def _refuse_without_way(self, ways: t.Mapping[str, previous.Way]) -> None:
        lost = sorted(f"{way.name} {way.version}" for way in ways.values() if not way.where)
        if lost and (self._settings.way_back == REQUIRE or self._settings.on_failure == RETURN):
            raise _Refused(
                "failed", f"there is no way back to {looking.named(lost)}, and one is required; nothing was touched"
            )

    def _refuse_without_space(self, manager: Manager, plan: Plan) -> None:
        needs = preflight.space(manager, manager.sizes({**plan.wanted, **plan.new}, plan.packages))
        short = [need for need in needs if need.is_short]
        self._findings += [looking.space_finding(need) for need in short]
        self._findings += looking.clock_findings()
        if short:
            raise _Refused("failed", f"{'; '.join(need.told() for need in short)}; nothing was touched")

    def _foresee_files(self, manager: Manager, plan: Plan) -> None:
        self._note_files(plan.changes, manager)
        if self._check:
            known = [{**dataclasses.asdict(one), "used": self._whose} for one in self._changed_files]
            self._outcome.configuration = known

    def _note_files(self, names: t.Iterable[str], manager: Manager | None = None) -> None:
        self._changed_files = configuration.changed(manager or self._manager, names)
        self._beside = configuration.stamps(self._manager, self._changed_files, self._settings.conffiles)

    def _install(self, journal: Journal, plan: Plan) -> None:
        settings = self._settings
        packages = {name: {"from": change.old, "to": change.new} for name, change in plan.changes.items()}
        automatic = sorted(self._manager.automatic() & set(packages))
        references: dict[str, t.Any] = {"direction": steps.FORWARD, "packages": packages, "automatic": automatic}
        references["keep"] = settings.way_back in (KEEP, REQUIRE) or settings.on_failure == RETURN
        record = {**references, "new": plan.new, "started": write_time(utc_now()), "root": self._manager.root}
        last = steps.read_record(settings.state_dir)
        steps.write_record(settings.state_dir, record)
        steps.rotate(self._means.log)
        try:
            journal.run(steps.forward_steps(self._means, references), references)
        except StepFailed as exc:
            if exc.undone and last is not None:
                # Nothing came of this one, so the way back leads over the one before, as it did.
                steps.write_record(settings.state_dir, last)
            raise
        finally:
            self._see_changes()

    def _see_changes(self) -> None:
        """The exact versions before and after; and what became of configuration files."""
        after = self._manager.installed()
        self._outcome.output = self._means.output
        self._outcome.changes = versions_changed(self._before, after)
        self._outcome.changed = self._outcome.changed or bool(self._outcome.changes)
        seen = configuration.outcome(self._manager, self._changed_files, self._beside, self._settings.conffiles)
        self._outcome.configuration += [one for one in seen if one not in self._outcome.configuration]
        self._findings += [self._other_choice(one) for one in seen if one["used"] != self._whose]
        self._findings += [Finding("script-failed", "medium", "packages", text) for text in self._manager.warned]
        self._manager.warned = []

    @property
    def _whose(self) -> str:
        return "own" if self._settings.conffiles == configuration.KEEP else "package"

    def _other_choice(self, one: t.Mapping[str, t.Any]) -> Finding:
        """rpm asks nobody: its packages say of each file whether it is replaced."""
        message = f"its package says that the file of {'the administrator' if one['used'] == 'own' else 'the package'}"
        message += f" is used, not conffiles ({self._settings.conffiles}); the other one is {one['other']}"
        return Finding("configuration-by-package", "medium", one["path"], message, action="compare them and choose")

    def _proved(self, plan: Plan) -> Result:
        """What a new simulation says now, after everything."""
        audit = self._manager.audit()
        self._figures.update(looking.plan_figures(plan, self._settings.policy))
        self._figures["upgraded"] = sum(bool(one["before"]) for one in self._outcome.changes)
        still = plan.security if self._settings.policy.upgrade == SECURITY else sorted(plan.changes)
        still = still or self._manager.unexplained(plan, self._settings.policy)
        if audit or still:
            reason = f"{self._manager.audits} says: {audit[:500]}" if audit else ""
            reason = reason or f"{self._manager.name}'s simulation would still upgrade {looking.named(still)}"
            return self.not_done("failed", reason)
        return self._told(plan, f"{int(self._figures['upgraded'])} packages upgraded")

    def _foretold(self, plan: Plan) -> Result:
        self._outcome.changed = bool(plan.changes or plan.new or self._outcome.did)
        self._figures.update(looking.plan_figures(plan, self._settings.policy))
        return self._told(plan, f"{len(plan.changes)} packages would be upgraded")

    def _told(self, plan: Plan, what: str) -> Result:
        self._findings += looking.left_findings(plan, self._settings.policy, True)
        left, fixes = len(plan.left), len(plan.left_security)
        summary = f"{what}, {left} left as they are ({fixes} security fixes among them)"
        if not self._check:
            summary += f"; {self._manager.name}'s simulation finds no other security fix"
        return ok_or_findings(summary, self._findings, self._figures, *self._sources)

    def _tell_diff(self, plan: Plan) -> None:
        old = [f"{change.name} {change.old}" for change in plan.changes.values()]
        new = [f"{change.name} {change.new}" for change in plan.changes.values()]
        new += [f"{name} {version}" for name, version in plan.new.items()]
        self._outcome.diff = {"before": _lines(old), "after": _lines(new)}

    def _go_back(self, journal: Journal) -> Result:
        """To the versions of before the last upgrade, whether it ended or not."""
        record = self._open or steps.read_record(self._settings.state_dir)
        if record is None:
            raise _Refused("skipped", f"no upgrade is recorded in {self._settings.state_dir}")
        packages = record["packages"]
        ways, lost = steps.to_return(self._means, packages)
        if lost:
            message = f"the previous version is in no archive and no cache any more: {looking.named(lost)}"
            self._findings.append(Finding("way-back-missing", "medium", "packages", message, len(lost), 0))
        there = self._manager.installed()
        self._outcome.diff = {
            "before": _lines([f"{way.name} {there[way.name].version}" for way in ways]),
            "after": _lines([f"{way.name} {way.version}" for way in ways]),
        }
        self._refuse_impossible(ways)
        if self._check:
            self._outcome.changed = bool(ways)
            return ok_or_findings(f"{len(ways)} packages would go back", self._findings)
        self._return(journal, packages, record)
        now = self._manager.installed()
        left = [name for name, one in packages.items() if not steps.is_back(now.get(name), one["from"])]
        if set(left) - set(lost):
            return self.not_done("failed", f"{looking.named(sorted(left))} did not go back")
        summary = f"{len(self._outcome.changes)} packages went back to their previous versions"
        if self._outcome.changes:
            message = "the next upgrade takes the newer versions again"
            action = f"hold the packages ({self._manager.hold}) or exclude them until a mended version is there"
            self._findings.append(Finding("went-back", "medium", "packages", message, action=action))
        return ok_or_findings(summary, self._findings, {"returned": len(self._outcome.changes)})

    def _refuse_impossible(self, ways: t.Sequence[previous.Way]) -> None:
        if ways:
            problem = self._manager.back_problem(ways)
            if problem:
                raise _Refused("failed", f"{self._manager.name} finds no way back: {problem}; nothing was touched")

    def _return(self, journal: Journal, packages: t.Mapping[str, t.Any], record: t.Mapping[str, t.Any]) -> None:
        self._note_files(packages)
        try:
            if self._open is not None and self._open["direction"] == steps.FORWARD:
                journal.abandon(steps.steps_of(self._means, self._open))
            references = {"direction": steps.BACK, "packages": packages, "automatic": record["automatic"]}
            if self._open is not None and self._open["direction"] == steps.BACK:
                references = dict(self._open)
            journal.run(steps.steps_of(self._means, references), references)
        finally:
            self._see_changes()

    def failed(self, exc: StepFailed) -> Result:
        """A step did not succeed: which package, the end of what it said, and what the way back would do."""
        self._outcome.output = self._means.output
        action = "mend the cause and run again"
        reason = str(exc)
        if not exc.undone:
            way = f"go back with state: returned{self._way_told()}"
            action += f"; or {way}"
            reason += f"; or {way}"
        self._findings.append(Finding("upgrade-failed", "high", "packages", str(exc)[:2000], action=action))
        return self.not_done("failed", reason)

    def _way_told(self) -> str:
        """Whether there is one, for all."""
        with contextlib.suppress(PatchingError, OSError, KeyError):
            record = steps.read_record(self._settings.state_dir)
            if record:
                ways, lost = steps.to_return(self._means, record["packages"])
                versions = looking.named(sorted(f"{way.name} {way.version}" for way in ways))
                no_way = f"; there is no way back for {looking.named(lost)}" if lost else ""
                return f", which installs {versions or 'nothing'}{no_way}"
        return ""

    def kept(self, result: Result) -> Result:
        """With the evidence of what was changed on the disk, however it ended."""
        if self._check or not self._outcome.changes:
            return result
        settings = self._settings
        told: dict[str, t.Any] = {"at": write_time(utc_now()), "host": settings.policy.host, "state": settings.state}
        told.update(result.to_dict(), **self._outcome.beside())
        told["approvals"] = {"accepted": answered_for(settings.policy.accepted)}
        action = "return" if settings.state == RETURNED else "upgrade"
        done: dict[str, t.Any] = {"subject": "packages", "action": action, "changes": len(self._outcome.changes)}
        try:
            place, after = os.path.join(settings.state_dir, "evidence"), self._manager.installed()
            done["evidence"] = evidence.keep(place, self._manager, (self._before, after), told)
            self._outcome.evidence = done["evidence"]["directory"]
        except (PatchingError, OSError) as exc:
            lost = Finding("evidence-lost", "medium", "packages", f"the evidence of the upgrade was not kept: {exc}")
            verdict = "findings" if result.verdict == "ok" else result.verdict
            result = dataclasses.replace(result, verdict=verdict, findings=(*result.findings, lost))
        return dataclasses.replace(result, done=(done, *evidence.choices(self._outcome.configuration)))

    def not_done(self, verdict: str, reason: str) -> Result:
        what = "gone back" if self._settings.state == RETURNED else "upgraded"
        summary = f"the packages were not {what}" if verdict != "skipped" else "there is nothing to go back from"
        return Result(verdict, summary, reason, tuple(self._findings), self._figures, *self._sources)


def _lines(texts: t.Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in sorted(texts))
