# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disasters of the guide, drilled: what is lost is restored for real, and it is measured how long that takes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Nothing of production is touched. All that is made has its own directory and is gone at the end, in a failed drill too;
what a killed one leaves is removed by the next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import typing as t

from .._core.durations import format_duration
from .._core.health import Health
from .._core.locks import Busy
from .._core.result import Finding, Result, ok_or_findings
from .._core.suggest import InputError
from .._s3.client import Store
from .._s3.download import Damaged
from .._s3.errors import S3Error
from .._s3.settings import StoreSettings
from .._s3.streams import Streams
from .backup_sets import BackupSet, moment_of
from .connection import PostgresError, connect, one_line, query
from .drill_clock import Clock, Objectives
from .drill_sources import Candidate, OffsiteSource, local_candidates, place_of_its_own
from .drill_traffic import Interrupted, Traffic, TrafficLost, how_to_look, interruptible
from .proofs import Compared, Refuted
from .proving import prove
from .scratch import ScratchServer, Serving
from .signatures import check_public_key
from .verify_plan import Settings as Restoring

#: The scenarios of the guide (5.3), as a person calls them.
SCENARIOS = {
    "database_failure": "database failure",
    "system_failure": "full system failure",
    "regional_outage": "regional outage",
}

_READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = on"


class NotServed(PostgresError):
    """All is restored and proved, and still the application is not well."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is drilled, and with what. Backups come from the store where there is one, else from `restoring.path`."""

    scenario: str
    restoring: Restoring
    objectives: Objectives = dataclasses.field(default_factory=Objectives)
    store: StoreSettings | None = None
    system_identifier: str = ""
    health: Health = dataclasses.field(default_factory=Health)
    serving: Serving = dataclasses.field(default_factory=Serving)
    read_only: bool = True
    traffic: Traffic = dataclasses.field(default_factory=Traffic)
    failed: datetime.datetime | None = None

    @property
    def title(self) -> str:
        return SCENARIOS[self.scenario]


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    backup: str = ""
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        return {"backup": self.backup, "planned": self.planned}


def drill(settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Drill it; whatever goes wrong is in the result. In check mode, tell what would be restored.

    :raises InputError: when the failure is said to lie in the future.
    """
    run = _Drill(settings, Clock(settings.failed), outcome)
    secret = settings.store.secret_key if settings.store else ""
    try:
        if check:
            return run.foretell()
        with interruptible(), place_of_its_own(settings.restoring.scratch_path) as place:
            return run.go(place)
    except Busy as exc:
        return Result("unknown", f"{settings.title} was not drilled", one_line(exc))
    except TrafficLost as exc:
        return run.failed(f"TRAFFIC IS NOT KNOWN TO BE BACK WHERE IT BELONGS: {one_line(exc)}", lost=True)
    except Interrupted as exc:
        if settings.traffic.was_left_behind():
            return run.failed(f"TRAFFIC IS NOT KNOWN TO BE BACK WHERE IT BELONGS: ended by {exc}", lost=True)
        return run.failed(f"the drill was ended by {exc}; all that it had made is gone, and traffic is where it was")
    except (S3Error, PostgresError, InputError, OSError) as exc:
        return run.failed(one_line(exc, secret))


def switch_back(traffic: Traffic, check: bool, outcome: Outcome) -> Result:
    """Only send the traffic back to where it belongs."""
    if not traffic.can_switch:
        return Result("failed", "traffic was not sent back", "traffic_back is empty: no command is known that does it")
    if check:
        noted = "a drill left its note" if traffic.was_left_behind() else "no drill left a note"
        return ok_or_findings(f"traffic would be sent back ({noted})", (), {}, 1, 1)
    try:
        with interruptible():
            traffic.bring_back()
    except (TrafficLost, OSError) as exc:
        return Result("failed", "TRAFFIC IS NOT KNOWN TO BE BACK WHERE IT BELONGS", one_line(exc))
    except Interrupted as exc:
        return Result("failed", "TRAFFIC IS NOT KNOWN TO BE BACK WHERE IT BELONGS", f"ended by {exc} on the way")
    outcome.changed = True
    return ok_or_findings(f"traffic is back: {traffic.at_normal.question}", (), {}, 1, 1)


class _Drill:
    def __init__(self, settings: Settings, clock: Clock, outcome: Outcome) -> None:
        self.settings = settings
        self.clock = clock
        self.outcome = outcome
        self.findings: list[Finding] = []
        self.compared = Compared()
        self.figures: dict[str, float] = {}
        self.restored: BackupSet | None = None

    def foretell(self) -> Result:
        """What would be restored, and how old its data is."""
        with self._candidates("") as candidates:
            candidate = next(candidates, None)
        if not candidate:
            reason = f"there is no backup in {self.settings.restoring.path}"
            return Result("skipped", "nothing to restore yet", f"{reason}, and check mode makes none")
        self.outcome.backup = candidate.where
        self.outcome.planned = [
            {
                "database": ", ".join(candidate.databases),
                "subject": candidate.name,
                "action": "restore",
                "reason": f"{self.settings.title} is drilled",
                "estimate": {"bytes": candidate.bytes},
            }
        ]
        age = _age(candidate.name, self.clock.failed)
        told = self.settings.objectives.told(None, age)
        figures = {"rpo_seconds": round(age), **self.settings.objectives.figures()}
        return ok_or_findings(f"backup {candidate.name} would be restored: {told}", self.findings, figures, 1, 1)

    def go(self, place: str) -> Result:
        traffic = self.settings.traffic
        if traffic.was_left_behind():
            self._come_back()
        check_public_key(self.settings.restoring.public_key)
        if traffic.can_switch:
            traffic.require_normal()
        names = []
        with self._candidates(place) as candidates:
            for candidate in candidates:
                names.append(candidate.name)
                if self._restore(candidate):
                    return self._result(candidate.name)
        where = self.settings.store.place if self.settings.store else self.settings.restoring.path
        none = f"no backup in {where} was begun before the failure"
        return self.failed(f"none of {', '.join(names)} can be restored" if names else none)

    def failed(self, reason: str, lost: bool = False) -> Result:
        """The result when the service did not come back, or nobody knows where its traffic goes."""
        if lost:
            action = how_to_look(self.settings.traffic)
            self.findings.append(Finding("drill-traffic-lost", "critical", self.settings.title, reason, action=action))
        figures = {**self._measured(), **self.settings.objectives.figures()}
        summary = f"the drill of a {self.settings.title} did not end well"
        return Result("failed", summary, reason, tuple(self.findings), figures, 0, 1)

    @contextlib.contextmanager
    def _candidates(self, place: str) -> t.Iterator[t.Iterator[Candidate]]:
        if not self.settings.store:
            yield local_candidates(self.settings.restoring.path, self.clock.failed)
            return
        with Streams(self.settings.store.streams) as streams:
            source = OffsiteSource(Store(self.settings.store), streams, self.settings.system_identifier, place)
            source.findings = self.findings
            yield source.candidates(self.clock.failed)

    def _come_back(self) -> None:
        """A killed drill left its note: first of all, traffic goes to where it belongs."""
        traffic = self.settings.traffic
        if not traffic.can_switch:
            raise TrafficLost(f"a drill that was killed left {traffic.note}, and traffic_back is empty")
        traffic.bring_back()
        self.outcome.changed = True
        message = "a drill was killed while traffic was switched; it was sent back now"
        action = "find out how long users were without a service, and what killed the drill"
        self.findings.append(Finding("drill-left-behind", "high", self.settings.title, message, action=action))

    def _restore(self, candidate: Candidate) -> bool:
        """Whether this one came back. One that does not costs its time, and the data since the next older one."""
        compared = Compared()
        self.compared = compared
        try:
            with self.clock.stage("fetch" if self.settings.store else "choose"):
                backup = candidate.bring()
            self.restored = backup
            self._prove(backup, compared)
        except (Refuted, Damaged) as exc:
            self.restored = None
            message = f"it cannot be restored: {one_line(exc)}"
            action = "look at its storage, and make a new backup"
            self.findings.append(Finding("drill-backup-damaged", "high", candidate.name, message, action=action))
            return False
        self.outcome.backup = candidate.where
        return True

    def _prove(self, backup: BackupSet, compared: Compared) -> None:
        began = self.clock.elapsed

        def then(scratch: ScratchServer) -> None:
            self.clock.stages["recovery"] = self.clock.elapsed - began
            self._serve(scratch, backup)

        try:
            figures = prove(backup, self.settings.restoring, compared, self.settings.serving, then)
        except KeyError as exc:
            raise Refuted(f"its manifest lacks {exc}") from exc
        self.figures = {name: value for name, value in figures.items() if name != "verified_bytes"}

    def _serve(self, scratch: ScratchServer, backup: BackupSet) -> None:
        """All is restored and proved: the application is asked, and traffic comes."""
        if self.settings.read_only and self.settings.serving.listen_addresses:
            _make_read_only(scratch)
        with self.clock.stage("health"):
            databases = [name for name in backup.databases if name != "postgres"]
            environment = {
                "PGHOST": scratch.directory,
                "PGPORT": str(self.settings.serving.port),
                "PGUSER": scratch.login.user,
                "PGDATABASE": (databases or backup.databases or ["postgres"])[0],
            }
            wrong = dataclasses.replace(self.settings.health, environment=environment).wait()
        if wrong:
            raise NotServed(f"backup {backup.name} is restored and proved, but the application is not well: {wrong}")
        if self.settings.traffic.can_switch:
            self.outcome.changed = True
            self.settings.traffic.there_and_back(self.clock)
        else:
            self.clock.service_answers()

    def _measured(self) -> dict[str, float]:
        figures = {**self.figures, **self.clock.figures()}
        if self.clock.rto is not None:
            figures["rto_seconds"] = round(self.clock.rto, 3)
        if self.restored and not self.restored.damage:
            figures["rpo_seconds"] = round(_rpo(self.restored, self.clock.failed))
        return {**figures, "duration_seconds": round(self.clock.elapsed, 3)}

    def _result(self, name: str) -> Result:
        if self.restored is None or self.clock.rto is None:
            raise AssertionError("a drill without a restored backup or an answer has no result")
        compared, objectives = self.compared, self.settings.objectives
        rpo = _rpo(self.restored, self.clock.failed)
        findings = [*self.findings, *compared.findings, *objectives.missed(name, self.clock.rto, rpo)]
        if self.restored.missing_databases:
            missing = ", ".join(sorted(self.restored.missing_databases))
            message = f"these databases of the server are not in the backup, and would be lost: {missing}"
            findings.append(Finding("drill-incomplete", "high", name, message, action="back them up, too"))
        asked = int(self.settings.health.asks)
        looked, of = compared.looked + asked, compared.of + 1
        if self.settings.scenario == "regional_outage":
            of += 1
            looked += int(self.settings.traffic.can_switch)
            if not self.settings.traffic.can_switch:
                message = "traffic was not switched, for no commands are given: the RTO ends when the data is back"
                action = "give the commands and probes of the traffic switch"
                findings.append(Finding("drill-no-traffic", "medium", self.settings.title, message, action=action))
        told = objectives.told(self.clock.rto, rpo)
        well = "the application was well" if asked else "no application was asked"
        summary = (
            f"{self.settings.title}: {told}; backup {name} restored and compared: {compared.databases} databases,"
            f" {compared.tables} tables, {compared.rows} rows; {well}"
        )
        back = self.clock.stages.get("back")
        if back is not None:
            summary += f"; traffic switched and back again {format_duration(back)} later"
        return ok_or_findings(summary, findings, {**self._measured(), **objectives.figures()}, looked, of)


def _rpo(backup: BackupSet, failed: datetime.datetime) -> float:
    """Clocks of two hosts may differ a little; no data is from after the failure."""
    return max(0.0, (failed - backup.started).total_seconds())


def _age(name: str, failed: datetime.datetime) -> float:
    return max(0.0, (failed - moment_of(name)).total_seconds())


def _make_read_only(scratch: ScratchServer) -> None:
    """What users write to a server that is thrown away is lost: their transactions say so instead."""
    conn = connect(scratch.login, application="drill")
    try:
        query(conn, _READ_ONLY)
        query(conn, "SELECT pg_reload_conf()")
    finally:
        conn.close()
