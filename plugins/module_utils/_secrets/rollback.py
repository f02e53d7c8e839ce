# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back from a rotation that was left open: the old secret is the current one again, and is with all consumers.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A rotation is open as long as its old secret opens: while that is still in use, or after a run that was killed. Once the
old secret is closed there is nothing to go back to, and another rotation is the way to another secret.
"""

from __future__ import annotations

import typing as t

from .._core.journal import Journal, JournalBusy, JournalError, StepFailed
from .._core.result import Result
from .placing import PlacingError
from .rotate import Run
from .rotation import NotEverywhere, Rotation
from .steps import steps_of
from .store import CURRENT, PREVIOUS, StoreError
from .target import moment_of, moment_of_set
from .work import Busy, Outcome, Stopped, Work

_NOT_BACK = "the rotation was not taken back"


def roll_back(work: Work, check: bool, outcome: Outcome) -> Result:
    """Take back the rotation that this host has left open, and see that the old secret opens.

    :raises InputError: for settings that do not fit the unfinished rotation.
    """
    back = _Back(work, outcome)
    expected: tuple[type[BaseException], ...] = (
        StoreError,
        PlacingError,
        Stopped,
        JournalError,
        OSError,
        *work.target.errors,
    )
    try:
        return back.foretell_back() if check else back.go_back()
    except (Busy, JournalBusy) as exc:
        return Result("unknown", _NOT_BACK, back.clean(f"busy: {exc}"), of=1)
    except StepFailed as exc:
        return back.stopped(exc)
    except expected as exc:
        return Result("failed", _NOT_BACK, back.clean(str(exc)), tuple(back.findings), {}, 0, 1)
    finally:
        work.target.close()


class _Back(Run):
    def foretell_back(self) -> Result:
        references = self._must_be_open(Journal(self.work.state_dir, self.work.subject).peek())
        self.outcome.changed = True
        self.outcome.before = {"current": references["token"]}
        self.outcome.after = {"current": references["old_version"]}
        return Result("ok", f"would take back the rotation {references['token']}", looked=1, of=1)

    def go_back(self) -> Result:
        with Journal(self.work.state_dir, self.work.subject) as journal:
            references = self._must_be_open(journal.references)
            holder = self.target.busy()
            if holder:
                raise Busy(holder)
            self._refuse_another_strategy(references)
            rotation = self._rotation(references, moment_of_set(journal, self.target))
            rotation.switched = moment_of(journal, "reload")
            self.rotation = rotation
            self._refuse_ended_elsewhere(rotation, journal.path)
            steps = steps_of(rotation)
            if self._is_closed(rotation):
                raise Stopped(
                    f"the old secret of the rotation {rotation.token} opens nothing any more, so there is no way back:"
                    " run the rotation again, which ends it"
                )
            self.outcome.changed = True
            self.outcome.before = {"current": rotation.token}
            journal.abandon(steps)
            return self._proved_back()

    def stopped(self, exc: StepFailed) -> Result:
        """Something could not be taken back yet."""
        cause, reason = exc.__cause__, self.clean(str(exc))
        self.outcome.stays_open = True
        if not isinstance(cause, NotEverywhere):
            return Result("failed", _NOT_BACK, reason, tuple(self.findings), {}, 0, 1)
        self.outcome.missing_hosts = cause.hosts
        if self.work.others.seen is None:
            summary = f"the old secret is in use here; now it is the turn of {', '.join(cause.hosts)}"
            return Result("ok", summary, "", tuple(self.findings), self._figures(), 1, 1)
        return Result("unknown", _NOT_BACK, reason, tuple(self.findings), self._figures(), 0, 1)

    def _is_closed(self, rotation: Rotation) -> bool:
        """With one role, the old secret can be set again for as long as the store has a label on it."""
        labels = [version.stages for version in self.store.versions() if version.id == rotation.old_version]
        if any(CURRENT in stages or PREVIOUS in stages for stages in labels):
            return False
        old = rotation.old()
        return not rotation.target.overlaps or old is None or not rotation.target.opens(old)

    def _must_be_open(self, references: t.Mapping[str, t.Any] | None) -> t.Mapping[str, t.Any]:
        if references is None:
            raise Stopped(
                f"no rotation of {self.store.place} was left open on this host: there is nothing to go back to."
                " A rotation that has ended has closed its old secret; force: true makes another new one"
            )
        if references.get("emergency"):
            raise Stopped(
                f"the rotation {references['token']} was begun because others know the old secret, which is not brought"
                " back: run the rotation again, which ends it"
            )
        return references

    def _proved_back(self) -> Result:
        rotation = self.rotation
        old = rotation.old() if rotation else None
        if rotation is None or old is None or not self.target.opens(old):
            raise Stopped("all was taken back, but THE OLD SECRET DOES NOT OPEN")
        self._tell_undone(rotation, "")
        self.outcome.version, self.outcome.written = rotation.old_version, rotation.written
        self.outcome.after = {"current": f"{rotation.old_version} ({old.username})"}
        summary = f"the rotation {rotation.token} was taken back; the old secret was seen to open"
        verdict = "findings" if self.findings else "ok"
        return Result(verdict, summary, "", tuple(self.findings), self._figures(), 1, 1)
