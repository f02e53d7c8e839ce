# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that run replaced files are restarted until none does, or it is told why it still does.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

That a restart command ended well proves nothing: the service must be active as before, and a new look at all processes
must not find it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import os
import typing as t

from .._core.application import ApplicationError, Unit, run_command
from .._core.result import Finding, Result, ok_or_findings
from . import hosts, replaced
from .manager import Manager
from .programs import PatchingError

LEAVE, RESTART = "leave", "restart"
#: Sessions of users and the connections of the host hang on these: a reboot restarts them.
BY_REBOOT = (
    *(
        "dbus.service",
        "dbus-broker.service",
        "systemd-logind.service",
        "gdm*.service",
        "lightdm.service",
        "sddm.service",
    ),
    *("NetworkManager.service", "networking.service", "wpa_supplicant.service", "ifup@*.service", "user@*.service"),
)
#: What runs in these is stopped with them: their own updates have rules of their own.
BY_HAND = (
    *("docker.service", "containerd.service", "crio.service"),
    *("libvirtd.service", "virtqemud.service", "getty@*.service"),
)
_POSTGRES = ("postgresql*.service",)
_ROUNDS = 3
_INIT = "systemd itself"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How restarts are set. `never`: patterns of units."""

    never: tuple[str, ...]
    postgresql: str
    restart_timeout: float
    timeout: float

    def refuses(self, unit: str, own: str) -> tuple[str, bool]:
        """Why a unit is not restarted (empty when it is), and whether a reboot would do it."""
        if unit == own:
            return "this very module runs in it", True
        for patterns, reason, by_reboot in (
            (self.never, "never has %r", False),
            (
                _POSTGRES if self.postgresql == LEAVE else (),
                "database servers are restarted in their own window (%r)",
                False,
            ),
            (BY_REBOOT, "sessions or the network of the host hang on it (%r): a reboot restarts it", True),
            (BY_HAND, "what runs in it would be stopped with it (%r)", False),
        ):
            pattern = next((each for each in patterns if fnmatch.fnmatchcase(unit, each)), "")
            if pattern:
                return reason % pattern, by_reboot
        return "", False


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result shape."""

    changed: bool = False
    restarted: list[str] = dataclasses.field(default_factory=list)
    left: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    processes: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    reboot: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def beside(self) -> dict[str, t.Any]:
        return {
            "restarted": self.restarted,
            "left": self.left,
            "processes": self.processes,
            "reboot": self.reboot,
        }


def restart(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Restart what may be restarted and look again, until a look finds nothing that may."""
    findings: list[Finding] = []
    try:
        with contextlib.closing(hosts.manager(settings.timeout)) as manager:
            return _Round(settings, manager, check_mode, outcome, findings).run()
    except (PatchingError, ApplicationError) as exc:
        return Result("failed", "what runs replaced files was not all restarted", str(exc), tuple(findings))


class _Round:
    """One run of it."""

    def __init__(
        self, settings: Settings, manager: Manager, check_mode: bool, outcome: Outcome, findings: list[Finding]
    ) -> None:
        self._settings = settings
        self._manager = manager
        self._check = check_mode
        self._outcome = outcome
        self._findings = findings
        self._own = replaced.place_of("self")[0]

    def run(self) -> Result:
        seen = self._manager.with_advice(replaced.look())
        for _round in range(_ROUNDS):
            todo = [name for name in self._todo(seen) if name not in self._outcome.restarted]
            if self._check or not todo:
                break
            for name in todo:
                self._restart(name)
            seen = self._manager.with_advice(replaced.look())
        return self._judge(seen)

    def _todo(self, seen: replaced.Look) -> list[str]:
        names = [unit for unit in seen.units if not self._settings.refuses(unit, self._own)[0]]
        is_old = any(one.place == "init" for one in seen.processes) and bool(self._manager.which("systemctl"))
        may_be = not self._settings.refuses("systemd.service", self._own)[0]
        return names + ([_INIT] if is_old and may_be else [])

    def _restart(self, name: str) -> None:
        """:raises ApplicationError: when it does not come back."""
        timeout = self._settings.restart_timeout
        self._outcome.restarted.append(name)
        self._outcome.changed = True
        argv = ["systemctl", "daemon-reexec"] if name == _INIT else ["systemctl", "restart", "--", name]
        status, said = run_command(argv, timeout)
        if status:
            raise ApplicationError(f"{name} does not restart: {said or f'systemctl ended with status {status}'}")
        if name != _INIT and not Unit(name).running():
            raise ApplicationError(f"{name} does not run after its restart")

    def _judge(self, seen: replaced.Look) -> Result:
        about = self._manager.reboot(self._manager.installed(), seen)
        stuck = []
        for unit, processes in seen.units.items():
            why, by_reboot = self._settings.refuses(unit, self._own)
            if not why and self._check:
                continue
            if not why:
                stuck.append(unit)
                why = "it still does after its restart"
            if by_reboot:
                about.reasons.append(f"{unit} runs replaced files, and only a reboot restarts it")
            self._outcome.left.append({"unit": unit, "reason": why, "pids": [one.pid for one in processes]})
            told = "; ".join(replaced.told(one) for one in processes[:3]) or replaced.ADVISED
            self._findings.append(Finding("service-uses-replaced-files", "medium", unit, f"{told}; {why}"))
        for one in seen.others:
            if one.place == "init":
                if not self._check:
                    about.reasons.append("systemd itself runs replaced files")
                continue
            message = f"{replaced.told(one)} ({one.place}): nothing restarts it"
            self._findings.append(Finding("process-uses-replaced-files", "low", f"process {one.pid}", message))
        self._findings += [Finding("reboot-needed", "medium", "host", reason) for reason in about.reasons]
        self._outcome.reboot, self._outcome.processes = about.to_dict(), replaced.to_dict(seen)
        return self._result(seen, stuck)

    def _result(self, seen: replaced.Look, stuck: t.Sequence[str]) -> Result:
        todo = self._todo(seen) if self._check else []
        if self._check:
            self._outcome.restarted, self._outcome.changed = todo, bool(todo)
        done = self._outcome.restarted
        what = f"{len(done)} services {'would be ' if self._check else ''}restarted"
        summary = f"{what}, {len(self._outcome.left)} left with replaced files"
        figures = {"restarted": len(done), "left": len(self._outcome.left), "processes_looked_at": seen.looked}
        looked, of = seen.looked, seen.looked + len(seen.blind)
        if stuck:
            reason = f"{', '.join(stuck)} still runs replaced files after its restart"
            return Result("failed", summary, reason, tuple(self._findings), figures, looked, of)
        if seen.blind or seen.problem:
            names = ", ".join(f"{pid} ({why})" for pid, why in list(seen.blind.items())[:5])
            hint = "" if os.geteuid() == 0 else ": run as root"
            blind = [f"what these processes run could not be looked at: {names}{hint}"] if names else []
            reason = "; ".join([*blind, *([seen.problem] if seen.problem else [])])
            return Result("unknown", summary, reason, tuple(self._findings), figures, looked, of)
        return ok_or_findings(summary, self._findings, figures, looked, of)
