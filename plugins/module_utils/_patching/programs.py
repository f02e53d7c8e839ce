# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of package managers, apt's and dpkg's above all, run as they are set up, and never asking anybody.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Programs rather than python3-apt: they are on every host that has apt, whatever Python runs this. Where apt is set to
work on another root (APT_CONFIG), so do we: nothing here knows a path that `apt-config` does not tell.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import tempfile
import typing as t

from .._core.durations import format_duration
from .._core.masking import mask_secrets

_SETTING = re.compile(r'(\S+) "(.*)";')
_ROOT_OPTION = re.compile(r"--(?:root|instdir)=(.+)")
_TAIL_LINES = 15
#: Where an administrator's programs are; a module may have been started with a shorter PATH.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GRACE_SECONDS = 30


class PatchingError(Exception):
    """Something that has to be known cannot be seen, or cannot be done; the text says what and why."""


@dataclasses.dataclass(frozen=True)
class Done:
    """How a program ended, and all that it said. `how`: in words, where the status does not tell."""

    status: int
    out: str
    err: str = ""
    program: str = ""
    how: str = ""

    @property
    def ended(self) -> str:
        return self.how or f"{self.program} ended with status {self.status}"

    @property
    def said(self) -> str:
        """The end of it, for a person: errors first."""
        errors = [line for line in (self.err or self.out).splitlines() if line.startswith("E:")]
        return tail("\n".join(errors) or self.err or self.out, 6, " | ") or "it said nothing"


def tail(text: str, lines: int = _TAIL_LINES, between: str = "\n") -> str:
    """The last lines of an output, without progress and without secrets."""
    kept = [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    kept = [line for line in kept if not line.startswith("(Reading database ...")]
    return str(mask_secrets(between.join(kept[-lines:])))


def run_looking(argv: t.Sequence[str], environ: t.Mapping[str, str], patience: float) -> Done:
    """Run a program that only looks.

    :raises PatchingError: when it cannot be run, or does not end in time.
    """
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, env=dict(environ), timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise PatchingError(f"{argv[0]} has not ended after {format_duration(patience)}") from None
    except OSError as exc:
        raise PatchingError(f"{argv[0]} cannot be run: {exc.strerror or exc}") from exc
    return Done(done.returncode, _text(done.stdout), _text(done.stderr), argv[0])


def run_changing(argv: t.Sequence[str], log: str, environ: t.Mapping[str, str], timeout: float) -> Done:
    """Run a program that changes packages. What it says is kept in a file.

    It has a session of its own and writes to no pipe of ours: when we are killed, it goes on to its end, for nothing is
    worse for a package than an installation that is cut off.

    :raises PatchingError: when it cannot be run, or had to be stopped.
    """
    with open(log, "ab", opener=_private) as output:
        begin = output.tell()
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError as exc:
            raise PatchingError(f"{argv[0]} cannot be run: {exc.strerror or exc}") from exc
        status = _wait(process, timeout)
    with open(log, "rb") as file:
        file.seek(begin)
        said = _text(file.read())
    if status is None:
        raise PatchingError(f"{argv[0]} has not ended after {format_duration(timeout)} and was stopped: {tail(said)}")
    return Done(status, said, program=argv[0])


class Apt:
    """apt and dpkg of this host."""

    def __init__(self, settings: t.Sequence[str] = (), timeout: float = 600) -> None:
        """:param settings: `Key=value` of apt.conf, for every call."""
        self._timeout = timeout
        self._options = [word for setting in settings for word in ("-o", setting)]
        self._environment = environment()
        missing = [name for name in ("apt-get", "apt-cache", "apt-config", "dpkg-query") if not self.which(name)]
        if missing:
            raise PatchingError(f"{', '.join(missing)} is not on this host{other_manager(self._environment['PATH'])}")
        self.configuration = self._read_configuration()

    def which(self, name: str) -> str:
        return shutil.which(name, path=self._environment["PATH"]) or ""

    def with_settings(self, settings: t.Sequence[str]) -> Apt:
        return Apt(settings, self._timeout)

    def call(self, *argv: str, must: bool = True, timeout: float = 0) -> Done:
        """Run a program that only looks.

        :raises PatchingError: when it cannot be run, or does not end in time; with `must`, when it does not end well.
        """
        program, *arguments = argv
        options = self._dpkg_options(program)
        if program.startswith("apt"):
            # A simulation writes down how it was planned, and we have said that we touch nothing.
            options = ["-o", "Dir::Log::Planner=/dev/null", *self._options]
        ended = run_looking([program, *options, *arguments], self._environment, timeout or self._timeout)
        if must and ended.status:
            raise PatchingError(f"{' '.join(argv[:2])} ended with status {ended.status}: {ended.said}")
        return ended

    def change(self, argv: t.Sequence[str], log: str, more: t.Mapping[str, str], timeout: float) -> Done:
        """Run a program that changes packages. What it says is kept in a file."""
        program, *arguments = argv
        options = self._options if program.startswith("apt") else self._dpkg_options(program)
        return run_changing([program, *options, *arguments], log, {**self._environment, **more}, timeout)

    def get(self, key: str, default: str = "") -> str:
        values = self.configuration.get(key.lower())
        return values[-1] if values else default

    def directory(self, *keys: str) -> str:
        """A path as apt puts it together: each key's value is relative to the one before, unless it is absolute."""
        return os.path.join(self.get("RootDir") or "/", *(self.get(key) for key in ("Dir", *keys)))

    @property
    def lists(self) -> str:
        return self.directory("Dir::State", "Dir::State::lists")

    @property
    def archives(self) -> str:
        return self.directory("Dir::Cache", "Dir::Cache::archives")

    @property
    def admin(self) -> str:
        """dpkg's own directory."""
        return os.path.dirname(self.directory("Dir::State", "Dir::State::status"))

    @property
    def root(self) -> str:
        """Where packages are unpacked to."""
        roots = [match.group(1) for option in self.dpkg_options if (match := _ROOT_OPTION.fullmatch(option))]
        return roots[-1] if roots else "/"

    @property
    def architecture(self) -> str:
        return self.get("APT::Architecture")

    @property
    def dpkg_options(self) -> list[str]:
        return self.configuration.get("dpkg::options", [])

    def in_root(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def _dpkg_options(self, program: str) -> list[str]:
        if program == "dpkg":
            return list(self.dpkg_options)
        return [f"--admindir={self.admin}"] if program == "dpkg-query" else []

    def _read_configuration(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in self.call("apt-config", "dump").out.splitlines():
            match = _SETTING.fullmatch(line)
            if match and (match.group(2) or not match.group(1).endswith("::")):
                name = match.group(1).lower()
                known = found.setdefault(name[:-2] if name.endswith("::") else name, [])
                if match.group(2):
                    known.append(match.group(2))
        return found


def environment() -> dict[str, str]:
    """Nobody is asked anything, and nothing is translated: we read it."""
    path = os.environ.get("PATH", "")
    quiet = {
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBIAN_PRIORITY": "critical",
        "APT_LISTCHANGES_FRONTEND": "none",
        "APT_LISTBUGS_FRONTEND": "none",
        # What runs with old files is seen to afterwards, by rules that can be told.
        "NEEDRESTART_SUSPEND": "1",
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
    }
    return {**os.environ, **quiet, "PATH": f"{path}:{_PATH}" if path else _PATH}


def other_manager(path: str) -> str:
    """The end of a refusal: what the host has instead."""
    for name in ("yum", "zypper", "apk", "pacman"):
        if shutil.which(name, path=path):
            return f"; it has {name}, which this module does not handle: it knows apt with dpkg, and dnf 4 with rpm"
    return "; this module knows apt with dpkg, and dnf 4 with rpm"


def _wait(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    """Its status; None when it had to be stopped."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@contextlib.contextmanager
def open_directory() -> t.Iterator[str]:
    """A directory that apt's own account for downloads can write below."""
    with tempfile.TemporaryDirectory(prefix="steward-apt-") as place:
        os.chmod(place, 0o755)  # noqa: S103 - lists of packages are public, and the account _apt has to reach them
        yield place
