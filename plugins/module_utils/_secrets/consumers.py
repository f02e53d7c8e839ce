# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a secret: given the new one, told to take it up, and looked at whether it did.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

That a command to reload ended well proves nothing. A consumer that is told to reload is proved by a command of its own,
or by a session that the database shows: begun after the reload, by the role of the new secret.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._core.application import ApplicationError, run_command
from .._core.durations import format_duration
from .placing import ENV, Fields, Placed, filled
from .processes import stale

_PAUSE = 0.3
_PAUSE_REFUSED = 1.0


class ConsumerFailed(Exception):
    """A consumer that has not taken up what it was given; the text names it and the cause."""


class Refused(ConsumerFailed):
    """A command to reload that did not end well, so that there is nothing to be proved yet."""


#: Who is logged in by the new secret, since a moment, with an application name ("" for any).
NewUses = t.Callable[[str, str], t.List[str]]


@dataclasses.dataclass(frozen=True)
class Consumer:
    """One user of a secret.

    :param commands: what makes it take up the files, or the secret from the store.
    :param probe: a command that ends with status 0 when it uses the new secret.
    :param sessions: whether a new session in the database is to show it.
    :param application_name: the name that its sessions have; any when empty.
    :param processes: a command that prints the identifiers of its processes, which must have been started with what
        the env files have.
    """

    name: str
    files: tuple[Placed, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    probe: tuple[str, ...] = ()
    sessions: bool = False
    application_name: str = ""
    timeout: float = 60
    processes: tuple[str, ...] = ()

    def has_files(self, fields: Fields) -> bool:
        return all(placed.is_right(fields) for placed in self.files)

    def uses(self, fields: Fields, new_uses: NewUses, since: str) -> bool:
        """Whether it has the files and is seen to use the secret, now and without being told anything."""
        return self.has_files(fields) and not self._problem(fields, new_uses, since)

    def give(self, fields: Fields) -> list[str]:
        """Write what is not right yet; the paths that were written."""
        written = []
        for placed in self.files:
            placed.tidy()
            if not placed.is_right(fields):
                placed.write(fields)
                written.append(placed.path)
        return written

    def reload(self, patience: float = 0) -> None:
        """Have it take up what it was given.

        :param patience: for how long it is told again when it refuses.
        :raises Refused: with what the command said.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                return self._reload_once()
            except Refused:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE_REFUSED)

    def _reload_once(self) -> None:
        for argv in self.commands:
            try:
                status, said = run_command(argv, self.timeout)
            except ApplicationError as exc:
                raise Refused(f"consumer {self.name}: {exc}") from None
            if status:
                told = said or "it said nothing"
                raise Refused(f"consumer {self.name}: {argv[0]} ended with status {status}: {told}")

    def prove(self, fields: Fields, new_uses: NewUses, since: str) -> None:
        """Wait until it is seen that the consumer uses the new secret.

        :param since: the moment of the server's clock before the reload.
        :raises ConsumerFailed: when it is not seen in time.
        """
        deadline = time.monotonic() + self.timeout
        while True:
            wrong = self._problem(fields, new_uses, since)
            if not wrong:
                return
            if time.monotonic() >= deadline:
                after = format_duration(self.timeout)
                raise ConsumerFailed(f"consumer {self.name} does not use the new secret after {after}: {wrong}")
            time.sleep(_PAUSE)

    def _problem(self, fields: Fields, new_uses: NewUses, since: str) -> str:
        if self.processes:
            wrong = stale(self.processes, self._environment(fields), self.timeout)
            if wrong:
                return wrong
        if self.probe:
            try:
                status, said = run_command(self.probe, self.timeout)
            except ApplicationError as exc:
                return str(exc)
            if status:
                return f"{self.probe[0]} ended with status {status}: {said or 'it said nothing'}"
        if self.sessions and not new_uses(since, self.application_name):
            named = f" named {self.application_name!r}" if self.application_name else ""
            return f"no session{named} of the new secret has begun since the reload"
        return ""

    def _environment(self, fields: Fields) -> dict[str, str]:
        files = (placed.values for placed in self.files if placed.kind == ENV)
        return {name: filled(template, fields) for values in files for name, template in values.items()}
