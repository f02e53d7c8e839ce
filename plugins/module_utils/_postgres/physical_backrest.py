# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgBackRest as a program that is driven: one place that starts it, with a time limit, and says why it failed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import re
import shutil
import subprocess
import time

from .._core.durations import format_duration
from .._core.suggest import InputError
from .connection import PostgresError, one_line
from .processes import Account, spawn, stop

#: The first version that keeps notes beside a backup (annotations), in which the proof of a restore is kept.
OLDEST = (2, 41)

#: What pgBackRest ends with when it read something from the repository that is not what was written there.
DAMAGED = {
    25: "an assertion failed",
    26: "a checksum differs",
    28: "a file is not valid",
    29: "a format is not valid",
    42: "a file cannot be read",
    51: "the backup and the server do not fit",
    55: "a file is missing",
    75: "the backup set is not valid",
    99: "JSON is not valid",
}

_LOOK_SECONDS = 0.2
_STOP_PATIENCE = 60
_SHORT_SECONDS = 300
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MESSAGE = re.compile(r"^(?:P\d+\s+)?(ERROR|WARN|ASSERT): ?(?:\[(\d+)\]: )?")


class BackrestFailed(PostgresError):
    """pgBackRest ended with an error; the text is what it said itself."""

    def __init__(self, command: str, code: int, said: str) -> None:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        self.code = code
        super().__init__(f"pgbackrest {command} {ended}: {said or 'it said nothing'}")

    @property
    def is_damage(self) -> bool:
        """Whether the repository is to blame, and not this host, the network or the configuration."""
        return self.code in DAMAGED and "no space left on device" not in str(self).lower()


@dataclasses.dataclass(frozen=True)
class Said:
    """What a command that ended well has printed, and what it warned of."""

    text: str
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Backrest:
    """How pgBackRest is called for one stanza. Nothing secret is in here: what is lies in its configuration file.

    :param config: its configuration file; empty leaves the choice to pgBackRest.
    :param account: whom it runs as where the module is root; it must own, or at least read, the data directory.
    :param timeout: the longest that a backup, a restore or a verification may take, in seconds.
    """

    stanza: str
    config: str = ""
    repo: int = 1
    program: str = "pgbackrest"
    account: Account | None = None
    timeout: int = 86400

    def __post_init__(self) -> None:
        """:raises InputError: for what cannot be right."""
        if not _NAME.fullmatch(self.stanza):
            raise InputError(f"stanza is {self.stanza!r}: give its name, of letters, digits, '_', '.' and '-'")
        if not 1 <= self.repo <= 256:
            raise InputError(f"repo is {self.repo}: give the number of the repository, between 1 and 256")

    @property
    def is_configured(self) -> bool:
        """Whether the configuration file is there; pgBackRest's own may be missing, and then it says so itself."""
        return not self.config or os.path.isfile(self.config)

    @property
    def path(self) -> str:
        """:raises PostgresError: when the program is not there."""
        found = shutil.which(self.program)
        if not found:
            where = "PATH" if os.sep not in self.program else "that place"
            raise PostgresError(f"{self.program} was not found (searched {where}): install the package pgbackrest")
        return found

    def require(self) -> str:
        """The version that is installed.

        :raises InputError: when the configuration file is not there.
        :raises PostgresError: when there is no pgBackRest, or one that is too old.
        """
        if not self.is_configured:
            raise InputError(f"config is {self.config!r}: there is no such file; give pgBackRest's configuration file")
        told = self._run([self.path, "version"], "version", _SHORT_SECONDS).text.strip()
        found = re.fullmatch(r"pgBackRest (\d+)\.(\d+)(?:\.\d+)?\S*", told)
        if not found:
            raise PostgresError(f"{self.path} does not say that it is pgBackRest, but {one_line(told)!r}")
        version = int(found.group(1)), int(found.group(2))
        if version < OLDEST:
            needed = ".".join(str(number) for number in OLDEST)
            raise PostgresError(f"{self.path} is pgBackRest {told.split()[1]}: {needed} or newer is needed")
        return told.split()[1]

    def options(self) -> list[str]:
        """What says which stanza is meant, for every command."""
        return ([f"--config={self.config}"] if self.config else []) + [f"--stanza={self.stanza}"]

    def run(self, command: str, *options: str, nice: int = 0, timeout: int = 0) -> Said:
        """Run a command to its end.

        :raises BackrestFailed: with what it said.
        """
        # Nothing but the answer goes to stdout, nothing but errors and warnings to stderr.
        quiet = ["--log-level-console=off", "--log-level-stderr=warn", "--no-log-timestamp"]
        argv = [self.path, command, *self.options(), *quiet, *options]
        return self._run(argv, command, timeout or self.timeout, nice)

    def run_short(self, command: str, *options: str) -> Said:
        """A command that only asks or notes something."""
        return self.run(command, *options, timeout=_SHORT_SECONDS)

    def told(self, command: str, *options: str, nice: int = 0) -> Said:
        """Run a command that tells its details in its log alone: they are on stdout, before the answer."""
        talkative = ["--log-level-console=detail", "--log-level-stderr=off", "--no-log-timestamp"]
        argv = [self.path, command, *self.options(), *talkative, *options]
        return self._run(argv, command, self.timeout, nice)

    def archive_command(self) -> str:
        """What the server's archive_command has to be."""
        return f"{' '.join([self.program, *self.options()])} archive-push %p"

    def _run(self, argv: list[str], command: str, timeout: int, nice: int = 0) -> Said:
        home = {"HOME": pwd.getpwuid(self.account.uid).pw_dir} if self.account else {}
        process = spawn(argv, {**os.environ, "LC_ALL": "C", **home}, self.account, nice)
        try:
            out, err = _wait(process, command, timeout)
        finally:
            stop(process, patience=_STOP_PATIENCE)
        messages = _messages(err)
        if process.returncode:
            errors = [text for kind, text in messages if kind != "WARN"] or [text for _kind, text in _messages(out)]
            raise BackrestFailed(
                command, process.returncode, "; ".join(errors) or one_line(err) or one_line(out[-2000:])
            )
        return Said(out, tuple(text for kind, text in messages if kind == "WARN"))


def _wait(process: subprocess.Popen[bytes], command: str, timeout: int) -> tuple[str, str]:
    deadline = time.monotonic() + timeout
    while True:
        try:
            out, err = process.communicate(timeout=_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                message = f"pgbackrest {command} did not end within {format_duration(timeout)} and was ended"
                raise PostgresError(message) from None
        else:
            return out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def _messages(text: str) -> list[tuple[str, str]]:
    """The errors and warnings of a log, each in one line with its hints."""
    found: list[tuple[str, list[str]]] = []
    inside = False
    for line in text.splitlines():
        message = _MESSAGE.match(line.strip())
        if message:
            found.append((message.group(1), [line.strip()[message.end() :]]))
            inside = True
        elif re.match(r"P\d+ ", line.strip()):
            inside = False
        elif inside:
            found[-1][1].append(line.strip())
    return [(kind, one_line("\n".join(lines))) for kind, lines in found]
