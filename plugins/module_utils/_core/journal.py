# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes in several steps that survive being killed: intent on disk before each step, one lock for each subject.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The journal says what was attempted; only the system says what is done, so every step has a probe. A killed run is taken
up where the system stands: forwards as a rule, backwards when it was being undone. Until a step marked as the point of
no return is done, a failure undoes all that was attempted, last step first; after it, the only way is forwards.

The journal holds the names of steps and the references that the caller gives (paths, object names, identifiers), which
a later process needs to build the same steps again. Secret values do not belong in it, and messages of failures, which
might quote one, are not written to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import typing as t

from .clock import utc_now, write_time
from .files import append_whole, sync_directory, write_all

_KEPT_IN_NAME = 60


class JournalError(Exception):
    """The journal cannot be used: it is locked, damaged, or belongs to another list of steps."""


class JournalBusy(JournalError):
    """Another process is changing the subject now."""


class StepFailed(Exception):
    """A step did not succeed; the message names it, the cause, and where that leaves the subject."""

    def __init__(self, message: str, *, undone: bool) -> None:
        super().__init__(message)
        #: True: all is as it was before. False: the next run goes on from here.
        self.undone = undone


class Step(t.Protocol):
    """One step of a change. Each method may be called again after having been killed half-way."""

    name: str
    point_of_no_return: bool

    def is_done(self) -> bool:
        """Ask the system itself whether this step is done."""

    def do(self) -> None:
        """Do it, clearing away what a killed attempt may have left."""

    def undo(self) -> None:
        """Take it back, whether it was done, half done or not begun."""


class Journal:
    """The journal of one subject; use it as a context manager, which holds the subject's lock."""

    def __init__(self, directory: str, subject: str) -> None:
        self.subject = subject
        base = os.path.join(directory, _file_name(subject))
        self.path = f"{base}.journal"
        self._lock_path = f"{base}.lock"
        self._directory = directory
        self._lock: int | None = None
        self._events: list[dict[str, t.Any]] = []

    def __enter__(self) -> Journal:
        with self._reasons("opened"):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            self._lock = self._acquire()
            try:
                self._events = self._load()
            except BaseException:
                self._release()
                raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._release()

    @property
    def references(self) -> dict[str, t.Any] | None:
        """The references of a change that was begun and not ended, or None: then there is nothing to take up."""
        if not self._events or self._events[-1]["event"] == "ended":
            return None
        return t.cast("dict[str, t.Any]", self._events[0]["references"])

    @property
    def is_being_undone(self) -> bool:
        return self.references is not None and any(event["event"] == "undoing" for event in self._events)

    def run(self, steps: t.Sequence[Step], references: t.Mapping[str, t.Any]) -> None:
        """Make the change. One that a killed run left behind is brought to its end first, forwards or backwards.

        :raises StepFailed: after undoing everything, or past the point of no return with the change still open.
        :raises JournalError: when the change left behind has other steps or references.
        """
        self._refuse_doubles(steps)
        if self.references is not None:
            if self.references != dict(references):
                raise JournalError(
                    f"{self.subject} has an unfinished change with the references {self.references},"
                    f" not {dict(references)}: resume that one first"
                )
            if self.resume(steps) == "done":
                return
        self._begin(steps, references)
        self._forwards(steps)

    def resume(self, steps: t.Sequence[Step]) -> str:
        """Bring a change that a killed run left behind to its end: "done", "undone", or "" when there is none.

        :raises StepFailed: as in L{run}.
        :raises JournalError: when the change left behind has other steps.
        """
        if self.references is None:
            return ""
        self._refuse_other_steps(steps)
        if self.is_being_undone:
            self._backwards(steps)
            return "undone"
        self._forwards(steps)
        return "done"

    def abandon(self, steps: t.Sequence[Step]) -> bool:
        """Take back a change that a killed run left behind and that nobody wants any more; False when there is none.

        Steps past the point of no return are taken back like all others: whoever asks for this knows that they can be.

        :raises StepFailed: when a step cannot be undone; the next call goes on from there.
        :raises JournalError: when the change left behind has other steps.
        """
        if self.references is None:
            return False
        self._refuse_other_steps(steps)
        if not self.is_being_undone:
            self._append({"event": "undoing", "at": write_time(utc_now()), "step": ""})
        self._backwards(steps)
        return True

    def peek(self) -> dict[str, t.Any] | None:
        """The references of an unfinished change without its lock and without making anything: for check mode."""
        try:
            with open(self.path, "rb") as file:
                content = file.read()
            events = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise JournalError(f"the journal {self.path} cannot be read: {exc}") from exc
        unfinished = bool(events) and events[-1]["event"] != "ended"
        return t.cast("dict[str, t.Any]", events[0]["references"]) if unfinished else None

    def _forwards(self, steps: t.Sequence[Step]) -> None:
        for step in steps:
            try:
                if not step.is_done():
                    self._write("intent", step)
                    step.do()
                    if not step.is_done():
                        raise RuntimeError("it ran without an error, but afterwards it is not done")
            except JournalError:
                # Nothing was attempted without its intent on disk; the next run goes on from here.
                raise
            except Exception as exc:  # noqa: BLE001 - whatever a step raises, the subject must not stay half changed
                self._fail(steps, step, exc)
            self._write("done", step)
        self._end("done")

    def _fail(self, steps: t.Sequence[Step], failed: Step, cause: Exception) -> t.NoReturn:
        what = f"{self.subject}: step {failed.name!r} failed: {cause or type(cause).__name__}"
        if self._is_past_return(steps[: steps.index(failed) + 1]):
            message = f"{what}; this is past the point of no return: mend the cause and run again"
            raise StepFailed(message, undone=False) from cause
        self._write("undoing", failed)
        self._backwards(steps)
        raise StepFailed(f"{what}; all was undone", undone=True) from cause

    def _is_past_return(self, steps: t.Sequence[Step]) -> bool:
        """The system decides, not the journal: a killed step may be done without anybody having noted it."""
        attempted = self._attempted()
        for step in steps:
            if step.point_of_no_return:
                try:
                    past = step.is_done()
                except Exception:  # noqa: BLE001 - whatever the reason, it could not be looked at
                    past = step.name in attempted
                if past:
                    return True
        return False

    def _backwards(self, steps: t.Sequence[Step]) -> None:
        to_undo = self._attempted() - self._steps_with("undone")
        for step in reversed(steps):
            if step.name in to_undo:
                try:
                    step.undo()
                except Exception as exc:
                    message = f"{self.subject}: step {step.name!r} cannot be undone: {exc or type(exc).__name__}"
                    raise StepFailed(f"{message}; mend the cause and run again", undone=False) from exc
                self._write("undone", step)
        self._end("undone")

    def _attempted(self) -> set[str]:
        # What was found done has no intent here, is older than this change, and is not ours to undo.
        return self._steps_with("intent")

    def _steps_with(self, event: str) -> set[str]:
        return {entry["step"] for entry in self._events if entry["event"] == event}

    def _begin(self, steps: t.Sequence[Step], references: t.Mapping[str, t.Any]) -> None:
        """Replace the journal of the last change in one move, so that there is always a whole one."""
        first = {
            "event": "begun",
            "at": write_time(utc_now()),
            "subject": self.subject,
            "steps": [step.name for step in steps],
            "references": dict(references),
        }
        temporary = f"{self.path}.new"
        with self._reasons("begun"):
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                write_all(file, _line(first))
                os.fsync(file)
            finally:
                os.close(file)
            os.rename(temporary, self.path)
            sync_directory(self._directory)
        self._events = [first]

    def _end(self, how: str) -> None:
        self._append({"event": "ended", "at": write_time(utc_now()), "how": how})

    def _write(self, event: str, step: Step) -> None:
        self._append({"event": event, "at": write_time(utc_now()), "step": step.name})

    def _append(self, event: dict[str, t.Any]) -> None:
        with self._reasons("written"):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                append_whole(file, _line(event))
            finally:
                os.close(file)
        self._events.append(event)

    def _load(self) -> list[dict[str, t.Any]]:
        try:
            with open(self.path, "r+b") as file:
                content = file.read()
                whole = content.rfind(b"\n") + 1
                if whole < len(content):
                    # Cut off while it was written: the step after it had not begun, or can be asked whether it is done.
                    file.truncate(whole)
        except FileNotFoundError:
            return []
        try:
            events = [json.loads(line) for line in content[:whole].splitlines()]
            if events and events[0]["subject"] != self.subject:
                raise ValueError(f"it is the journal of {events[0]['subject']!r}")
        except (ValueError, KeyError, TypeError) as exc:
            raise JournalError(f"the journal {self.path} is damaged: {exc}") from exc
        return events

    def _acquire(self) -> int:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "that has just started"
            os.close(lock)
            message = f"{self.subject} is being changed by process {holder} (lock {self._lock_path})"
            raise JournalBusy(message) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _refuse_doubles(self, steps: t.Sequence[Step]) -> None:
        names = [step.name for step in steps]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise JournalError(f"{self.subject}: two steps have the name {double!r}")

    def _refuse_other_steps(self, steps: t.Sequence[Step]) -> None:
        begun, given = self._events[0]["steps"], [step.name for step in steps]
        if begun != given:
            raise JournalError(f"{self.subject} has an unfinished change with the steps {begun}, not {given}")

    @contextlib.contextmanager
    def _reasons(self, done: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise JournalError(f"the journal {self.path} cannot be {done}: {exc.strerror or exc}") from exc


def _line(event: t.Mapping[str, t.Any]) -> bytes:
    return json.dumps(event, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _file_name(subject: str) -> str:
    """A subject as a file name: readable, and never the same for two subjects."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", subject).strip("._")[:_KEPT_IN_NAME]
    return f"{readable}-{hashlib.sha256(subject.encode()).hexdigest()[:12]}"
