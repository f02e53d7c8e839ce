# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate issued when it is due, with a fresh key, into a directory of its own; what is in use is not touched.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

    current -> versions/20261126T183000Z-0c1f6c5c7f1e9a02
    issue.json    the order that is open, and what the authority said of renewals
    pending.pem   the key of that order

Bringing it into use is another matter: a deployment that fails is tried again without issuing anew.
"""

from __future__ import annotations

import os
import random
import time
import typing as t

from .._core.clock import utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .acme_issue import AcmeIssuer
from .acme_order import HandedOut
from .acme_transport import AcmeError
from .authority import Signer
from .disk import CertificateFile, FileLook
from .issue_due import Due, due_of
from .issue_settings import NotIssued, Outcome, Settings
from .issue_state import State, StateFile
from .judging import Rules, findings_in_file
from .keys import is_signed_by
from .pair import Pair, look_before_deploying, refusals
from .renewal import LATEST, Ari, Moment, moment_of, usual_moment
from .store import FULLCHAIN, KEY, Store, revocation_mark
from .trust import Trust
from .x509 import Certificate, CertificateError, need_library, public_key_of

_SKEW = 60
#: With fewer than so many runs left, twice a day, somebody should come, whatever the share of the lifetime is.
_FEWEST_RUNS = 3


def issue(
    settings: Settings, check_mode: bool, outcome: Outcome, draw: t.Callable[[], float] = random.random
) -> Result:
    """Have the certificate issued when it is due, or leave all as it is and say why."""
    begun = time.monotonic()
    findings: list[Finding] = []
    figures: dict[str, float] = {"issued": 0}
    run = _Run(settings, outcome, findings, figures, draw)
    try:
        need_library()
        if check_mode:
            return run.foretell()
        os.makedirs(settings.directory, mode=0o755, exist_ok=True)
        with lock(os.path.join(settings.directory, "lock")):
            return run.run()
    except (NotIssued, AcmeError, CertificateError) as exc:
        id, reason = getattr(exc, "id", "issue-failed"), str(exc)
        findings.append(Finding(id, run.severity(), settings.directory, reason, action=_ACTIONS[id]))
    except Busy as exc:
        reason = str(exc)
    except OSError as exc:
        reason = f"{exc.filename or settings.directory}: {exc.strerror or exc}"
    finally:
        figures["duration_seconds"] = round(time.monotonic() - begun, 2)
    run.tell_left_behind()
    figures.update(run.figures())
    summary = f"no certificate was issued for {_names(settings.names)}{run.remaining()}"
    return Result("failed", summary, reason, tuple(findings), figures, 0, 1)


_ACTIONS = {
    "issue-failed": "mend the cause; it is tried again by itself, later each time",
    "issue-waiting": "wait, or mend the cause and set retry_now",
    "issue-refused": "see what the authority issued; it was not put into place",
    "issue-too-often": "see why it is issued again and again; set retry_now if that is right",
    "clock-wrong": "set the clock: every date is judged by it",
}


class _Run:
    """One look at a certificate, and the issue of the next one where it is due."""

    def __init__(
        self,
        settings: Settings,
        outcome: Outcome,
        findings: list[Finding],
        figures: dict[str, float],
        draw: t.Callable[[], float],
    ) -> None:
        self._settings = settings
        self._outcome = outcome
        self._findings = findings
        self._figures = figures
        self._draw = draw
        self._store = Store(settings.directory, settings.rights)
        self._file = StateFile(settings.directory)
        self._state = State()
        self._now = utc_now()
        self._used: Certificate | None = None
        self._acme: AcmeIssuer | None = None
        self._signer: Signer | None = None

    def foretell(self) -> Result:
        """What a run would do, asking the authority no more than anybody may."""
        due = self._look()
        if not due.why:
            return self._told("is not due")
        self._refuse_waiting(due, keeps=False)
        self._outcome.changed = True
        self._outcome.diff = {"before": _in_diff(self._used), "after": {"names": sorted(self._settings.names)}}
        return self._told(f"would be issued: {due.why}")

    def run(self) -> Result:
        kept = self._file.read().ari
        due = self._look()
        if self._state.ari != kept:
            self._file.write(self._state)
        if not due.why:
            self._clear_up()
            return self._told("is not due")
        self._refuse_waiting(due, keeps=True)
        try:
            key, certificates = self._issued(due)
        except HandedOut as exc:
            self._outcome.changed, self._outcome.challenges = True, exc.challenges
            return self._told(f"is ordered, and its challenges are to be shown on other hosts: {due.why}")
        pair = Pair(self._settings.directory, tuple(certificates), key, public_key_of(key))
        self._refuse(pair)
        version = self._store.version_for(pair)
        if not self._store.has(version, pair):
            self._store.put(version, pair)
        self._store.switch(version)
        self._outcome.changed = True
        self._outcome.diff = {"before": _in_diff(self._used), "after": _in_diff(pair.own)}
        self._state.issuer = self._issuer()
        self._state.ari = Ari()
        self._clear_up()
        if self._acme:
            self._acme.succeeded(pair.own.lifetime)
        self._used = pair.own
        self._figures["issued"] = 1
        self._describe(version, Moment(usual_moment(pair.own, self._settings.renew_left), "lifetime", Ari()))
        self._prune()
        return self._told(f"was issued: {due.why}")

    def _look(self) -> Due:
        """What is there, and whether it is due."""
        settings, state = self._settings, self._file.read()
        self._state = state
        version = self._store.current()
        self._used = self._store.certificate_of(version)
        self._outcome.previous = version
        if settings.account and settings.challenges:
            self._acme = AcmeIssuer(settings.account, settings.challenges)
        else:
            self._signer = Signer(settings.authority, settings.lifetime)
        moment = None
        if self._used:
            moment = self._moment(self._used)
            self._describe(version, moment)
        due = due_of(settings, self._used, self._key_of(version), state.issuer, self._issuer(), moment, self._now)
        self._outcome.why = due.why
        clock = self._wrong_clock() if self._acme and not due.why else ""
        if clock:
            # Nothing is ordered by a wrong clock, and one that is behind would never let it come due.
            action = _ACTIONS["clock-wrong"]
            self._findings.append(Finding("clock-wrong", "high", settings.directory, clock, action=action))
        return due

    def _wrong_clock(self) -> str:
        """By how much the clock here is wrong, in words, where the authority was asked and said what time it is."""
        ahead = self._acme.ahead if self._acme else None
        if ahead is None or abs(ahead) <= _SKEW:
            return ""
        told = "behind" if ahead > 0 else "ahead of"
        return f"the clock here is {format_duration(abs(ahead))} {told} the authority's"

    def _moment(self, used: Certificate) -> Moment:
        left = self._settings.renew_left
        if not self._acme:
            return Moment(usual_moment(used, left), "lifetime", Ari())
        moment = moment_of(used, self._state.ari, self._now, self._acme.asking(used), self._draw, left)
        self._state.ari = moment.ari
        self._tell_ari(moment.ari)
        return moment

    def _tell_ari(self, ari: Ari) -> None:
        self._figures["ari_fallbacks"] = int(bool(ari.fault))
        if ari.fault in ("", "absent", "no-identifier"):
            return
        message = f"the authority's word on renewals could not be used: {ari.told or ari.fault}"
        action = "nothing: the share of the lifetime decides, or the moment that was drawn before"
        self._findings.append(Finding(f"ari-{ari.fault}", "info", self._settings.directory, message, action=action))

    def _key_of(self, version: str) -> str:
        try:
            with open(os.path.join(self._settings.directory, "versions", version, KEY), "rb") as file:
                return public_key_of(file.read())
        except (OSError, CertificateError):
            return ""

    def _issuer(self) -> dict[str, str]:
        """Whom the certificate is from; another one means that it is issued anew."""
        settings = self._settings
        identity = settings.account.directory_url if settings.account else self._signer.identity if self._signer else ""
        return {"provider": settings.provider, "authority": identity, "profile": settings.profile}

    def _refuse_waiting(self, due: Due, keeps: bool) -> None:
        """:raises NotIssued: when it is not tried yet, or would fail for sure.

        :param keeps: keep for the next run that the authority did not answer.
        """
        if not self._acme:
            return
        names, hurry = self._settings.names, self._settings.retry_now
        # What is in our own files first: an authority that wants to be left alone is.
        waits = [wait for wait in self._acme.waits(names) if wait.is_asked or not hurry]
        if waits:
            first = waits[0]
            asked = "the authority asked for that" if first.is_asked else "it failed before"
            reason = f"{first.name} is not tried again before {write_time(first.until)}, {asked}: {first.why}"
            raise NotIssued(reason, "issue-waiting")
        often = "" if hurry or due.is_urgent else self._acme.too_often(names)
        if often:
            raise NotIssued(often, "issue-too-often")
        try:
            self._acme.refuse_profile(self._settings.profile)
        except AcmeError as exc:
            if not keeps:
                raise
            raise NotIssued(self._acme.failed(names, str(exc), exc.retry_after, self._left())) from None
        clock = self._wrong_clock()
        if clock:
            raise NotIssued(f"{clock}; nothing was ordered", "clock-wrong")

    def _issued(self, due: Due) -> tuple[bytes, list[Certificate]]:
        settings = self._settings
        if self._signer:
            key, certificates = self._signer.issue(settings.names, settings.key_type, self._now)
            wanted, given = self._signer.lifetime, certificates[0].lifetime
            if given < wanted - _SKEW:
                message = (
                    f"it lives for {format_duration(given)}, not {format_duration(wanted)}: its authority ends then"
                )
                action = "make a new authority in time"
                self._findings.append(Finding("lifetime-cut", "medium", settings.directory, message, action=action))
            return key, certificates
        if not self._acme:
            raise NotIssued("there is no provider")
        replaced = self._used if due.may_replace else None
        issued = self._acme.issue(settings, self._file, self._state, replaced)
        self._figures["orders_resumed"] = int(issued.was_resumed)
        if issued.replaces_refused:
            message = f"the order was placed without `replaces`: {issued.replaces_refused}"
            self._findings.append(Finding("replaces-refused", "info", settings.directory, message))
        if issued.chain_missing:
            message = (
                f"the authority offers no chain that leads to {settings.preferred_chain!r}; its usual one was taken"
            )
            action = "name another one in preferred_chain, or none"
            self._findings.append(Finding("chain-not-offered", "low", settings.directory, message, action=action))
        return issued.key, issued.certificates

    def _refuse(self, pair: Pair) -> None:
        """:raises NotIssued: when what came is not what was wanted."""
        if self._settings.trust:
            found = look_before_deploying(pair, self._settings.names, Trust(self._settings.trust))
        else:
            mismatch = pair.public_key != pair.own.public_key
            problems = (("mismatch", "its key belongs to another certificate"),) if mismatch else ()
            file = CertificateFile(pair.source, names=self._settings.names)
            found = findings_in_file(FileLook(file, "", pair.certificates, key_problems=problems), Rules({}, utc_now()))
        refused = [finding.message for finding in refusals(found)]
        chain = pair.certificates
        if not all(is_signed_by(lower.der, upper.der) for lower, upper in zip(chain, chain[1:])):
            refused.append("its chain is none: a certificate in it is not signed by the next one")
        if refused:
            self._file.drop_pending()
            self._state.order = {}
            self._file.write(self._state)
            if self._acme:
                self._acme.failed(self._settings.names, "; ".join(refused), None, self._left())
            raise NotIssued("; ".join(refused), "issue-refused")
        self._findings.extend(found)

    def _clear_up(self) -> None:
        """Nothing of an order stays that came to its end, or that is not wanted any more."""
        had_order = bool(self._state.order or self._state.challenges)
        if self._acme and self._state.challenges:
            self._acme.clear(self._state, self._file)
        self._state.order = {}
        if had_order or self._outcome.changed:
            self._file.write(self._state)
        self._file.drop_pending()

    def _describe(self, version: str, moment: Moment) -> None:
        place = os.path.join(self._settings.directory, "versions", version)
        outcome, ari = self._outcome, moment.ari
        outcome.version = version
        outcome.fullchain, outcome.key = os.path.join(place, FULLCHAIN), os.path.join(place, KEY)
        own = self._store.certificate_of(version)
        outcome.fingerprint = own.fingerprint if own else ""
        outcome.renewal = {
            "at": write_time(moment.at),
            "source": moment.source,
            "fallback": ari.fault,
            "window": [ari.start, ari.end] if ari.start else [],
            "asks_again": ari.asks_again,
            "explanation": ari.explanation,
        }

    def _prune(self) -> None:
        try:
            spared = {self._outcome.previous, *self._to_be_revoked()}
            self._outcome.removed = self._store.prune(self._settings.keep, spared)
        except OSError as exc:
            message = f"old versions cannot be removed: {exc.filename}: {exc.strerror or exc}"
            action = "remove them by hand: there are keys in them"
            self._findings.append(Finding("versions-left", "low", self._settings.directory, message, action=action))

    def _to_be_revoked(self) -> list[str]:
        """The versions without which nobody could revoke what is compromised."""
        wanted = self._settings.compromised if self._acme else ()
        left = {each for each in wanted if not os.path.exists(revocation_mark(self._settings.directory, each))}
        owned = [(name, self._store.certificate_of(name)) for name in (self._store.versions() if left else ())]
        return [name for name, own in owned if own and own.fingerprint in left]

    def tell_left_behind(self) -> None:
        """What was put somewhere for the authority and is there still."""
        if self._acme and self._state.challenges:
            why = self._acme.left_behind[-1] if self._acme.left_behind else "the run before was stopped"
            where = ", ".join(each.get("path") or each.get("record", "") for each in self._state.challenges)
            action = "mend the cause; each run tries again, or take it away by hand"
            message = f"a proof for the authority is left in {where}: {why}"
            self._findings.append(Finding("challenge-left", "low", self._settings.directory, message, action=action))

    def _left(self) -> float:
        return self._used.left(self._now) if self._used else 0

    def severity(self) -> str:
        """How bad it is that nothing was issued: what is left of the one in place decides."""
        if self._used is None or self._left() <= 0:
            return "critical"
        fraction, runs = self._used.fraction_left(self._now), self._left() / LATEST
        return "high" if fraction < 0.1 or runs < _FEWEST_RUNS else "medium"

    def remaining(self) -> str:
        if self._used is None:
            return ", and there is none in place"
        left = self._left()
        told = f"in {format_duration(left)}" if left > 0 else f"{format_duration(-left)} ago"
        return f"; the one in place ends {told}"

    def figures(self) -> dict[str, float]:
        found = self._figures
        if self._acme:
            found.update(self._acme.figures())
        if self._used:
            found["left_percent"] = round(100 * self._used.fraction_left(self._now), 2)
        return found

    def _told(self, what: str) -> Result:
        self.tell_left_behind()
        certificate, until = self._used, ""
        if certificate:
            until = f" until {write_time(certificate.not_after)}"
        when = self._outcome.renewal.get("at", "")
        source = "as its authority says" if self._outcome.renewal.get("source") == "ari" else "by its lifetime"
        due = f"; it is due on {when}, {source}" if when else ""
        summary = f"the certificate for {_names(self._settings.names)}{until} {what}{due}"
        return ok_or_findings(summary, self._findings, self.figures(), 1, 1)


def _names(names: t.Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _in_diff(certificate: Certificate | None) -> dict[str, t.Any]:
    if certificate is None:
        return {}
    about = {"fingerprint": certificate.fingerprint, "names": sorted(certificate.names)}
    return {"not_after": write_time(certificate.not_after), **about}
