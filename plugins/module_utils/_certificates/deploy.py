# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pair brought into use: kept beside the old one, swapped by one rename, loaded, proved everywhere, or taken back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Issuing is another matter: a deployment that failed is tried again with the same pair, as often as it takes.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core.application import ApplicationError
from .._core.clock import utc_now, write_time
from .._core.journal import Journal, JournalError, Step, StepFailed
from .._core.result import Finding, Result, ok_or_findings
from .handshake import Endpoint
from .pair import Pair, look_before_deploying, read_pair, refusals
from .proof import Listeners, name_of
from .service import CommandRefused, Service
from .store import Rights, Store
from .trust import Trust
from .x509 import Certificate, CertificateError, need_library


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is deployed, where, for which service, and what counts as proof."""

    certificate: str
    key: str
    chain: str
    directory: str
    rights: Rights
    names: tuple[str, ...]
    listeners: tuple[Endpoint, ...]
    trust: Trust
    service: Service
    state_dir: str
    timeout: float = 5
    patience: float = 30
    handshakes: int = 3
    keep: int = 3
    allow_older: bool = False
    accept_down: bool = False


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    version: str = ""
    previous: str = ""
    removed: list[str] = dataclasses.field(default_factory=list)
    diff: dict[str, t.Any] = dataclasses.field(default_factory=dict)


class _Waits(JournalError):
    """A first pair stays, though nobody can test it yet: as a JournalError it is neither undone nor called done."""


class _Refused(Exception):
    """Nothing was touched; the text says why."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


@dataclasses.dataclass
class _Deployment:
    """What all steps need. Without a pair it can only be taken back."""

    store: Store
    service: Service
    listeners: Listeners
    handshakes: int
    references: t.Mapping[str, t.Any]
    pair: Pair | None = None
    #: A killed run left it.
    resumed: bool = False
    #: The service may have loaded it, in part or as a whole.
    reloaded: bool = False

    @property
    def version(self) -> str:
        return str(self.references["version"])

    @property
    def previous(self) -> str:
        return str(self.references["previous"])

    @property
    def wanted(self) -> tuple[Certificate, ...]:
        return self.pair.certificates if self.pair else ()

    def is_served(self) -> bool:
        """Whether the service has loaded it, so that there is nothing to test and to reload.

        After a switch it has not, even if it serves the same certificate from elsewhere, or with the chain of before.
        """
        if self.previous != self.version:
            used = self.store.certificate_of(self.previous)
            is_same = used is not None and self.pair is not None and used.fingerprint == self.pair.own.fingerprint
            if is_same or not self.resumed:
                return False
        return not self.listeners.problem(self.wanted)

    def steps(self) -> list[Step]:
        return [_Keep(self), _Switch(self), _Test(self), _Reload(self), _Prove(self)]


class _Part:
    name = ""
    point_of_no_return = False

    def __init__(self, deployment: _Deployment) -> None:
        self._on = deployment
        self._over = False

    def undo(self) -> None:
        """What it did needs no taking back."""


class _Keep(_Part):
    name = "keep the pair"

    def is_done(self) -> bool:
        store, version = self._on.store, self._on.version
        return self._is_there() and not store.wrong_rights(version)

    def do(self) -> None:
        if self._is_there():
            self._on.store.mend_rights(self._on.version)
        elif self._on.pair is not None:
            self._on.store.put(self._on.version, self._on.pair)

    def undo(self) -> None:
        self._on.store.remove(self._on.version)

    def _is_there(self) -> bool:
        return self._on.pair is not None and self._on.store.has(self._on.version, self._on.pair)


class _Switch(_Part):
    name = "switch to it"

    def is_done(self) -> bool:
        return self._on.store.current() == self._on.version

    def do(self) -> None:
        self._on.store.switch(self._on.version)

    def undo(self) -> None:
        """Back to the previous pair, on the disk and in the running service."""
        store, listeners, before = self._on.store, self._on.listeners, self._on.references["before"]
        store.switch(self._on.previous)
        old = store.certificate_of(self._on.previous)
        also = old.fingerprint if old else ""
        if not self._on.reloaded and not listeners.difference(before, also):
            return
        told = ""
        try:
            self._on.service.reload()
        except ApplicationError as exc:
            told = f"; {exc}"
        # Whatever the command said, what is served decides.
        left = listeners.wait_for_before(before, also, self._on.handshakes)
        if left:
            raise CertificateError(f"the previous pair is back in its place, but {left}{told}")


class _Test(_Part):
    name = "test the configuration"

    def is_done(self) -> bool:
        return self._over or self._on.is_served()

    def do(self) -> None:
        try:
            self._on.service.test()
        except CommandRefused as exc:
            if self._on.previous or not self._fails_without():
                raise
            raise _Waits(
                f"the service's configuration cannot be used yet, with this certificate or without: {exc}"
            ) from exc
        self._over = True

    def _fails_without(self) -> bool:
        """Whether something else is missing: of two first pairs, neither would ever be there while each is undone."""
        store = self._on.store
        store.switch("")
        try:
            self._on.service.test()
        except CommandRefused:
            return True
        finally:
            store.switch(self._on.version)
        return False


class _Reload(_Part):
    name = "reload the service"

    def is_done(self) -> bool:
        return self._over or self._on.is_served()

    def do(self) -> None:
        self._on.service.reload()
        left = self._on.listeners.wait_for(self._on.wanted)
        if left:
            raise CertificateError(left)
        self._over = True

    def undo(self) -> None:
        """The switch back comes after this, and has to reload: one process of several may have loaded the pair."""
        self._on.reloaded = True


class _Prove(_Part):
    """Several handshakes everywhere: behind one address there may be several processes."""

    name = "prove it at every listener"

    def is_done(self) -> bool:
        return self._over

    def do(self) -> None:
        problem = self._on.listeners.wait_for(self._on.wanted, self._on.handshakes)
        if problem:
            raise CertificateError(problem)
        self._over = True


def deploy(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Bring the pair into use, or leave all as it was and say why.

    :raises InputError: when the trust bundle cannot be read.
    """
    findings: list[Finding] = []
    try:
        need_library()
        pair = read_pair(settings.certificate, settings.key, settings.chain)
        names = [*settings.names, *(name for each in settings.listeners for name in each.names)]
        findings += look_before_deploying(pair, names, settings.trust)
        refused = refusals(findings)
        if refused:
            raise _Refused("failed", "; ".join(finding.message for finding in refused))
        return _Run(settings, pair, findings, outcome).run(check_mode)
    except _Refused as exc:
        what = "nothing was touched beside what a killed run had left" if outcome.changed else "nothing was touched"
        return _not_done(settings, exc.verdict, f"{exc}; {what}", findings)
    except _Waits as exc:
        action = "mend what is told, or bring what is missing there, and run again: it goes on from here"
        findings.append(Finding("deploy-waits", "high", settings.directory, str(exc), action=action))
        return _not_done(settings, "failed", f"{exc}; it lies ready for the next run", findings)
    except (CertificateError, JournalError) as exc:
        return _not_done(settings, "failed", str(exc), findings)
    except StepFailed as exc:
        action = "mend the cause and run again: the same pair is tried, nothing has to be issued anew"
        reason = _reason_of(exc)
        findings.append(Finding("deploy-failed", "high", settings.directory, reason, action=action))
        return _not_done(settings, "failed", reason, findings)
    except OSError as exc:
        return _not_done(settings, "failed", f"{exc.filename or settings.directory}: {exc.strerror or exc}", findings)


def _reason_of(exc: StepFailed) -> str:
    """What failed; where the way back failed too, what failed before that as well."""
    first = exc.__cause__.__context__ if exc.__cause__ and not exc.undone else None
    return f"{first}; and then {exc}" if first else str(exc)


def _not_done(settings: Settings, verdict: str, reason: str, findings: t.Sequence[Finding]) -> Result:
    summary = f"the certificate {settings.certificate} was not brought into use"
    return Result(verdict, summary, reason, tuple(findings), of=len(settings.listeners))


class _Run:
    """One deployment from the look at what is there to the removal of what is no longer needed."""

    def __init__(self, settings: Settings, pair: Pair, findings: t.Sequence[Finding], outcome: Outcome) -> None:
        self._settings = settings
        self._pair = pair
        self._findings = list(findings)
        self._outcome = outcome
        self._store = Store(settings.directory, settings.rights)
        self._listeners = Listeners(settings.listeners, settings.trust, settings.timeout, settings.patience)

    def run(self, check_mode: bool) -> Result:
        journal = Journal(self._settings.state_dir, f"certificate in {os.path.abspath(self._settings.directory)}")
        if check_mode:
            return self._foretell(journal.peek())
        with journal:
            try:
                if not self._run(journal):
                    return self._told("is in use already")
            except StepFailed as exc:
                self._outcome.changed = self._outcome.changed or not exc.undone
                raise
            self._outcome.changed = True
        self._prune()
        return self._told("is in use now")

    def _run(self, journal: Journal) -> bool:
        """Whether anything had to be done."""
        references, is_return = journal.references, journal.is_being_undone
        if references is not None and references["pair"] != self._pair.version:
            # Another pair was wanted then. It is not proved, so it goes; how far it came is not known here.
            deployment = self._with(references, None)
            deployment.reloaded = True
            self._outcome.changed = journal.abandon(deployment.steps())
            references = None
        resumed = references is not None
        if references is None:
            references = self._references()
        self._tell(references)
        if not resumed and self._is_in_use(references):
            return False
        deployment = self._with(references, self._pair)
        deployment.resumed, deployment.reloaded = resumed and not is_return, is_return
        try:
            journal.run(deployment.steps(), references)
        except _Waits:
            self._outcome.changed = self._outcome.changed or not resumed
            raise
        return True

    def _references(self) -> dict[str, t.Any]:
        """What a later process needs to go on, or back.

        :raises _Refused: when nobody could tell afterwards whether all is as it was.
        """
        current, before = self._store.current(), self._listeners.served()
        self._refuse_older(current)
        dead = [name_of(each) for each in before if not each["fingerprint"]]
        if dead and current and not self._settings.accept_down:
            told = f"{', '.join(dead)} cannot be looked at, and so nobody could tell whether a way back led there"
            raise _Refused("unknown", f"{told}; start it first, or set accept_down")
        version = self._store.version_for(self._pair)
        return {"pair": self._pair.version, "version": version, "previous": current, "before": before}

    def _refuse_older(self, current: str) -> None:
        used = self._store.certificate_of(current)
        if used and self._pair.own.not_before < used.not_before and not self._settings.allow_older:
            told = f"it was issued for {write_time(self._pair.own.not_before)}, before the one in use"
            raise _Refused("failed", f"{told} ({write_time(used.not_before)}); set allow_older if that is meant")

    def _with(self, references: t.Mapping[str, t.Any], pair: Pair | None) -> _Deployment:
        settings = self._settings
        return _Deployment(self._store, settings.service, self._listeners, settings.handshakes, references, pair)

    def _is_in_use(self, references: t.Mapping[str, t.Any]) -> bool:
        version = references["version"]
        kept = self._store.current() == version and self._store.has(version, self._pair)
        return kept and not self._store.wrong_rights(version) and not self._listeners.problem(self._pair.certificates)

    def _tell(self, references: t.Mapping[str, t.Any]) -> None:
        self._outcome.version, self._outcome.previous = references["version"], references["previous"]
        used = self._store.certificate_of(references["previous"])
        self._outcome.diff = {"before": _in_diff(references["previous"], used)}
        self._outcome.diff["after"] = _in_diff(references["version"], self._pair.own)

    def _foretell(self, unfinished: t.Mapping[str, t.Any] | None) -> Result:
        references = unfinished if unfinished and unfinished["pair"] == self._pair.version else self._references()
        self._tell(references)
        if unfinished is None and self._is_in_use(references):
            return self._told("is in use already")
        self._outcome.changed = True
        return self._told("would be brought into use" + (", after what a killed run left" if unfinished else ""))

    def _prune(self) -> None:
        try:
            self._outcome.removed = self._store.prune(self._settings.keep, (self._outcome.previous,))
        except OSError as exc:
            message = f"old versions cannot be removed: {exc.filename}: {exc.strerror or exc}"
            action = "remove them by hand: there are keys in them"
            self._findings.append(Finding("versions-left", "low", self._settings.directory, message, action=action))

    def _told(self, what: str) -> Result:
        names = ", ".join(self._pair.own.names[:3]) or self._pair.own.subject
        looked = len(self._settings.listeners)
        summary = f"the certificate for {names} until {write_time(self._pair.own.not_after)} {what}"
        figures = {"listeners": looked, "left_seconds": round(self._pair.own.left(utc_now()))}
        return ok_or_findings(summary, self._findings, figures, looked, looked)


def _in_diff(version: str, certificate: Certificate | None) -> dict[str, t.Any]:
    if certificate is None:
        return {"version": version}
    about = {"fingerprint": certificate.fingerprint, "names": list(certificate.names)}
    return {"version": version, "not_after": write_time(certificate.not_after), **about}
