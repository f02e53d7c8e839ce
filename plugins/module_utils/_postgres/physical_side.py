# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster restored beside the live one: on a socket only, with nothing in it that acts on its own, archiving nothing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The settings of the original do not count in it. They could make it listen where the original listens, archive into the
original's archive, clean that archive up, follow subscriptions, or start jobs of an extension. They are kept beside
as ``*.original``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
import typing as t

from .binaries import find_binary
from .connection import Login, PostgresError, one_line
from .physical_archive import lsn
from .physical_backrest import DAMAGED, Backrest
from .physical_target import Target
from .processes import Account, ProgramFailed, run, spawn, stop

PORT = 5432
LONGEST_SOCKET = 107

_STOP_PATIENCE = 300
_LOOK_SECONDS = 0.1
_STATUS_LINE = 7  # of postmaster.pid, counted from 0
_FILE_SECONDS = 60
_WRITE = 'cat > "$1.new" && sync "$1.new" && mv -f "$1.new" "$1"'

#: The sizes that the original had: a recovery needs at least as much of each.
_FROM_CONTROL = {
    "max_connections": ("max_connections setting", 20),
    "max_worker_processes": ("max_worker_processes setting", 0),
    "max_wal_senders": ("max_wal_senders setting", 0),
    "max_prepared_transactions": ("max_prepared_xacts setting", 0),
    "max_locks_per_transaction": ("max_locks_per_xact setting", 64),
}

_QUIET = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "wal_level": "replica",
    "hot_standby": "off",
    "archive_mode": "off",
    "max_logical_replication_workers": "0",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "lc_messages": "C",
}

#: Nothing in a throwaway copy must survive.
_THROWAWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1h",
}

#: What is no fault of the backup when a server of ours does not start or recover.
_THIS_HOSTS_FAULT = (
    "no space left on device",
    "cannot allocate memory",
    "could not map anonymous shared memory",
    "could not access file",
    "could not load library",
    "permission denied",
    "locale",
    "resource manager with id",
    "too many open files",
)
#: pgBackRest warns that tablespaces, links and owners of the original are others here. That is what is wanted.
_AS_WANTED = ("tablespace", "will be restored", "in backup manifest mapped to")
_TOO_EARLY = "recovery ended before configured recovery target was reached"

_LAST_TRANSACTION = re.compile(r"last completed transaction was at log time (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)")
_FETCH_ERROR = re.compile(r"^(?:.*P\d+\s+)?ERROR: \[(\d+)\]: (.*)", re.MULTILINE)
_FETCH_DETAIL = re.compile(r"^\s+repo\d+: .*?\[(\w+Error)\] (.*)", re.MULTILINE)
_DAMAGE = ("AssertError", "ChecksumError", "FileInvalidError", "FileMissingError", "FileReadError", "FormatError")
_BOOTSTRAP = re.compile(r"rolname = \"(.*)\"\t\(typeid")


class RecoveryFailed(PostgresError):
    """The restored cluster did not come up; the text is what its server said.

    :param trouble: what kept WAL from being fetched, where the repository is not to blame.
    """

    def __init__(self, said: str, trouble: str = "") -> None:
        super().__init__(f"{said}; {trouble}" if trouble else said)
        self.trouble = trouble

    @property
    def is_hosts_fault(self) -> bool:
        return bool(self.trouble) or any(words in str(self).lower() for words in _THIS_HOSTS_FAULT)

    @property
    def is_beyond_the_archive(self) -> bool:
        """The archive ends before the target."""
        return _TOO_EARLY in str(self)


@dataclasses.dataclass(frozen=True)
class Recovered:
    """How far a recovery came.

    :param position: where in the WAL it ended, as a number of bytes.
    :param last_transaction: when the last transaction that came back was committed; none where none was replayed.
    :param trouble: what kept WAL from being fetched, where the repository is not to blame: to the server, a segment
        that cannot be fetched is the end of the archive.
    """

    seconds: float
    position: int
    last_transaction: datetime.datetime | None
    trouble: str = ""


class SideCluster:
    """A directory with a restored cluster in ``data``; its socket and its tablespaces are beside it."""

    def __init__(self, directory: str, major: int, bin_dir: str, account: Account | None, nice: int = 0) -> None:
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.account = account
        self.nice = nice
        self.major = major
        if len(os.path.join(directory, f".s.PGSQL.{PORT}").encode()) > LONGEST_SOCKET:
            raise PostgresError(f"the path {directory} is too long for a Unix socket: choose a shorter one")
        self._postgres = find_binary("postgres", major, bin_dir)
        self._controldata = find_binary("pg_controldata", major, bin_dir)
        self.pg_ctl = find_binary("pg_ctl", major, bin_dir)

    def login(self, role: str) -> Login:
        return Login("", PORT, role, "", "template1", self.directory, "disable")

    def restore(self, backrest: Backrest, label: str, target: Target) -> list[str]:
        """Restore the files; what pgBackRest warned of is returned.

        :raises BackrestFailed: with what it said.
        """
        for place in (self.data, os.path.join(self.directory, "tablespaces")):
            self._run("mkdir", "-m", "700", "-p", place)
        chosen = [f"--set={label}"] if label else []
        # Whatever the configuration says of another restore: into an empty directory, nothing through a link.
        careful = [
            "--no-delta", "--no-link-all", "--archive-mode=off", "--reset-link-map", "--reset-tablespace-map",
            "--reset-db-include", "--reset-db-exclude", "--reset-recovery-option",
        ]  # fmt: skip
        said = backrest.run(
            "restore",
            f"--repo={backrest.repo}",
            f"--pg1-path={self.data}",
            f"--tablespace-map-all={os.path.join(self.directory, 'tablespaces')}",
            *chosen,
            *target.options(),
            *careful,
            nice=self.nice,
        )
        return [words for words in said.warnings if not any(wanted in words for wanted in _AS_WANTED)]

    def backup_start(self) -> str:
        """Where in the WAL the backup begins that the files are of, as the server itself noted it in them."""
        try:
            with open(os.path.join(self.data, "backup_label"), encoding="utf-8", errors="replace") as handle:
                found = re.search(r"^START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+)", handle.read(), re.MULTILINE)
        except OSError:
            return ""
        return found.group(1) if found else ""

    def dress(self, backrest: Backrest, target: Target, preload: t.Sequence[str], throwaway: bool) -> None:
        """Give it settings of its own, and say where the WAL comes from and how far to go."""
        control = self.control()
        sizes = {name: str(max(least, int(control[key]))) for name, (key, least) in _FROM_CONTROL.items()}
        settings = {**_QUIET, **sizes, "unix_socket_directories": self.directory}
        settings["shared_preload_libraries"] = ",".join(preload)
        if throwaway:
            settings.update(_THROWAWAY)
            if self.major >= 17:
                settings["event_triggers"] = "off"
        self._write_setting("postgresql.conf", _lines(settings))
        self._write_setting(
            "pg_hba.conf", "# Only the owner of the directory reaches the socket.\nlocal all all trust\n"
        )
        self._write_setting("pg_ident.conf", "")
        fetch = [backrest.path, "archive-get", *backrest.options(), f"--repo={backrest.repo}"]
        # An asynchronous archive-get would share its spool with the live server.
        fetch += [f"--pg1-path={self.data}", "--no-archive-async", "--log-level-file=off", "--log-level-stderr=warn"]
        words = " ".join(shlex.quote(word).replace("%", "%%") for word in fetch)
        recovery = {"restore_command": f'{words} %f "%p"', **target.settings()}
        self._write_setting("postgresql.auto.conf", _lines(recovery))

    def undress(self) -> None:
        """Take the settings of the recovery away, so that nothing of the archive is asked for any more."""
        self._write_setting("postgresql.auto.conf", "")

    def control(self) -> dict[str, str]:
        """What pg_controldata tells."""
        text = run([self._controldata, "-D", self.data], env={**os.environ, "LC_ALL": "C"}, account=self.account)
        return {
            name.strip(): value.strip() for name, _colon, value in (row.partition(":") for row in text.splitlines())
        }

    @contextlib.contextmanager
    def running(self, timeout: float) -> t.Iterator[t.Any]:
        """Its server, up; gives the file with all that it logs. It is stopped in order at the end.

        :raises RecoveryFailed: when it does not come up.
        """
        with tempfile.TemporaryFile() as log:
            process = spawn(
                [self._postgres, "-D", self.data],
                env={**os.environ, "LC_ALL": "C"},
                account=self.account,
                nice=self.nice,
                stdout=log,
                stderr=subprocess.STDOUT,
                death_signal=signal.SIGQUIT,
            )
            try:
                self._wait_until_up(process, log, timeout)
                yield log
            finally:
                stop(process, signal.SIGINT, _STOP_PATIENCE)

    def recover(self, timeout: float) -> Recovered:
        """Replay the WAL as far as it was said to `dress`, then stop.

        :raises RecoveryFailed: with what the server said.
        """
        began = time.monotonic()
        with self.running(timeout) as log:
            seconds = time.monotonic() - began
            text = _text_of(log)
        moments = _LAST_TRANSACTION.findall(text)
        last = _moment(moments[-1]) if moments else None
        return Recovered(seconds, self._position(), last, trouble_in(text))

    def bootstrap_role(self) -> str:
        """The role that every cluster has; asked in single-user mode, for which no login is needed.

        :raises PostgresError: when it cannot be found.
        """
        found = _BOOTSTRAP.search(self.alone("SELECT rolname FROM pg_catalog.pg_authid WHERE oid = 10"))
        if not found:
            raise PostgresError("the restored cluster does not tell the name of its first role")
        return found.group(1)

    def alone(self, *statements: str) -> str:
        """Run statements in single-user mode, each in one line.

        :raises PostgresError: when one of them failed.
        """
        process = spawn(
            [self._postgres, "--single", "-D", self.data, "-c", "exit_on_error=on", "template1"],
            env={**os.environ, "LC_ALL": "C"},
            account=self.account,
            nice=self.nice,
            stdin=subprocess.PIPE,
        )
        try:
            out, err = process.communicate("".join(f"{one}\n" for one in statements).encode(), timeout=_STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            raise PostgresError("the restored cluster does not answer in single-user mode") from None
        finally:
            stop(process)
        if process.returncode:
            raise ProgramFailed("postgres --single", process.returncode, err.decode("utf-8", "replace"))
        return out.decode("utf-8", "replace")

    def _wait_until_up(self, process: subprocess.Popen[bytes], log: t.Any, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._is_ready(process.pid):
            if process.poll() is not None:
                said = _text_of(log)
                raise RecoveryFailed(f"the restored cluster did not come up: {_why(said)}", trouble_in(said))
            if time.monotonic() >= deadline:
                raise PostgresError(f"the restored cluster was not up after {round(timeout)} s; it was ended")
            time.sleep(_LOOK_SECONDS)

    def _is_ready(self, pid: int) -> bool:
        """What pg_ctl looks at, too: a connection could be refused although all is well."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8", errors="replace") as handle:
                lines = handle.read().splitlines()
        except OSError:
            return False
        return len(lines) > _STATUS_LINE and lines[0] == str(pid) and lines[_STATUS_LINE].strip() == "ready"

    def _position(self) -> int:
        """Where the recovery left the old timeline: the last line of the history that it wrote.

        :raises PostgresError: when it wrote none, so that nothing was recovered.
        """
        place = os.path.join(self.data, "pg_wal")
        histories = sorted(name for name in os.listdir(place) if re.fullmatch(r"[0-9A-F]{8}\.history", name))
        if histories:
            with open(os.path.join(place, histories[-1]), encoding="utf-8", errors="replace") as handle:
                found = re.findall(r"^\s*\d+\s+([0-9A-F]+/[0-9A-F]+)", handle.read(), re.MULTILINE)
            if found:
                return lsn(found[-1])
        raise PostgresError("the restored cluster came up without having recovered from the archive")

    def _run(self, *argv: str) -> None:
        run(argv, account=self.account)

    def _write_setting(self, name: str, text: str) -> None:
        """What was there of the original is kept beside, once."""
        path = os.path.join(self.data, name)
        keep = 'if [ -e "$1" ] && [ ! -e "$1.original" ]; then mv "$1" "$1.original" || exit 1; fi; '
        self._as_owner(f"{keep}{_WRITE}", path, text)

    def write(self, name: str, text: str) -> None:
        """Write a file into the directory, whole or not at all."""
        self._as_owner(_WRITE, os.path.join(self.directory, name), text)

    def _as_owner(self, script: str, path: str, text: str) -> None:
        """The account that owns the directory writes it: it could have put links there for root to follow."""
        argv = ["/bin/sh", "-c", f"umask 077; {script}", "sh", path]
        process = spawn(argv, account=self.account, stdin=subprocess.PIPE)
        try:
            _out, err = process.communicate(text.encode(), timeout=_FILE_SECONDS)
        except subprocess.TimeoutExpired:
            raise PostgresError(f"{path} could not be written within {_FILE_SECONDS} s") from None
        finally:
            stop(process)
        if process.returncode:
            raise PostgresError(f"{path} cannot be written: {one_line(err.decode('utf-8', 'replace'))}")


def _lines(settings: t.Mapping[str, str]) -> str:
    quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in settings.items()}
    return "".join(f"{name} = '{value}'\n" for name, value in quoted.items())


def _text_of(log: t.Any) -> str:
    log.seek(0)
    return str(log.read().decode("utf-8", "replace"))


def trouble_in(text: str) -> str:
    """What pgBackRest said in a server's log when it could not fetch a segment, and not for damage."""
    # What happened to each copy of the segment stands below, by the name of the error.
    details = [words for kind, words in _FETCH_DETAIL.findall(text) if kind not in _DAMAGE]
    errors = [words for code, words in _FETCH_ERROR.findall(text) if int(code) not in DAMAGED]
    return f"pgbackrest archive-get: {one_line((details + errors)[0])}" if details or errors else ""


def _why(text: str) -> str:
    said = [line.partition("] ")[2] or line for line in text.splitlines() if re.search(r"(FATAL|PANIC):", line)]
    return one_line("\n".join(said[-3:])) or one_line(text[-500:]) or "it said nothing"


def _moment(text: str) -> datetime.datetime:
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in text else "%Y-%m-%d %H:%M:%S"
    return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc)
