# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of an API key: what is there, what is due, what a killed run left, and what came of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import time
import typing as t

from .._core.clock import write_time
from .._core.durations import format_duration
from .._core.journal import Journal, JournalBusy, JournalError, StepFailed
from .._core.result import Finding, Result
from . import store as stores
from .ages import age_of
from .api_key import ApiKeys, KeyRotation, Waiting
from .api_key_steps import NAMES, steps_of
from .api_key_work import ApiKeyOutcome, ApiKeyWork
from .consumers import ConsumerFailed
from .placing import PlacingError
from .provider import Key, ProviderError, find
from .rotation import NotEverywhere, Policy, Rotation
from .store import CURRENT, PENDING, PREVIOUS, Secret, StoreError
from .target import attempted, moment_of
from .work import Busy, Stopped

_MASK = "********"
_Led = t.TypeVar("_Led")
_EXPECTED = (StoreError, ProviderError, PlacingError, ConsumerFailed, Stopped, JournalError, OSError)
#: Who has not been seen to move for so many times the time that is waited anyway is a finding.
_LATE = 2


def rotate_api_key(work: ApiKeyWork, check: bool, outcome: ApiKeyOutcome, rollback: bool = False) -> Result:
    """Make each step whose time has come; take up first what an earlier run has left open, or take it back."""
    run = _Run(work, outcome)
    try:
        if rollback:
            return run.foretell_back() if check else run.go_back()
        return run.foretell() if check else run.go()
    except (Busy, JournalBusy, stores.PendingElsewhere) as exc:
        return Result("unknown", "no key was rotated", run.clean(f"busy: {exc}"), of=1)
    except Waiting as exc:
        return run.waiting(exc)
    except StepFailed as exc:
        return run.stopped(exc)
    except _EXPECTED as exc:
        return Result("failed", "the key was not rotated", run.clean(str(exc)), tuple(run.findings), {}, 0, 1)


class _Run:
    def __init__(self, work: ApiKeyWork, outcome: ApiKeyOutcome) -> None:
        self.work = work
        self.store = work.store
        self.provider = work.provider
        self.outcome = outcome
        self.findings: list[Finding] = []
        self.keys: KeyRotation | None = None
        self.began = time.monotonic()
        self._begun_in_emergency = False
        self._hidden: set[str] = {work.present[1]} if work.present else set()

    # -- forwards ------------------------------------------------------------------------------------------------

    def go(self) -> Result:
        with Journal(self.work.state_dir, self.work.subject) as journal:
            how = self._take_up(journal)
            current = self._current()
            if current is None:
                return self._first()
            # A rotation that began before anybody knew of the leak has not replaced what leaked since.
            if how == "done" and not (self.work.emergency and not self._begun_in_emergency):
                return self._done("a rotation that was left open was brought to its end: ")
            references = self._stock(current)
            if references is None:
                age, due = self._age(current)
                if not (due or self.work.force or self.work.emergency):
                    return self._not_due(current, age)
                references = self._references(stores.new_token(), current.version, [self._id(current)])
            self._check_consumers(current)
            self._begin(journal, references)
            return self._done("")

    def _take_up(self, journal: Journal) -> str:
        references = journal.references
        if references is None:
            return ""
        keys = self._rotation(references, journal)
        current = self.store.read(CURRENT)
        if current and current.version not in (keys.rotation.token, keys.rotation.old_version):
            raise Stopped(
                f"the unfinished rotation {keys.rotation.token} of this host was ended elsewhere, and"
                f" {self.store.place} has another current version since: remove {journal.path}"
            )
        self.keys = keys
        self._begun_in_emergency = references["emergency"]
        how = self._leading(lambda: journal.resume(steps_of(keys)))
        if how == "undone":
            message = "a rotation that was killed while it was taken back is taken back now"
            self.findings.append(Finding("secret-taken-back", "medium", self.store.place, message))
            self.outcome.changed = True
            self.keys = None
        return how

    def _begin(self, journal: Journal, references: dict[str, t.Any]) -> None:
        keys = self._rotation(references, None)
        self.keys = keys
        self.outcome.before = f"key: {keys.old_id}\n"
        self._leading(lambda: journal.run(steps_of(keys), references))

    def _leading(self, go: t.Callable[[], _Led]) -> _Led:
        """Make the steps; whether they changed anything is seen in what there is before and after them."""
        before = self._state()
        try:
            return go()
        finally:
            keys = t.cast(KeyRotation, self.keys)
            self._hidden |= keys.rotation.hidden
            self.outcome.written = keys.rotation.written
            # A store or service that is down now was not changed by asking it.
            self.outcome.changed |= bool(keys.rotation.written) or self._state(before) != before
            for problem in keys.rotation.problems:
                message = self.clean(f"after all was taken back: {problem}")
                self.findings.append(Finding("secret-consumer-unproved", "high", self.store.place, message))

    def _state(self, otherwise: t.Any = None) -> t.Any:
        try:
            versions = [(version.id, version.stages) for version in self.store.versions() if version.stages]
            return sorted(versions), sorted((key.id, key.active) for key in self.provider.list_keys())
        except (StoreError, ProviderError):
            if otherwise is None:
                raise
            return otherwise

    # -- what is there -------------------------------------------------------------------------------------------

    def _id(self, secret: Secret | None) -> str:
        return str(secret.value.get(self.provider.id_field) or "") if secret else ""

    def _current(self) -> Secret | None:
        current = self.store.read(CURRENT)
        if current:
            self._hidden |= ApiKeys(self.provider, self.work.now).hidden(current)
            for name in (self.provider.id_field, self.provider.secret_field):
                if not isinstance(current.value.get(name), str) or not current.value[name]:
                    raise Stopped(f"the current version of {self.store.place} has no {name}")
        return current

    def _first(self) -> Result:
        """Store the key that is in use, once it has been seen that it is."""
        if self.work.present is None:
            raise Stopped(
                f"{self.store.place} has no current version: give the key that is in use in present_id and"
                " present_secret, once; it is stored when it was let in"
            )
        value = dict(zip((self.provider.id_field, self.provider.secret_field), self.work.present))
        key = value[self.provider.id_field]
        if find(self.provider.list_keys(), key) is None:
            raise Stopped(f"present_id is {key}, and {self.provider.place} has no such key: nothing was stored")
        wrong = self.provider.refusal(value)
        if wrong:
            raise Stopped(f"the key {key} is not let in, so nothing was stored: {wrong}")
        token = stores.new_token()
        self.store.create_first(token, value)
        stored = self.store.read(CURRENT)
        if stored is None or dict(stored.value) != value:
            raise Stopped(f"{self.store.place} does not give back what was stored")
        self.outcome.changed, self.outcome.key, self.outcome.version = True, key, token
        self.outcome.after = f"key: {key}\n"
        summary = f"the key {key} that is in use is stored; it is rotated when it is due"
        return Result("ok", summary, looked=1, of=1, figures=self._figures())

    def _stock(self, current: Secret) -> dict[str, t.Any] | None:
        """The references of a rotation that another host left half-way, or nothing; a third key is never made."""
        listed = self.provider.list_keys()
        key = find(listed, self._id(current))
        if key is None:
            raise Stopped(f"{self.provider.place} has no key {self._id(current)}, which the store gives out")
        if getattr(self.provider, "asking", "") == key.id:
            raise Stopped(f"the key {key.id} is the one with which it would be closed: give other credentials")
        if not key.active and not self.work.emergency:
            raise Stopped(f"the key {key.id}, which the store gives out, is closed: open it, or use emergency")
        versions = self.store.versions()
        pending, previous = (self._labelled(versions, stage) for stage in (PENDING, PREVIOUS))
        others = [other for other in listed if other.id != key.id]
        if not others:
            self._withdraw(pending if pending and pending.version != current.version else None)
            if previous:
                self.store.retire(previous.version)
            return None
        other = others[0]
        if len(others) == 1 and pending and self._id(pending) == other.id:
            self._tell_left(f"version {pending.version} is pending: the rotation goes on with its key {other.id}")
            return self._references(pending.version, current.version, [key.id])
        if len(others) == 1 and previous and self._id(previous) == other.id:
            self._tell_left(f"the key {other.id} of the previous version is still there: the rotation goes on with it")
            return self._references(current.version, previous.version, [other.id])
        raise Stopped(
            f"{self.provider.place} has {_told(others)} beside {key.id}, and the store knows nothing of it: no third"
            " key is made. Delete it when nobody needs it"
        )

    def _labelled(self, versions: t.Sequence[stores.Version], stage: str) -> Secret | None:
        version = stores.labelled(versions, stage)
        if version is None:
            return None
        return self.store.read_version(version.id) or Secret(version.id, {})

    def _withdraw(self, pending: Secret | None) -> None:
        if pending is None:
            return
        self.store.withdraw(pending.version)
        self.outcome.changed = True
        self._tell_left(f"version {pending.version} was pending, and its key is gone: it was withdrawn")

    def _tell_left(self, message: str) -> None:
        self.findings.append(Finding("secret-left-pending", "low", self.store.place, message))

    def _age(self, current: Secret) -> tuple[float | None, bool]:
        """By the service, or by the store where that does not tell; a key without a date is due."""
        key = find(self.provider.list_keys(), self._id(current))
        version = next((found for found in self.store.versions() if found.id == current.version), None)
        age = age_of(version, self.work.now())
        if key and key.created:
            age = max(0.0, (self.work.now() - key.created).total_seconds())
        return age, age is None or age >= self.work.period * self.work.from_percent / 100

    def _check_consumers(self, current: Secret) -> None:
        fields = ApiKeys(self.provider, self.work.now).fields(current)
        for consumer in self.work.consumers:
            for placed in consumer.files:
                placed.check(fields)
                placed.is_right(fields)

    def _references(self, token: str, old_version: str, known: list[str]) -> dict[str, t.Any]:
        return {"token": token, "old_version": old_version, "known": known, "emergency": self.work.emergency}

    def _rotation(self, references: t.Mapping[str, t.Any], journal: Journal | None) -> KeyRotation:
        work = self.work
        rotation = Rotation(
            store=work.store,
            target=t.cast(t.Any, ApiKeys(work.provider, work.now)),
            consumers=work.consumers,
            health=work.health,
            policy=Policy(),
            token=references["token"],
            old_version=references["old_version"],
            user="",
            old_user="",
            set_at="",
            others=work.others,
            switched=moment_of(journal, "reload") if journal else None,
        )
        return KeyRotation(
            rotation=rotation,
            provider=work.provider,
            waits=work.waits,
            known=tuple(references["known"]),
            now=work.now,
            emergency=references["emergency"] or work.emergency,
            switched=rotation.switched,
            closed=moment_of(journal, "disable") if journal else None,
            given_out=attempted(journal, "finish") if journal else False,
        )

    # -- backwards -----------------------------------------------------------------------------------------------

    def foretell_back(self) -> Result:
        references = self._must_be_open(Journal(self.work.state_dir, self.work.subject).peek())
        self.outcome.changed = True
        return Result("ok", f"would take back the rotation {references['token']}", looked=1, of=1)

    def go_back(self) -> Result:
        with Journal(self.work.state_dir, self.work.subject) as journal:
            keys = self._rotation(self._must_be_open(journal.references), journal)
            keys.emergency = False
            self.keys = keys
            old = keys.find(keys.old_id)
            if old is None:
                raise Stopped(f"the old key {keys.old_id} is deleted: there is no way back. Run the rotation again")
            self._leading(lambda: journal.abandon(steps_of(keys)))
            wrong = self.provider.refusal(t.cast(Secret, keys.rotation.old()).value)
            if wrong:
                raise Stopped(f"all was taken back, but THE OLD KEY {old.id} IS NOT LET IN: {wrong}")
            self.outcome.key, self.outcome.version = old.id, keys.rotation.old_version
            verdict = "findings" if self.findings else "ok"
            summary = f"the rotation was taken back; the old key {old.id} was seen to be let in"
            return Result(verdict, summary, "", tuple(self.findings), self._figures(), 1, 1)

    def _must_be_open(self, references: t.Mapping[str, t.Any] | None) -> t.Mapping[str, t.Any]:
        if references is None:
            raise Stopped(
                f"no rotation of {self.store.place} was left open on this host: there is nothing to go back to"
            )
        return references

    # -- what came of it -----------------------------------------------------------------------------------------

    def foretell(self) -> Result:
        left = Journal(self.work.state_dir, self.work.subject).peek()
        current = self._current()
        if current is None:
            if self.work.present is None:
                self._first()
            self.outcome.changed, self.outcome.planned = True, ["store"]
            return Result("ok", "would store the key that is in use", looked=1, of=1)
        age, due = self._age(current)
        if not (left or due or self.work.force or self.work.emergency):
            return self._not_due(current, age)
        self._check_consumers(current)
        self.outcome.changed, self.outcome.planned = True, list(NAMES)
        self.outcome.before, self.outcome.after = f"key: {self._id(current)}\n", "key: a new one\n"
        what = f"go on with the rotation {left['token']}" if left else "rotate"
        return Result("ok", f"would {what}", looked=1, of=1)

    def _done(self, how: str) -> Result:
        keys = t.cast(KeyRotation, self.keys)
        self._tell_keys(keys)
        self.outcome.rotated = True
        wrong = (
            "" if any(key.id == self.outcome.key and key.active for key in self.provider.list_keys()) else "it is gone"
        )
        if wrong:
            raise Stopped(f"the new key {self.outcome.key} does not open anything after the rotation: {wrong}")
        self.outcome.missing_hosts = self.work.others.missing(keys.rotation.token)
        summary = f"{how}{self.outcome.key} took the place of {self.outcome.old_key}, which is deleted"
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, self.clean(summary), "", tuple(self.findings), self._figures(), 1, 1)

    def waiting(self, exc: Waiting) -> Result:
        """The new key is with the consumers; the old one is not deleted yet."""
        keys = t.cast(KeyRotation, self.keys)
        self._tell_keys(keys)
        outcome, message = self.outcome, self.clean(str(exc))
        outcome.rotated, outcome.waits_for, outcome.stays_open = True, exc.why, True
        outcome.next_at = write_time(exc.until) if exc.until else ""
        summary = f"{outcome.key} is in the place of {outcome.old_key}; {message}"
        figures = self._figures()
        if exc.until:
            figures["wait_seconds"] = int((exc.until - self.work.now()).total_seconds())
        others = self.work.others
        outcome.missing_hosts = others.missing(outcome.version) if exc.why == "hosts" else []
        if exc.why == "unseen" or (exc.why == "hosts" and others.seen is not None):
            return Result("unknown", summary, message, tuple(self.findings), figures, 0, 1)
        late = (self.work.now() - (keys.switched or self.work.now())).total_seconds()
        if exc.why in ("use", "disable") and late > _LATE * self.work.waits.quiet:
            what = "secret-new-unused" if exc.why == "use" else "secret-old-in-use"
            action = "find out who did not take up the new key, or take it back with rollback"
            self.findings.append(
                Finding(what, "medium", self.store.place, message, int(late), self.work.waits.quiet, action)
            )
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, summary, "", tuple(self.findings), figures, 1, 1)

    def stopped(self, exc: StepFailed) -> Result:
        cause, reason = exc.__cause__, self.clean(str(exc))
        self.outcome.stays_open = not exc.undone
        if isinstance(cause, stores.PendingElsewhere) and exc.undone:
            return Result("unknown", "no key was rotated", self.clean(f"busy: {cause}"), of=1)
        if isinstance(cause, NotEverywhere):
            self.outcome.missing_hosts = cause.hosts
            if self.work.others.seen is None:
                summary = f"the old key is in use here; now it is the turn of {', '.join(cause.hosts)}"
                return Result("ok", summary, "", tuple(self.findings), self._figures(), 1, 1)
        return Result("failed", "the key was not rotated", reason, tuple(self.findings), {}, 0, 1)

    def _tell_keys(self, keys: KeyRotation) -> None:
        outcome = self.outcome
        outcome.key, outcome.old_key, outcome.version = keys.new_id, keys.old_id, keys.rotation.token
        outcome.after = f"key: {keys.new_id}\n"

    def _not_due(self, current: Secret, age: float | None) -> Result:
        self.outcome.key, self.outcome.version = self._id(current), current.version
        share = int(100 * (age or 0) / self.work.period)
        told = f"not due: {format_duration(age or 0)} old, {share} % of {format_duration(self.work.period)}"
        others = self.work.others
        missing = others.missing(current.version) if others.seen is not None else []
        if missing:
            self.outcome.missing_hosts = missing
            reason = f"the current key has not been seen in use on {', '.join(missing)}"
            return Result("unknown", told, reason, tuple(self.findings), self._figures(), 0, 1)
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, told, "", tuple(self.findings), self._figures(), 1, 1)

    def _figures(self) -> dict[str, float]:
        return {"duration_seconds": round(time.monotonic() - self.began, 3)}

    def clean(self, text: str) -> str:
        hidden = self._hidden | (self.keys.rotation.hidden if self.keys else set())
        for value in sorted(hidden, key=len, reverse=True):
            text = text.replace(value, _MASK)
        return " ".join(text.split())


def _told(keys: t.Sequence[Key]) -> str:
    return " and ".join(f"{key.id} ({'open' if key.active else 'closed'})" for key in keys)
