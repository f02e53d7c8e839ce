# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who still runs files that were replaced, by reading what every process has mapped.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

An upgrade gives a file's name to a new file; who runs the old one goes on with it, with its holes, until it is
restarted. /proc tells that of every process, whatever it was written in; needrestart adds what only it knows.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .programs import Apt

_MAP = re.compile(r"[0-9a-f]+-[0-9a-f]+ (?P<rights>\S{4}) \S+ \S+ \d+ +(?P<path>/.*) \(deleted\)")
#: Memory that has a name and never was a file of a package.
NO_FILE = re.compile(r"/(?:memfd:|dev/|SYSV|\[|drm|i915|proc/|run/|tmp/|var/tmp/|anon_hugepage|home/)")
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")
_USER = re.compile(r"/user@(\d+)\.service")
_SESSION = re.compile(r"/(session-[^/]+)\.scope")
#: Not docker.service and its like, which are services of the host: what runs in them has a scope or a directory.
_CONTAINER = re.compile(r"/(?:docker|libpod|crio|cri-containerd)[-/]|/(?:lxc\.payload|kubepods)[-./]|/machine\.slice/")
_NEEDRESTART = re.compile(r"NEEDRESTART-(?P<key>[A-Z]+): (?P<value>.*)")
_MOST_FILES = 5
#: Of a service of which no process runs replaced files that we see.
ADVISED = "the host's own program for that wants it restarted"


@dataclasses.dataclass(frozen=True)
class Process:
    """A process that runs replaced files. `unit` is the service that can be restarted for it; else empty."""

    pid: int
    command: str
    unit: str
    place: str
    files: tuple[str, ...]


@dataclasses.dataclass
class Look:
    """What was seen. `blind`: processes that could not be looked at, and why."""

    processes: list[Process] = dataclasses.field(default_factory=list)
    looked: int = 0
    blind: dict[int, str] = dataclasses.field(default_factory=dict)
    #: What needrestart says beside that: services by name, and the kernel (1 current, 2 ABI compatible, 3 version).
    services: tuple[str, ...] = ()
    kernel_state: int = 0
    kernel: str = ""
    #: Why the host has to be rebooted, by the program that is asked for that.
    reboot_reasons: tuple[str, ...] = ()
    #: Why the program that is asked for that, and is installed, does not say anything; empty when it does.
    problem: str = ""

    @property
    def units(self) -> dict[str, list[Process]]:
        found: dict[str, list[Process]] = {}
        for one in self.processes:
            if one.unit:
                found.setdefault(one.unit, []).append(one)
        for name in self.services:
            found.setdefault(name, [])
        return dict(sorted(found.items()))

    @property
    def others(self) -> list[Process]:
        """Those that no service is restarted for."""
        return [one for one in self.processes if not one.unit]


def look(proc: str = "/proc", no_file: t.Pattern[str] = NO_FILE) -> Look:
    """Look at every process. One that ends meanwhile has nothing to hide."""
    found = Look()
    for name in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        directory = os.path.join(proc, name)
        try:
            files = _replaced(directory, no_file)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as exc:
            found.blind[int(name)] = exc.strerror or str(exc)
            continue
        found.looked += 1
        if files:
            unit, place = _place(directory)
            found.processes.append(Process(int(name), _command(directory), unit, place, files))
    return found


def with_needrestart(apt: Apt, found: Look) -> Look:
    """Add what needrestart knows, where it is installed: interpreted programs and the kernel."""
    if not apt.which("needrestart"):
        return found
    told: dict[str, list[str]] = {}
    done = apt.call("needrestart", "-b", "-r", "l", must=False)
    for line in done.out.splitlines():
        match = _NEEDRESTART.fullmatch(line.strip())
        if match:
            told.setdefault(match.group("key"), []).append(match.group("value").strip())
    if "VER" not in told:
        # Its report begins with its version: without, there is none, and silence is no all-clear.
        found.problem = f"needrestart gave no report: {done.said}"
    found.services = tuple(sorted(told.get("SVC", [])))
    state = told.get("KSTA", ["0"])[0]
    found.kernel_state = int(state) if state.isdigit() else 0
    found.kernel = (told.get("KEXP") or [""])[0]
    return found


def _replaced(directory: str, no_file: t.Pattern[str]) -> tuple[str, ...]:
    """The files that it runs and that are no longer under their name."""
    found = set()
    with open(os.path.join(directory, "maps"), encoding="utf-8", errors="replace") as maps:
        for line in maps:
            match = _MAP.fullmatch(line.rstrip("\n"))
            if match and "x" in match.group("rights") and not no_file.match(match.group("path")):
                found.add(match.group("path"))
    return tuple(sorted(found))


def _group(directory: str) -> str | None:
    """The control group of a process, as systemd made it; None when it cannot be read."""
    try:
        with open(os.path.join(directory, "cgroup"), encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    # Of the first version of control groups, systemd's own hierarchy; of the second one, the only one there is.
    paths = [parts[2] for parts in lines if len(parts) == 3 and parts[1] in ("name=systemd", "")]
    return max(paths, key=len, default="")


def _place(directory: str) -> tuple[str, str]:
    """The service a process belongs to, and where it is in words."""
    proc, pid = os.path.split(directory)
    group = _group(directory)
    if pid == "1":
        return "", "init"
    if group is None:
        return "", "unknown"
    # A container may see the groups of the machine that it shares: what counts is what is below its own init.
    above = re.sub(r"/init\.scope$", "", _group(os.path.join(proc, "1")) or "").rstrip("/")
    path = group[len(above) :] if group.startswith(f"{above}/") else group
    # First of all: the services in a container have the names of ours, and are not ours.
    if _CONTAINER.search(path):
        return "", "a container"
    user, session, unit = _USER.search(path), _SESSION.search(path), _UNIT.search(path)
    if user:
        return "", f"services of the user {user.group(1)}"
    if session:
        return "", f"login {session.group(1)}"
    return (unit.group(1), unit.group(1)) if unit else ("", "no service")


def place_of(pid: str) -> tuple[str, str]:
    """The service that a process belongs to, and where it is in words."""
    return _place(os.path.join("/proc", pid))


def _command(directory: str) -> str:
    try:
        with open(os.path.join(directory, "comm"), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def told(one: Process) -> str:
    more = len(one.files) - _MOST_FILES
    files = ", ".join(one.files[:_MOST_FILES]) + (f" and {more} more" if more > 0 else "")
    return f"process {one.pid} ({one.command}) runs replaced files: {files}"


def to_dict(found: Look) -> list[dict[str, t.Any]]:
    return [
        {"pid": one.pid, "command": one.command, "unit": one.unit, "place": one.place, "files": list(one.files)}
        for one in found.processes
    ]
