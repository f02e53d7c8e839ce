# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator should know of a host's packages before anything is done, in the one result shape.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from .._core import accepted
from .._core.clock import utc_now
from .._core.result import Finding, Result
from . import advisories, configuration, hosts, lists, preflight, previous, replaced
from .manager import Manager
from .plan import Change, Plan, Policy, answered, answered_orphan, make_plan
from .programs import PatchingError, open_directory

PACKAGES, PREFLIGHT, SERVICES, REBOOT = "packages", "preflight", "services", "reboot"
CHECKS = (PACKAGES, PREFLIGHT, SERVICES, REBOOT)
_NAMED = 10
_LEFT_SEVERITY = {"phased": "info", "module": "info", "excluded": "low", "kept-back": "low"}
#: Who can be restarted while the host is in use, and who cannot, is policy; that it runs old files is a fact.
_HIGH, _MEDIUM, _LOW = "high", "medium", "low"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a look is set. `state_dir`: where previous versions are put aside, and what failed is written down."""

    policy: Policy
    checks: tuple[str, ...]
    refresh: bool
    max_age: float
    timeout: float
    state_dir: str
    max_release_age: float

    @property
    def kept(self) -> str:
        return os.path.join(self.state_dir, "kept")


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result shape."""

    packages: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    new_packages: list[dict[str, str]] = dataclasses.field(default_factory=list)
    sources: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    processes: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    reboot: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    configuration: list[dict[str, str]] = dataclasses.field(default_factory=list)
    space: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        return {
            "packages": self.packages,
            "new_packages": self.new_packages,
            "sources": self.sources,
            "processes": self.processes,
            "reboot": self.reboot,
            "configuration_files": self.configuration,
            "space": self.space,
        }


class _Notes:
    """What was found, and what could not be seen."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.unknown: list[str] = []
        self.figures: dict[str, float] = {}
        self.told: list[str] = []


def look(settings: Settings, outcome: Outcome) -> Result:
    """Look at all that was asked for. What could not be seen makes the verdict unknown, whatever else was seen."""
    notes = _Notes()
    looked, of = 0, 0
    try:
        with contextlib.ExitStack() as stack:
            manager = hosts.manager(settings.timeout, settings.state_dir)
            stack.callback(manager.close)
            # Lists are needed for packages and for the space that those take.
            if {PACKAGES, PREFLIGHT} & set(settings.checks):
                manager, known = _lists(manager, settings, stack)
                stack.callback(manager.close)
                unseen = manager.unseen(known, settings.policy, settings.max_release_age)
                outcome.sources = [source.to_dict() for source in known.sources]
                looked, of = known.good, max(1, len(known.sources))
                notes.findings += source_findings(manager, known)
                if unseen and known.sources:
                    notes.unknown.append(unseen)
                if known.problem:
                    notes.unknown.append(f"the lists of packages cannot be trusted: {known.problem}")
                plan = make_plan(manager, settings.policy)
                if PACKAGES in settings.checks:
                    _packages(manager, plan, settings, outcome, notes)
                if PREFLIGHT in settings.checks:
                    _preflight(manager, plan, outcome, notes)
            _host(manager, settings.checks, outcome, notes)
    except PatchingError as exc:
        notes.unknown.append(str(exc))
    summary = "; ".join(notes.told) or "the packages of the system cannot be looked at"
    verdict = "unknown" if notes.unknown else "findings" if notes.findings else "ok"
    reason = "; ".join(notes.unknown)
    return Result(verdict, summary, reason, tuple(notes.findings), notes.figures, looked, of)


def _lists(manager: Manager, settings: Settings, stack: contextlib.ExitStack) -> tuple[Manager, lists.Lists]:
    """A manager with lists to go by: new ones aside, or those of the host as they are."""
    if settings.refresh:
        return manager.fetch_aside(stack.enter_context(open_directory()), settings.timeout)
    return manager, manager.known(settings.max_age)


def source_findings(manager: Manager, known: lists.Lists) -> list[Finding]:
    """What there is to say about sources that could be read."""
    action = "see to it; the lists were fetched all the same"
    id_ = f"{manager.name}-warning"
    found = [Finding(id_, "info", manager.refreshes, text, action=action) for text in known.warnings]
    for name in known.blind:
        message = "it has no advisories (updateinfo): nobody can tell which of its versions are security fixes"
        action = "name it in security_repositories if all that it brings counts as a fix"
        found.append(Finding("repository-without-advisories", _LOW, name, message, action=action))
    return found


def _packages(manager: Manager, plan: Plan, settings: Settings, outcome: Outcome, notes: _Notes) -> None:
    ways = ways_of(manager, plan, settings.kept)
    outcome.packages = told_packages(plan, ways, settings.policy)
    outcome.new_packages = [{"name": name, "version": version} for name, version in plan.new.items()]
    outcome.configuration = [dataclasses.asdict(one) for one in configuration.changed(manager, plan.changes)]
    others = sorted(set(plan.changes) - set(plan.security))
    if plan.security:
        changes = [plan.changes[name] for name in plan.security]
        message = f"security fixes wait for {named([f'{one.name}{_about(one)}' for one in changes])}"
        action = "upgrade them with steward.maintenance.system_patch"
        severity = advisories.highest(one.severity for one in changes)
        notes.findings.append(Finding("security-waiting", severity, "packages", message, len(plan.security), 0, action))
    if others:
        message = f"newer versions wait for {named(others)}"
        notes.findings.append(Finding("upgrades-waiting", "info", "packages", message, len(others)))
    notes.findings += left_findings(plan, settings.policy, not notes.unknown)
    notes.findings += way_findings(ways)
    notes.figures.update(plan_figures(plan, settings.policy))
    left = len(plan.left_security)
    notes.told.append(
        f"{len(plan.packages)} packages: {len(plan.security)} security fixes and {len(others)} other upgrades wait,"
        f" {len(plan.left)} are left as they are" + (f" ({left} security fixes among them)" if left else "")
    )


def _about(change: Change) -> str:
    about = advisories.told(change.advisories)
    return f" ({about})" if about else ""


def ways_of(manager: Manager, plan: Plan, kept: str) -> dict[str, previous.Way]:
    changed = {name: plan.packages[name] for name in plan.changes}
    return manager.ways_back(changed, plan.tables, kept)


def told_packages(plan: Plan, ways: t.Mapping[str, previous.Way], policy: Policy) -> list[dict[str, t.Any]]:
    """Each package that has a newer version: what it would become, or why it is left."""
    entries = [(change, "ready", "") for change in plan.changes.values()]
    entries += [(one.change, one.why, one.reason) for one in plan.left]
    found = []
    for change, state, reason in sorted(entries, key=lambda entry: entry[0].name):
        way = ways[change.name].where if change.name in ways else ""
        about = {"security": change.is_security, "origins": list(change.origins), "way_back": way}
        about["advisories"] = [one.to_dict() for one in change.advisories]
        found.append({"name": change.name, "installed": change.old, "version": change.new, **about})
        holding = answered(policy, change, utc_now().date())[0] if state != "ready" and change.is_security else None
        until = str(holding.until) if holding else ""
        found[-1].update({"state": state, "reason": reason, "accepted_until": until})
    return found


def left_findings(plan: Plan, policy: Policy, was_whole: bool) -> list[Finding]:
    """Fixes that are left, and packages that never get one.

    :param was_whole: whether all lists can be trusted; if not, nobody knows which accepted ones are of use.
    """
    found = []
    today = utc_now().date()
    orphans = [name for name in plan.orphans if not answered_orphan(policy, name, today)]
    if orphans and was_whole:
        message = (
            f"no archive has any version of {named(orphans)}: fixes for them never come, and none is known to lack"
        )
        action = "remove what nobody needs; for the rest, add its archive, or accept it under an owner's name"
        found.append(Finding("package-without-archive", _LOW, "packages", message, len(orphans), 0, action))
    for one in plan.left:
        change = one.change
        holding, expired = answered(policy, change, today) if change.is_security else (None, None)
        if holding:
            continue
        what = "security fix" if change.is_security else "newer version"
        severity = change.severity if change.is_security else _LEFT_SEVERITY.get(one.why, _LOW)
        id_ = "security-left" if change.is_security else "upgrade-left"
        message = f"its {what} {change.new}{_about(change)} is not installed ({one.why}): {one.reason}"
        message += f"; it was accepted until {expired.until}" if expired else ""
        found.append(Finding(id_, severity, change.name, message, change.old, change.new))
    return found + accepted.judge_entries(policy.accepted, today, (accepted.SYSTEM,), policy.host, was_whole)


def way_findings(ways: t.Mapping[str, previous.Way]) -> list[Finding]:
    lost = sorted(f"{way.name} {way.version}" for way in ways.values() if not way.where)
    if not lost:
        return []
    message = f"no archive and no cache has the installed version of {named(lost)} any more: there is no way back to it"
    action = "take a snapshot first where a way back is needed"
    return [Finding("way-back-missing", _LOW, "packages", message, len(lost), 0, action)]


def plan_figures(plan: Plan, policy: Policy) -> dict[str, float]:
    today = utc_now().date()
    return {
        "packages": len(plan.packages),
        "upgrades": len(plan.changes),
        "security_upgrades": len(plan.security),
        "new_packages": len(plan.new),
        "left": len(plan.left),
        "left_security": len(plan.left_security),
        "without_archive": len(plan.orphans),
        "accepted": sum(answered(policy, one.change, today)[0] is not None for one in plan.left_security),
    }


def named(names: t.Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _preflight(manager: Manager, plan: Plan, outcome: Outcome, notes: _Notes) -> None:
    holders = manager.lock_holders()
    for holder in holders:
        message = f"{holder.told()}: no upgrade can begin"
        notes.findings.append(Finding("lock-held", _MEDIUM, holder.path, message, holder.pid))
    broken = manager.interrupted(plan.packages)
    audit = manager.audit()
    if broken or audit:
        message = broken.told() if broken else f"{manager.audits} says: {audit[:500]}"
        action = f"look at the cause; system_patch with repair: always runs {manager.repairs} first"
        finding = Finding(f"{manager.below}-interrupted", _HIGH, manager.below, message, action=action)
        notes.findings.append(finding)
    needs = preflight.space(manager, manager.sizes({**plan.wanted, **plan.new}, plan.packages))
    outcome.space = [{"path": one.path, "needed_bytes": one.needed, "free_bytes": one.free} for one in needs]
    notes.findings += [space_finding(one) for one in needs if one.is_short]
    notes.findings += clock_findings()
    is_ready = not (holders or broken or audit or any(one.is_short for one in needs))
    notes.told.append("an upgrade could begin" if is_ready else "no upgrade could begin")


def space_finding(need: preflight.Need) -> Finding:
    action = "make room: clean the cache of packages, remove old kernels, or have a larger file system"
    return Finding("space-short", _HIGH, need.path, need.told(), need.free, need.needed, action)


def clock_findings() -> list[Finding]:
    synchronised = preflight.clock_is_synchronised()
    if synchronised:
        return []
    known = "the kernel says that its clock is not synchronised"
    message = known if synchronised is False else "the kernel cannot be asked whether its clock is synchronised"
    action = (
        "set up time synchronisation: a wrong clock makes valid lists of packages look expired, and expired ones valid"
    )
    return [Finding("clock-not-synchronised", _LOW, "clock", message, action=action)]


def _host(manager: Manager, checks: t.Collection[str], outcome: Outcome, notes: _Notes) -> None:
    seen = replaced.Look()
    if SERVICES in checks:
        seen = manager.with_advice(replaced.look())
        outcome.processes = replaced.to_dict(seen)
        if seen.blind:
            some = named([f"{pid} ({why})" for pid, why in seen.blind.items()])
            hint = "" if os.geteuid() == 0 else ": run as root"
            notes.unknown.append(f"what these processes run could not be looked at: {some}{hint}")
        if seen.problem:
            notes.unknown.append(seen.problem)
        for unit, processes in seen.units.items():
            message = "; ".join(replaced.told(one) for one in processes[:3]) or replaced.ADVISED
            notes.findings.append(Finding("service-uses-replaced-files", _MEDIUM, unit, message, len(processes)))
        for one in seen.others:
            message = f"{replaced.told(one)} ({one.place})"
            notes.findings.append(Finding("process-uses-replaced-files", _LOW, f"process {one.pid}", message))
        notes.figures["processes_with_replaced_files"] = len(seen.processes)
        notes.told.append(f"{len(seen.units)} services run replaced files")
    if REBOOT in checks:
        about = manager.reboot(manager.installed(), seen)
        outcome.reboot = about.to_dict()
        notes.findings += [Finding("reboot-needed", _MEDIUM, "host", reason) for reason in about.reasons]
        notes.told.append("a reboot is needed" if about.reasons else "no reboot is needed")
