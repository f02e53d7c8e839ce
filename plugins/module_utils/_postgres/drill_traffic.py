# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic that is sent to the recovery site for a drill, and back whatever happens; probes say where it goes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import time
import typing as t

from .._core.application import ApplicationError, run_command
from .._core.clock import utc_now, write_time
from .._core.durations import format_duration
from .._core.files import sync_directory, write_all
from .._core.health import Health
from .._core.suggest import InputError
from .connection import PostgresError
from .drill_clock import Clock

#: The note that a switch was begun; as long as it is there, nobody knows where the traffic goes.
NOTE = "traffic.json"

_ATTEMPTS = 3
_PAUSE = 1.0
_POLL = 0.2
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

Commands = t.Tuple[t.Tuple[str, ...], ...]


class TrafficError(PostgresError):
    """The traffic was not switched, and is where it was."""


class TrafficLost(PostgresError):
    """Nobody can say that the traffic is back where it belongs: a person has to look, at once."""


class Interrupted(BaseException):
    """A signal asks us to end. Nothing that only knows errors may take it for one."""


@contextlib.contextmanager
def interruptible() -> t.Iterator[None]:
    """Let signals that would end us at once unwind instead, so that what was made is removed and what was switched is
    switched back. One is enough: those that follow do not disturb the way back."""

    def unwind(number: int, _frame: t.Any) -> t.NoReturn:
        for sign in _SIGNALS:
            signal.signal(sign, _not_now)
        raise Interrupted(signal.Signals(number).name)

    with _on_signals(unwind):
        yield


def _not_now(_number: int, _frame: t.Any) -> None:
    """Unlike SIG_IGN, commands do not inherit it."""


@contextlib.contextmanager
def _on_signals(handler: t.Callable[[int, t.Any], t.Any]) -> t.Iterator[None]:
    before = {sign: signal.signal(sign, handler) for sign in _SIGNALS}
    try:
        yield
    finally:
        for sign, other in before.items():
            signal.signal(sign, other)


@dataclasses.dataclass(frozen=True)
class Traffic:
    """How traffic is switched, and how it is seen where it goes.

    :param to_recovery: commands that send it to the recovery site.
    :param back: commands that send it to where it belongs. They must do no harm when it is there.
    :param timeout: seconds that one command may take.
    :param note: path of the note.
    """

    to_recovery: Commands = ()
    back: Commands = ()
    at_recovery: Health = dataclasses.field(default_factory=Health)
    at_normal: Health = dataclasses.field(default_factory=Health)
    timeout: float = 60
    note: str = ""

    def __post_init__(self) -> None:
        """:raises InputError: naming what is missing."""
        given = {
            "traffic_to_recovery": bool(self.to_recovery),
            "traffic_back": bool(self.back),
            "recovery_url or recovery_command": self.at_recovery.asks,
            "normal_url or normal_command": self.at_normal.asks,
        }
        missing = [name for name, there in given.items() if not there]
        if missing and len(missing) < len(given):
            raise InputError(
                f"{missing[0]} is empty: give all of {', '.join(given)}, for what is switched has to be switched back,"
                " and seen at both places; or none of them"
            )

    @property
    def can_switch(self) -> bool:
        return bool(self.to_recovery)

    def was_left_behind(self) -> bool:
        """Whether a drill that was killed may have left the traffic at the recovery site."""
        return bool(self.note) and os.path.lexists(self.note)

    def require_normal(self) -> None:
        """:raises TrafficError: when the probes cannot tell one place from the other; nothing could be proved then."""
        wrong = self._not_normal()
        if wrong:
            raise TrafficError(f"before anything is switched: {wrong}")

    def there_and_back(self, clock: Clock) -> None:
        """:raises TrafficError: when it did not reach the recovery site; it is back.
        :raises TrafficLost: when it is not.
        """
        self._write_note()
        trouble: BaseException | None = None
        try:
            with clock.stage("switch"):
                self._switch()
            clock.service_answers()
        except BaseException as exc:
            trouble = exc
            raise
        finally:
            with clock.stage("back"):
                self.bring_back(f" (after: {trouble})" if trouble else "")

    def bring_back(self, after: str = "") -> None:
        """Send it back, until the probes see it there.

        :raises TrafficLost: when they do not.
        """
        wrong = ""
        with _on_signals(_not_now):
            for attempt in range(_ATTEMPTS):
                if attempt:
                    time.sleep(_PAUSE)
                wrong = self._try_back()
                if not wrong:
                    self._remove_note()
                    return
        raise TrafficLost(f"{wrong}{after}")

    def _switch(self) -> None:
        try:
            for argv in self.to_recovery:
                self._run(argv)
        except ApplicationError as exc:
            raise TrafficError(f"traffic did not go to the recovery site: {exc}") from exc
        wrong = self.at_recovery.wait()
        if wrong:
            raise TrafficError(f"the commands ended well, but traffic did not reach the recovery site: {wrong}")

    def _try_back(self) -> str:
        """What a command said counts for nothing when the probes see the traffic where it belongs."""
        said = ""
        for argv in self.back:
            try:
                self._run(argv)
            except ApplicationError as exc:
                said = said or str(exc)
        wrong = self.at_normal.wait() or self._still_at_recovery()
        return f"{wrong}; {said}" if wrong and said else wrong

    def _still_at_recovery(self) -> str:
        deadline = time.monotonic() + self.at_recovery.timeout
        while not self.at_recovery.problem():
            if time.monotonic() >= deadline:
                return f"{self.at_recovery.question}: traffic still goes to the recovery site"
            time.sleep(_POLL)
        return ""

    def _not_normal(self) -> str:
        wrong = self.at_normal.problem()
        if wrong:
            return f"traffic does not go where it belongs: {wrong}"
        if not self.at_recovery.problem():
            return f"{self.at_recovery.question}, although no traffic was sent there: that proves nothing"
        return ""

    def _run(self, argv: t.Sequence[str]) -> None:
        status, said = run_command(argv, self.timeout)
        if status:
            raise ApplicationError(f"{argv[0]} ended with status {status}: {said or 'it said nothing'}")

    def _write_note(self) -> None:
        """On the disk before the first command: what is killed then is known to the next run."""
        directory = os.path.dirname(self.note)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        new = f"{self.note}.new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, json.dumps({"switched": write_time(utc_now()), "pid": os.getpid()}).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(new, self.note)
        sync_directory(directory)

    def _remove_note(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.note)
            sync_directory(os.path.dirname(self.note))


def how_to_look(traffic: Traffic) -> str:
    """For the one who is woken up: what has to be true."""
    patience = format_duration(traffic.timeout)
    words = [" ".join(argv) for argv in traffic.back]
    return f"run {'; '.join(words)} (each within {patience}) until {traffic.at_normal.question}"
