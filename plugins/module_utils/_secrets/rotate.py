# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation from its need to its proof: what is due, what a killed run left, the steps, and what came of them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import time
import typing as t

from .._core.clock import utc_now
from .._core.durations import format_duration
from .._core.journal import Journal, JournalBusy, JournalError, StepFailed
from .._core.result import Finding, Result
from .._core.suggest import InputError
from . import store as stores
from .ages import age_of
from .consumers import ConsumerFailed
from .foretell import foretell
from .left import Left, close
from .placing import PlacingError
from .rotation import NotEverywhere, Overlapping, Rotation, StaysOpen, StillInUse
from .steps import steps_of
from .store import CURRENT, Secret, StoreError
from .target import moment_of, moment_of_set
from .work import Busy, Outcome, Stopped, Work

_MASK = "********"
_TOO_SHORT_TO_HIDE = 3


def rotate(work: Work, check: bool, outcome: Outcome) -> Result:
    """Rotate what is due; take up first what a killed run has left.

    :raises InputError: for settings that do not fit the secret or the unfinished rotation.
    """
    run = Run(work, outcome)
    expected: tuple[type[BaseException], ...] = (
        StoreError,
        PlacingError,
        Stopped,
        JournalError,
        StepFailed,
        OSError,
        *work.target.errors,
    )
    try:
        return foretell(run) if check else run.go()
    except (Busy, JournalBusy) as exc:
        return Result("unknown", "nothing was rotated", run.clean(f"busy: {exc}"), of=1)
    except StaysOpen as exc:
        return run.open(exc)
    except StepFailed as exc:
        return run.failed(exc)
    except expected as exc:
        return Result("failed", "the secret was not rotated", run.clean(str(exc)), tuple(run.findings), {}, 0, 1)
    finally:
        work.target.close()


class Run:
    """One run, forwards. L{rollback} goes backwards with the same parts."""

    def __init__(self, work: Work, outcome: Outcome) -> None:
        self.work = work
        self.store = work.store
        self.target = work.target
        self.outcome = outcome
        self.findings: list[Finding] = []
        self.rotation: Rotation | None = None
        self.began = time.monotonic()
        self._hidden: set[str] = set()

    # -- what is there -------------------------------------------------------------------------------------------

    def go(self) -> Result:
        with Journal(self.work.state_dir, self.work.subject) as journal:
            holder = self.target.busy()
            if holder:
                raise Busy(holder)
            begun = journal.references or {}
            how = self._take_up(journal)
            if how == "undone" and self.work.others.seen is not None:
                # The end of what this very play has begun: that it is due still is for the next one.
                told = tuple(self.findings)
                return Result("findings", "the rotation was taken back", "", told, self._figures(), 1, 1)
            if self.rotation:
                done = self._done("a rotation that was killed was brought to its end: ")
                if not self._leaked_since(begun):
                    return done
                self._lay_aside()
            current = self.current()
            if current is None:
                return self.first()
            left = Left(self.work, lambda secret: self._hidden.update(self.target.hidden(secret)))
            token = self._left_pending(left, current)
            if not token:
                self._close_left_open(left, current)
            age, due = self.age(current.version)
            if not (due or token or self.work.need.force):
                self._shut_out_others(current)
                return self.not_due(current, age)
            self._begin(journal, current, token)
            return self._done("")

    def _leaked_since(self, begun: t.Mapping[str, t.Any]) -> bool:
        """A rotation that began before anybody knew of a leak has not replaced what leaked."""
        return self.work.need.force and self.work.is_emergency and not begun.get("emergency", False)

    def _take_up(self, journal: Journal) -> str:
        """Bring a rotation that was killed to its end: "done", "undone", or "" without any."""
        references = journal.references
        if references is None:
            return ""
        self._refuse_another_strategy(references)
        rotation = self._rotation(references, moment_of_set(journal, self.target))
        rotation.switched = moment_of(journal, "reload")
        self._refuse_ended_elsewhere(rotation, journal.path)
        self.rotation = rotation
        self.outcome.changed = True
        how = journal.resume(steps_of(rotation))
        if how == "undone":
            self._tell_undone(rotation, "a rotation that was killed while it was taken back is taken back now")
            self._lay_aside()
        return how

    def _lay_aside(self) -> None:
        self._hidden |= self.rotation.hidden if self.rotation else set()
        self.rotation = None

    def _refuse_another_strategy(self, references: t.Mapping[str, t.Any]) -> None:
        if references["strategy"] != self.target.strategy:
            raise InputError(
                f"an unfinished rotation of {self.store.place} is {references['strategy']!r}, not"
                f" {self.target.strategy!r}: finish it with the settings with which it was begun"
            )

    def _refuse_ended_elsewhere(self, rotation: Rotation, path: str) -> None:
        if rotation.is_ended_elsewhere():
            raise Stopped(
                f"the unfinished rotation {rotation.token} of this host was ended elsewhere, and {self.store.place} has"
                f" another current version since: remove {path}"
            )

    def current(self) -> Secret | None:
        current = self.store.read(CURRENT)
        if current:
            self._hidden |= self.target.hidden(current)
            for name in ("username", "password"):
                if not isinstance(current.value.get(name), str) or not current.value[name]:
                    raise Stopped(f"the current version of {self.store.place} has no {name}")
        return current

    def first(self) -> Result:
        """Store the password that is in use, once it has been seen that it is."""
        present = self.work.need.present
        if present is None:
            raise Stopped(
                f"{self.store.place} has no current version: give the password that is in use in present_password,"
                " once; it is stored when a login has proved it"
            )
        user, password = present
        token = stores.new_token()
        secret = Secret(token, {"username": user, "password": password})
        self._hidden |= self.target.hidden(secret)
        if not self.target.fits(secret):
            raise InputError(f"present_user is {user!r}: it is none of the users of this secret")
        if not self.target.opens(secret):
            raise Stopped(f"present_password does not log {user} in at {self.target.name}: nothing was stored")
        self.store.create_first(token, secret.value)
        stored = self.store.read(CURRENT)
        if stored is None or dict(stored.value) != dict(secret.value):
            raise Stopped(f"{self.store.place} does not give back what was stored")
        self.outcome.changed = True
        self.outcome.version = token
        self.outcome.after = {"current": f"{token} ({user})"}
        summary = f"the password of {user} that is in use is stored; it is rotated when it is due"
        return Result("ok", summary, looked=1, of=1, figures=self._figures())

    def _left_pending(self, left: Left, current: Secret) -> str:
        """The token of a rotation that somebody else left half-way, to go on with."""
        token = left.pending(current)
        self.outcome.changed |= left.withdrawn
        if left.told:
            self.findings.append(Finding("secret-left-pending", "low", self.store.place, left.told))
        return token

    def _close_left_open(self, left: Left, current: Secret) -> None:
        """Close an old secret that is open beside the current one, and of whose rotation this host has no journal."""
        old = left.open(current)
        if old is None:
            return
        values = (current.version, old.version, current.username, old.username)
        references = dict(zip(("token", "old_version", "user", "old_user"), values))
        self.rotation = self._rotation(references, self.target.moment())
        self.rotation.switched = left.switched(current)
        self.outcome.changed = True
        close(self.rotation)
        self._lay_aside()
        told = f"version {old.version} of {old.username} still opened without a rotation of this host: it is closed"
        self.findings.append(Finding("secret-left-open", "medium", self.store.place, told))

    def age(self, version: str) -> tuple[float | None, bool]:
        """Seconds since the version was made, and whether it is due. One without a date is due."""
        current = next((found for found in self.store.versions() if found.id == version), None)
        age = age_of(current, utc_now())
        need = self.work.need
        return age, age is None or age >= need.period * need.from_percent / 100

    # -- what is done --------------------------------------------------------------------------------------------

    def _begin(self, journal: Journal, current: Secret, token: str) -> None:
        if not token and not self.target.opens(current):
            self._nothing_opens(current)
        fields = self.target.fields(current)
        for placed in self.work.files:
            placed.check(fields)
            placed.is_right(fields)  # what cannot be read or found is told before anything is touched
        for gate in self.work.gates if not token else ():
            wrong = gate.pool.refusal(current)
            if wrong:
                raise Stopped(f"pool {gate.pool.name} does not let {current.username} in now: {wrong}")
        who = self.target.prepare(current)
        references = {
            "token": token or stores.new_token(),
            "old_version": current.version,
            "strategy": self.target.strategy,
            "emergency": self.work.is_emergency,
            **who,
        }
        self.rotation = self._rotation(references, self.target.moment())
        self.rotation.adopted = bool(token)
        self.outcome.before = {"current": f"{current.version} ({current.username})"}
        self.outcome.changed = True
        journal.run(steps_of(self.rotation), references)

    def _nothing_opens(self, current: Secret) -> None:
        previous = self.store.read(stores.PREVIOUS)
        if previous is None or not self.target.fits(previous) or not self.target.opens(previous):
            raise Stopped(
                f"the current version of {self.store.place} does not log {current.username} in at {self.target.name},"
                " and no other version does: it is another's secret, or the role was changed by hand. Set the role's"
                " password to the current one, or store the one that is in use"
            )
        message = f"the database had the previous version {previous.version} instead of the current one"
        self.findings.append(Finding("secret-label-ahead", "medium", self.store.place, message))

    def _rotation(self, references: t.Mapping[str, t.Any], set_at: str) -> Rotation:
        work = self.work
        return Rotation(
            store=work.store,
            target=work.target,
            consumers=work.consumers,
            health=work.health,
            policy=work.policy,
            token=references["token"],
            old_version=references["old_version"],
            user=references["user"],
            old_user=references["old_user"],
            set_at=set_at,
            gates=work.gates,
            others=work.others,
        )

    # -- what came of it -----------------------------------------------------------------------------------------

    def _done(self, how: str) -> Result:
        rotation = t.cast(Rotation, self.rotation)
        rotation.end_old()
        new = rotation.new()
        if not self.target.opens(new):
            raise Stopped(f"the new secret of {new.username} does not open the database after the rotation")
        self._look_at_the_old(rotation)
        self._shut_out_others(new)
        outcome = self.outcome
        outcome.rotated = True
        outcome.version, outcome.old_version, outcome.written = rotation.token, rotation.old_version, rotation.written
        outcome.after = {"current": f"{rotation.token} ({new.username})"}
        # In an emergency nobody has waited for them.
        outcome.missing_hosts = rotation.others.missing(rotation.token)
        owned = sum(self.target.owned().values())
        if owned:
            message = f"{owned} objects belong to a login role instead of the owner role"
            self.findings.append(
                Finding("secret-owned-by-login", "medium", self.target.name, message, owned, 0, "REASSIGN OWNED BY")
            )
        text = (
            f"{how}{new.username} has a new password, proved by {int(rotation.figures.get('tested_logins', 1))} logins"
        )
        summary = f"{text}; the old one opens nothing any more"
        if rotation.figures.get("failed_logins") is None:
            summary += "; nobody looked for refused logins"
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, self.clean(summary), "", tuple(self.findings), self._figures(), 1, 1)

    def _shut_out_others(self, current: Secret) -> None:
        """Have pools forget the roles that are closed; one that cannot be told now is told by the next run."""
        for gate in self.work.gates:
            for other in self.target.others(current.username):
                try:
                    self.outcome.changed |= gate.shut_out(other)
                except (ConsumerFailed, PlacingError) as exc:
                    message = self.clean(f"it may still know {other}, which is closed: {exc}")
                    self.findings.append(Finding("secret-pool-knows-old", "medium", gate.pool.name, message))

    def _look_at_the_old(self, rotation: Rotation) -> None:
        uses = rotation.uses()
        if uses:
            message = f"sessions that the old password let in live on: {'; '.join(uses[:5])}"
            action = "they end with their pools; old_sessions: end ends them"
            self.findings.append(Finding("secret-old-sessions", "low", self.target.name, message, len(uses), 0, action))

    def open(self, exc: StaysOpen) -> Result:
        """The new secret is in use, and the old one not closed yet."""
        rotation = t.cast(Rotation, self.rotation)
        self.outcome.rotated = True
        self.outcome.version, self.outcome.old_version = rotation.token, rotation.old_version
        self.outcome.written, self.outcome.stays_open = rotation.written, True
        reason = self.clean(str(exc))
        summary = "the new secret is in use; the old one stays open until nobody uses it, which the next run looks at"
        if isinstance(exc, Overlapping):
            wait = {"wait_seconds": max(0, int((exc.until - utc_now()).total_seconds()))}
            summary = f"the new secret is in use; {reason}, and a later run closes the old one"
            verdict = "findings" if self.findings else "ok"
            return Result(verdict, summary, "", tuple(self.findings), {**self._figures(), **wait}, 1, 1)
        if isinstance(exc, NotEverywhere):
            self.outcome.missing_hosts = exc.hosts
            if rotation.others.seen is None:
                summary = f"the new secret is in use here; now it is the turn of {', '.join(exc.hosts)}"
                return Result("ok", summary, "", tuple(self.findings), self._figures(), 1, 1)
        if not isinstance(exc, StillInUse):
            return Result("unknown", summary, reason, tuple(self.findings), self._figures(), 0, 1)
        finding = Finding(
            "secret-old-in-use", "medium", self.target.name, reason, len(exc.uses), 0,
            "have them take up the new secret, or end them with old_sessions: end",
        )  # fmt: skip
        return Result("findings", summary, "", (*self.findings, finding), self._figures(), 1, 1)

    def failed(self, exc: StepFailed) -> Result:
        rotation = t.cast(Rotation, self.rotation)
        reason = str(exc)
        self.outcome.stays_open = not exc.undone
        if isinstance(exc.__cause__, NotEverywhere):
            self.outcome.missing_hosts = exc.__cause__.hosts
        if exc.undone:
            self._tell_undone(rotation, "")
            reason += self._old_state(rotation)
        return Result(
            "failed", "the secret was not rotated", self.clean(reason), tuple(self.findings), self._figures(), 0, 1
        )

    def _old_state(self, rotation: Rotation) -> str:
        expected: tuple[type[BaseException], ...] = (StoreError, *self.target.errors)
        try:
            old = rotation.old()
            opens = old is not None and self.target.opens(old)
        except expected as exc:
            return f"; whether the old secret opens could not be looked at: {exc}"
        return "; the old secret was seen to open" if opens else "; THE OLD SECRET DOES NOT OPEN"

    def _tell_undone(self, rotation: Rotation, what: str) -> None:
        if what:
            self.findings.append(Finding("secret-taken-back", "medium", self.store.place, what))
        for problem in dict.fromkeys(rotation.problems):
            message = self.clean(f"after all was taken back: {problem}")
            self.findings.append(
                Finding("secret-consumer-unproved", "high", self.store.place, message, action="look at that consumer")
            )

    def not_due(self, current: Secret, age: float | None) -> Result:
        self.outcome.version = current.version
        told = format_duration(age or 0)
        share = int(100 * (age or 0) / self.work.need.period)
        summary = f"not due: {told} old, {share} % of {format_duration(self.work.need.period)}"
        others = self.work.others
        missing = others.missing(current.version) if others.seen is not None else []
        if missing:
            self.outcome.missing_hosts = missing
            reason = f"the current secret has not been seen in use on {', '.join(missing)}"
            return Result("unknown", summary, reason, tuple(self.findings), self._figures(), 0, 1)
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, summary, "", tuple(self.findings), self._figures(), 1, 1)

    def _figures(self) -> dict[str, float]:
        figures: dict[str, float] = {"duration_seconds": round(time.monotonic() - self.began, 3)}
        if self.rotation:
            figures.update(self.rotation.figures)
            figures["ended_sessions"] = self.rotation.ended_sessions
        return figures

    def clean(self, text: str) -> str:
        hidden = self._hidden | (self.rotation.hidden if self.rotation else set())
        # The longest first: one may be a part of another one.
        for value in sorted(hidden, key=len, reverse=True):
            if len(value) > _TOO_SHORT_TO_HIDE:
                text = text.replace(value, _MASK)
        return " ".join(text.split())
