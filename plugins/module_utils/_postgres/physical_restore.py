# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster restored to a moment, beside the live one, that stays there for people to look at and take from.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A file in its directory says what it is and whether it was finished: what a killed run left is told from what somebody
works with, and only the former is ever removed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import time
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .._core.suggest import InputError, refuse_unknown
from .backup import diff_of
from .backup_plan import require_space
from .connection import PostgresError, connect, one_line, query
from .durable import remove_tree
from .physical_backrest import Backrest
from .physical_side import PORT, Recovered, RecoveryFailed, SideCluster
from .physical_stanza import PhysicalBackup, Stanza, read_stanza
from .physical_target import Target
from .physical_verify import needed_bytes
from .processes import ProgramFailed, run
from .scratch import end_orphan

STATE = "steward-restore.json"

_LOCK = "lock"
_OURS = (STATE, f"{STATE}.new", _LOCK, "data", "tablespaces", "server.log")
_START_SECONDS = "300"
_DATABASES = "SELECT count(*), sum(pg_database_size(oid)) FROM pg_database WHERE datname !~ '^template[01]$'"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is to be restored, how far, and where to."""

    directory: str
    target: Target = dataclasses.field(default_factory=Target)
    backup: str = ""
    started: bool = True
    bin_dir: str = ""
    preload: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """:raises InputError: for a directory that cannot be meant."""
        place = os.path.realpath(self.directory)
        if not os.path.isabs(self.directory) or place == "/":
            raise InputError(
                f"directory is {self.directory!r}: give the absolute path of an empty or missing directory"
            )
        above = os.path.dirname(place)
        while True:
            if os.path.exists(os.path.join(above, "PG_VERSION")):
                raise InputError(
                    f"directory is {self.directory!r}: it lies in the data directory {above}; choose another"
                )
            if above == "/":
                return
            above = os.path.dirname(above)


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    backup: str = ""
    connect: str = ""
    remove: list[str] = dataclasses.field(default_factory=list)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        told = {"backup": self.backup, "connect": self.connect, "remove": self.remove}
        return {**told, "diff": diff_of(self.before, self.after)}


def restore(backrest: Backrest, settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Restore what is not there yet; whatever goes wrong is in the result, and nothing half restored stays."""
    try:
        backrest.require()
        stanza = read_stanza(backrest)
        if stanza.wrong or not stanza.backups:
            wrong = (
                stanza.wrong or f"there is no backup of the stanza {backrest.stanza!r} in repository {backrest.repo}"
            )
            raise PostgresError(wrong)
        if settings.backup:
            refuse_unknown("backup: there is no backup %s", settings.backup, stanza.labels())
        return _Run(backrest, settings, stanza, outcome).go(check)
    except (PostgresError, InputError, Busy, OSError) as exc:
        return Result("failed", "nothing was restored", one_line(exc))


class _Run:
    def __init__(self, backrest: Backrest, settings: Settings, stanza: Stanza, outcome: Outcome) -> None:
        self.backrest = backrest
        self.settings = settings
        self.stanza = stanza
        self.outcome = outcome
        self.directory = os.path.realpath(settings.directory)
        major = int(stanza.version.split(".")[0])
        self.side = SideCluster(self.directory, major, settings.bin_dir, backrest.account)
        self.asked = {
            "stanza": backrest.stanza,
            "backup": settings.backup,
            "target_type": settings.target.kind,
            "target": settings.target.value,
        }

    def go(self, check: bool) -> Result:
        there = self._look()
        if there.get("finished"):
            self.outcome.before = self.outcome.after = [str(there["told"])]
            return self._there_already(there, check)
        needed = max(needed_bytes(backup) for backup in self._candidates())
        # Below a directory that is not there yet, the space is that of the one above it.
        require_space(self.directory, needed, "the restored cluster")
        if check:
            self.outcome.changed = True
            self.outcome.after = [f"a cluster restored to {self.settings.target}"]
            summary = f"stanza {self.backrest.stanza!r} would be restored to {self.settings.target} in {self.directory}"
            return ok_or_findings(f"{summary}, about {format_size(needed)}", (), {"estimated_bytes": needed}, 1, 1)
        made = self._make_directory()
        with lock(os.path.join(self.directory, _LOCK)):
            # Another run may have finished it while this one waited for the lock.
            there = self._look()
            if there.get("finished"):
                return self._there_already(there, check)
            self._remove_remains()
            try:
                return self._restore()
            except BaseException:
                # A kill leaves it to the next run; all else is cleared up here.
                with contextlib.suppress(OSError):
                    self._remove_remains()
                    os.unlink(os.path.join(self.directory, _LOCK))
                    if made:
                        os.rmdir(self.directory)
                raise

    def _look(self) -> dict[str, t.Any]:
        """What is in the directory: nothing, or what a run of ours says of itself.

        :raises InputError: when it holds anything else.
        """
        if not os.path.isdir(self.directory):
            if os.path.lexists(self.directory):
                raise InputError(f"directory is {self.settings.directory!r}: it is not a directory")
            return {}
        names = os.listdir(self.directory)
        if not set(names) - {_LOCK, f"{STATE}.new"}:
            return {}
        state = self._state()
        strangers = [name for name in names if name not in _OURS and not name.startswith(".s.PGSQL.")]
        if not state or (strangers and not state.get("finished")):
            named = ", ".join(sorted(names)[:3])
            raise InputError(
                f"directory is {self.settings.directory!r}: it is not empty ({named}); nothing in it was touched: give"
                " an empty or a missing one"
            )
        return state

    def _state(self) -> dict[str, t.Any]:
        try:
            with open(os.path.join(self.directory, STATE), encoding="utf-8") as handle:
                state = json.load(handle)
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and "asked" in state else {}

    def _there_already(self, state: t.Mapping[str, t.Any], check: bool) -> Result:
        self._tell(str(state["role"]), str(state["backup"]))
        if state["asked"] != self.asked:
            held = f"the directory {self.directory} holds another restore ({state['told']})"
            raise InputError(f"{held}; remove it with: {' && '.join(self.outcome.remove)}, or give another directory")
        if self.settings.started and not self._is_running():
            self.outcome.changed = True
            if not check:
                self._start(str(state["role"]))
            return ok_or_findings(f"{state['told']}; its server {'would be' if check else 'was'} started", (), {}, 1, 1)
        return ok_or_findings(f"it is there already: {state['told']}", (), {}, 1, 1)

    def _candidates(self) -> t.Sequence[PhysicalBackup]:
        return [one for one in self.stanza.backups if self.settings.backup in ("", one.label)]

    def _make_directory(self) -> bool:
        """Have the directory, closed to others; whether it was made here."""
        try:
            os.mkdir(self.directory, 0o700)
        except FileExistsError:
            made = False
        else:
            made = True
        account = self.backrest.account
        if account:
            os.chown(self.directory, account.uid, account.gid)
        os.chmod(self.directory, 0o700)
        return made

    def _remove_remains(self) -> None:
        """Of a run that was killed or failed: its server too."""
        end_orphan(self.side.data)
        for name in os.listdir(self.directory):
            path = os.path.join(self.directory, name)
            if name in ("data", "tablespaces"):
                remove_tree(path)
            elif name != _LOCK:
                os.unlink(path)

    def _restore(self) -> Result:
        began = time.monotonic()
        self._write_state({"asked": self.asked, "begun": write_time(utc_now())})
        settings = self.settings
        warnings = self.side.restore(self.backrest, settings.backup, settings.target)
        label = self._label() or settings.backup or "of an unknown label"
        self.side.dress(self.backrest, settings.target, settings.preload, throwaway=False)
        try:
            recovered = self.side.recover(self.backrest.timeout)
        except RecoveryFailed as exc:
            if exc.is_beyond_the_archive:
                reason = f"the archive ends before {settings.target}: {exc}; give an earlier one, or target_type latest"
                raise PostgresError(reason) from exc
            raise
        self._require_not_beyond(recovered)
        seconds = time.monotonic() - began
        self.side.undress()
        role = self.side.bootstrap_role()
        with self.side.running(self.backrest.timeout):
            databases, size = self._open(role)
        told = f"backup {label} restored to {settings.target}, {databases} databases, {format_size(size)}"
        finished = {"finished": write_time(utc_now()), "told": told, "role": role, "backup": label}
        self._write_state({"asked": self.asked, **finished})
        self.outcome.changed = True
        self.outcome.after = [told]
        self._tell(role, label)
        if settings.started:
            self._start(role)
        figures = {"restore_seconds": round(seconds, 3), "databases": databases, "restored_bytes": size}
        found = [
            Finding("backup-warning", "low", label, words, action="read the log of pgBackRest") for words in warnings
        ]
        last = ""
        if recovered.last_transaction:
            last = f"; the last transaction in it is of {write_time(recovered.last_transaction)}"
        return ok_or_findings(f"{told} in {format_duration(seconds)}{last}", found, figures, databases, databases)

    def _require_not_beyond(self, recovered: Recovered) -> None:
        """:raises PostgresError: when something later than the moment that was asked for came back."""
        target = self.settings.target
        if target.kind == "time" and recovered.last_transaction:
            limit = parse_time(target.value.replace(" ", "T"))
            if recovered.last_transaction.replace(microsecond=0) > limit:
                came = write_time(recovered.last_transaction)
                raise PostgresError(f"the recovery went beyond {target}: its last transaction is of {came}")

    def _label(self) -> str:
        """Which backup it is made of: where asked for a moment, pgBackRest has chosen it."""
        place = self.side.backup_start()
        return next((one.label for one in self.stanza.backups if one.lsn_start and one.lsn_start == place), "")

    def _open(self, role: str) -> tuple[int, int]:
        conn = connect(dataclasses.replace(self.side.login(role), database="template1"), application="restore")
        try:
            count, size = query(conn, _DATABASES)[0]
            return int(count), int(size or 0)
        finally:
            conn.close()

    def _is_running(self) -> bool:
        try:
            run([self.side.pg_ctl, "-D", self.side.data, "status"], account=self.backrest.account)
        except ProgramFailed:
            return False
        return True

    def _start(self, role: str) -> None:
        """As somebody would by hand; it does not end with us."""
        log = os.path.join(self.directory, "server.log")
        argv = [self.side.pg_ctl, "-D", self.side.data, "-l", log, "-w", "-t", _START_SECONDS, "start"]
        run(argv, account=self.backrest.account)
        self._open(role)

    def _tell(self, role: str, label: str) -> None:
        place = shlex.quote(self.directory)
        data = shlex.quote(self.side.data)
        self.outcome.backup = label
        self.outcome.connect = f"psql -h {place} -p {PORT} -U {shlex.quote(role)} -d postgres"
        self.outcome.remove = [f"{shlex.quote(self.side.pg_ctl)} -D {data} -m fast stop", f"rm -r {place}"]

    def _write_state(self, state: t.Mapping[str, t.Any]) -> None:
        self.side.write(STATE, json.dumps(state, sort_keys=True) + "\n")
