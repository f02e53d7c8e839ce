# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application that must not be at work while something below it is exchanged: looked at, stopped, started.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

It is named as systemd units, as services of a compose project, or as commands. Commands are lists of words that no
shell sees. What is told to stop or start is looked at afterwards: that a command ended well proves nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import signal
import subprocess
import tempfile
import time
import typing as t

from .durations import format_duration, parse_duration
from .masking import mask_secrets
from .suggest import InputError, refuse_unknown

#: The arguments of every module that stops and starts an application; documented by the fragment
#: steward.maintenance._application.
APPLICATION_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "systemd_units": {"type": "list", "elements": "str", "default": []},
    "compose_directory": {"type": "path", "default": ""},
    "compose_services": {"type": "list", "elements": "str", "default": []},
    "compose_command": {"type": "list", "elements": "str", "default": ["docker", "compose"]},
    "stop_commands": {"type": "list", "elements": "list", "default": []},
    "start_commands": {"type": "list", "elements": "list", "default": []},
    "running_command": {"type": "list", "elements": "str", "default": []},
    "stop_timeout": {"type": "str", "default": "1m"},
    "start_timeout": {"type": "str", "default": "1m"},
}

_POLL = 0.1
_LOOK_PATIENCE = 20
_OUTPUT_TAIL = 2000
_LINES = 3
#: What pgrep, test and systemctl end with when something is not there; anything else means that they could not look.
_STOPPED_STATUS = (1, 3)
_RUNNING_STATES = ("active", "reloading", "activating", "deactivating", "refreshing")

Argv = t.Sequence[str]


class ApplicationError(Exception):
    """The application cannot be looked at, does not stop or does not start; the text says which part and why."""


class Part(t.Protocol):
    """Something that runs or does not."""

    @property
    def name(self) -> str: ...

    def running(self) -> bool:
        """:raises ApplicationError: when it cannot be seen."""

    def ready(self) -> bool:
        """Whether all of it runs."""

    def stop(self, timeout: float) -> None: ...

    def start(self, timeout: float) -> None: ...


def run_command(
    argv: Argv, timeout: float, directory: str = "/", more: t.Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Exit status and the end of what a command said.

    What it starts may live on and keep its output open, so the output goes into a file, and only the command itself is
    waited for. It runs as the account that started this process, even where that has put on another one meanwhile.

    :param more: what its environment has beside ours.
    :raises ApplicationError: when it cannot be started, or has not ended in time; then it is killed.
    """
    with tempfile.TemporaryFile() as output:
        status = _run(argv, timeout, directory, more, output, output)
        return status, _end_of(output)


def run_listing(argv: Argv, timeout: float, directory: str = "/") -> tuple[int, list[str], str]:
    """Exit status, all words that a command printed, and the end of what it said beside them, such as warnings.

    :raises ApplicationError: as from run_command.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        status = _run(argv, timeout, directory, None, output, errors)
        output.seek(0)
        return status, output.read().decode("utf-8", "replace").split(), _end_of(errors)


def _run(
    argv: Argv, timeout: float, directory: str, more: t.Mapping[str, str] | None, output: t.Any, errors: t.Any
) -> int:
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**_environment(), **(more or {})},
            cwd=directory,
            start_new_session=True,
            preexec_fn=_as_the_starter,
        )
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        raise ApplicationError(f"cannot run {argv[0]}: {getattr(exc, 'strerror', None) or exc}") from exc
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise ApplicationError(f"{argv[0]} has not ended after {format_duration(timeout)} and was killed") from None
    finally:
        if process.poll() is None:
            # Nobody waits for it any more: neither it nor what it started may go on behind our back.
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _end_of(said: t.Any) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - _OUTPUT_TAIL))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return str(mask_secrets(" ".join(line.strip() for line in lines[-_LINES:])))


def _as_the_starter() -> None:
    if os.getuid() != os.geteuid():
        os.seteuid(os.getuid())
        os.setegid(os.getgid())
        os.setgroups(os.getgrouplist(pwd.getpwuid(os.getuid()).pw_name, os.getgid()))


def _environment() -> dict[str, str]:
    environment = {**os.environ, "LC_ALL": "C"}
    if os.getuid() != os.geteuid():
        environment["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
    return environment


def _must(argv: Argv, timeout: float, directory: str = "/") -> str:
    status, said = run_command(argv, timeout, directory)
    if status:
        raise ApplicationError(f"{argv[0]} ended with status {status}: {said or 'it said nothing'}")
    return said


@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit of systemd."""

    name: str

    def running(self) -> bool:
        argv = ["systemctl", "show", "--property=LoadState,ActiveState", "--", self.name]
        said = _must(argv, _LOOK_PATIENCE)
        told = dict(word.split("=", 1) for word in said.split() if "=" in word)
        if told.get("LoadState") not in ("loaded", "masked"):
            state = told.get("LoadState") or f"unknown ({said})"
            raise ApplicationError(f"systemd unit {self.name!r} is {state}: write its name as systemctl lists it")
        return told.get("ActiveState") in _RUNNING_STATES

    def ready(self) -> bool:
        return self.running()

    def stop(self, timeout: float) -> None:
        _must(["systemctl", "stop", "--", self.name], timeout)

    def start(self, timeout: float) -> None:
        _must(["systemctl", "start", "--", self.name], timeout)


@dataclasses.dataclass(frozen=True)
class Compose:
    """Services of one compose project; none named means all."""

    directory: str
    services: tuple[str, ...]
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"compose services {' '.join(self.services) or '(all)'} in {self.directory}"

    def _running_services(self) -> list[str]:
        # The first generation lists all services that run, whatever is named here.
        return self._listed("--services", "--filter", "status=running", *self.services)

    def _listed(self, *words: str) -> list[str]:
        """What compose lists; what it warns of, such as old words in the compose file, is none of it."""
        status, names, said = run_listing([*self.command, "ps", *words], _LOOK_PATIENCE, self.directory)
        if status:
            raise ApplicationError(f"{' '.join(self.command)} ps ended with status {status}: {said}")
        return names

    def running(self) -> bool:
        found = self._wanted(self._running_services())
        if not found:
            self._refuse_unknown()
        return bool(found)

    def ready(self) -> bool:
        found = self._wanted(self._running_services())
        return set(self.services) <= set(found) if self.services else bool(found)

    def _wanted(self, running: t.Sequence[str]) -> list[str]:
        return [name for name in running if not self.services or name in self.services]

    def _refuse_unknown(self) -> None:
        """What is misspelt does not run either, and the first generation does not say so."""
        if not self.services:
            return
        what = "compose_services: unknown service %s, or one that was never started"
        try:
            refuse_unknown(what, self.services, self._listed("--all", "--services"))
        except InputError as exc:
            raise ApplicationError(str(exc)) from None

    def stop(self, timeout: float) -> None:
        _must([*self.command, "stop", *self.services], timeout, self.directory)

    def start(self, timeout: float) -> None:
        _must([*self.command, "start", *self.services], timeout, self.directory)


@dataclasses.dataclass(frozen=True)
class Commands:
    """Whatever else runs: commands that stop it, start it, and tell whether it runs."""

    stopping: tuple[tuple[str, ...], ...]
    starting: tuple[tuple[str, ...], ...]
    looking: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"what {self.looking[0]} looks at"

    def running(self) -> bool:
        status, said = run_command(self.looking, _LOOK_PATIENCE)
        if status and status not in _STOPPED_STATUS:
            raise ApplicationError(
                f"running_command {self.looking[0]} ended with status {status}, which says neither that the application"
                f" runs (0) nor that it does not (1 or 3): {said or 'it said nothing'}"
            )
        return status == 0

    def ready(self) -> bool:
        return self.running()

    def stop(self, timeout: float) -> None:
        for argv in self.stopping:
            _must(argv, timeout)

    def start(self, timeout: float) -> None:
        for argv in self.starting:
            _must(argv, timeout)


class Application:
    """All parts together. Without a part there is nothing to stop, and nothing that could be seen."""

    def __init__(self, parts: t.Sequence[Part], stop_timeout: float = 60, start_timeout: float = 60) -> None:
        self.parts = list(parts)
        self._stop_timeout = stop_timeout
        self._start_timeout = start_timeout

    def is_stopped(self) -> bool:
        return not any(part.running() for part in self.parts)

    def is_running(self) -> bool:
        return all(part.ready() for part in self.parts)

    def stop(self) -> None:
        """:raises ApplicationError: naming what still runs."""
        for part in self.parts:
            if part.running():
                self._tell(part, "stop", part.stop, self._stop_timeout)
        running = self._wait(lambda part: not part.running(), self._stop_timeout)
        if running:
            after = format_duration(self._stop_timeout)
            raise ApplicationError(f"{running} still runs {after} after it was told to stop")

    def start(self) -> None:
        """:raises ApplicationError: naming what does not run."""
        for part in self.parts:
            if not part.ready():
                self._tell(part, "start", part.start, self._start_timeout)
        stopped = self._wait(lambda part: part.ready(), self._start_timeout)
        if stopped:
            raise ApplicationError(
                f"{stopped} does not run {format_duration(self._start_timeout)} after it was started"
            )

    @staticmethod
    def _tell(part: Part, verb: str, order: t.Callable[[float], None], timeout: float) -> None:
        try:
            order(timeout)
        except ApplicationError as exc:
            raise ApplicationError(f"{part.name} does not {verb}: {exc}") from exc

    def _wait(self, condition: t.Callable[[Part], bool], timeout: float) -> str:
        """The name of the first part for which the condition does not come true in time."""
        deadline = time.monotonic() + timeout
        for part in self.parts:
            while not condition(part):
                if time.monotonic() >= deadline:
                    return part.name
                time.sleep(_POLL)
        return ""


def application_from(params: t.Mapping[str, t.Any]) -> Application:
    """The application that a module's parameters describe.

    :raises InputError: naming the option, the value and what would be right.
    """
    parts: list[Part] = [Unit(name) for name in params["systemd_units"]]
    directory = params["compose_directory"] or ""
    if params["compose_services"] and not directory:
        raise InputError("compose_services is given without compose_directory: name the directory of the project")
    if directory:
        command = tuple(params["compose_command"])
        if not command:
            raise InputError('compose_command is empty: write the command as words, like ["docker", "compose"]')
        parts.append(Compose(directory, tuple(params["compose_services"]), command))
    stopping, starting = (commands_from(name, params[name]) for name in ("stop_commands", "start_commands"))
    looking = tuple(params["running_command"])
    if stopping or starting or looking:
        for name, given in (("stop_commands", stopping), ("start_commands", starting), ("running_command", looking)):
            if not given:
                others = "stop_commands, start_commands and running_command belong together"
                raise InputError(f"{name} is empty: {others}, for without the last nobody can see what the others did")
        parts.append(Commands(stopping, starting, looking))
    timeouts = []
    for name in ("stop_timeout", "start_timeout"):
        try:
            timeouts.append(parse_duration(params[name]))
        except InputError as exc:
            raise InputError(f"{name}: {exc}") from None
    return Application(parts, *timeouts)


def commands_from(option: str, value: t.Sequence[t.Any]) -> tuple[tuple[str, ...], ...]:
    """Commands as a module's parameter has them, each a list of words.

    :raises InputError: naming the option, the value and what would be right.
    """
    for argv in value:
        if not isinstance(argv, (list, tuple)) or not argv or not all(isinstance(word, str) for word in argv):
            right = 'each command is a list of words, like [["systemctl", "stop", "api"]]; no shell reads them'
            raise InputError(f"{option} has {argv!r}: {right}")
    return tuple(tuple(argv) for argv in value)
