# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a running nginx and the connections that they hold, as the kernel tells them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

nginx gives its processes titles: "master process", "worker process", and "worker process is shutting down" of one that
a reload has told to end what it is at. See "Controlling nginx" of its manual, and proc(5) for the files in /proc.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import socket
import sys
import time
import typing as t

from .model import BalancerError

_MASTER, _WORKER = "nginx: master process", "nginx: worker process"
_LEAVING = "nginx: worker process is shutting down"

#: An address in the kernel's bytes, and a port.
Endpoint = t.Tuple[bytes, int]
_MAPPED = b"\0" * 10 + b"\xff" * 2


@dataclasses.dataclass(frozen=True)
class Process:
    """Number and start, in clock ticks since the system's: no other process has both."""

    pid: int
    started: int

    @property
    def began(self) -> float:
        """When it started, by the clock on the wall."""
        boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return boot + self.started / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Processes:
    """The workers of one master: those that take requests, and those that only end what they are at."""

    master: Process
    current: frozenset[Process]
    leaving: frozenset[Process]


def look(pid_file: str) -> Processes:
    """:raises BalancerError: when nginx does not run, or cannot be seen."""
    pid = _number_in(pid_file)
    if os.path.exists(f"{pid_file}.oldbin"):
        raise BalancerError(f"{pid_file}.oldbin is there: another program takes over from the running nginx")
    master = _process(pid)
    if not master or not _title(pid).startswith(_MASTER):
        raise BalancerError(f"nginx does not run: process {pid}, named by {pid_file}, is no master process of nginx")
    current, leaving = set(), set()
    for name in os.listdir("/proc"):
        worker = _process(int(name), master.pid) if name.isdigit() else None
        if worker:
            title = _title(worker.pid)
            if title.startswith(_LEAVING):
                leaving.add(worker)
            elif title.startswith(_WORKER):
                current.add(worker)
    return Processes(master, frozenset(current), frozenset(leaving))


def _number_in(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read().split()[0])
    except FileNotFoundError:
        raise BalancerError(f"nginx does not run: {path} is not there; name its pid file") from None
    except (OSError, ValueError, IndexError) as exc:
        raise BalancerError(f"{path} names no process: {getattr(exc, 'strerror', None) or exc}") from None


def _process(pid: int, parent: int = 0) -> Process | None:
    """None when it does not run, or is no child of the parent."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    # The state is the third field, the parent the fourth, the start the twenty-second.
    if fields[0] in "ZX" or (parent and int(fields[1]) != parent):
        return None
    return Process(pid, int(fields[19]))


def _title(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", " ").strip()
    except OSError:
        return ""


def connections_of(processes: Processes) -> t.Mapping[Endpoint, int]:
    """How many connections nginx has to each address, whatever their state.

    :raises BalancerError: when that cannot be seen.
    """
    held: set[str] = set()
    for worker in processes.current | processes.leaving:
        held |= _sockets_of(worker.pid)
    found: collections.Counter[Endpoint] = collections.Counter()
    for table in ("tcp", "tcp6"):
        for line in _table(f"/proc/{processes.master.pid}/net/{table}"):
            fields = line.split()
            if fields[9] in held:
                found[_endpoint(fields[2])] += 1
    return found


def _sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets of a process."""
    place = f"/proc/{pid}/fd"
    found = set()
    try:
        names = os.listdir(place)
    except PermissionError:
        raise BalancerError(
            f"the connections of nginx's process {pid} may not be seen: it takes rights of root"
        ) from None
    except OSError:
        # It has ended meanwhile, and its connections with it.
        return set()
    for name in names:
        try:
            target = os.readlink(f"{place}/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def _table(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().splitlines()[1:]
    except FileNotFoundError:
        # A kernel without IPv6.
        if path.endswith("6"):
            return []
        raise BalancerError(f"{path} is not there, so nobody sees the connections of nginx") from None
    except OSError as exc:
        raise BalancerError(f"{path} cannot be read: {exc.strerror or exc}") from None


def _endpoint(told: str) -> Endpoint:
    """An address as the kernel's tables have it: words of four bytes, each a number of this machine, and the port."""
    words, _colon, port = told.partition(":")
    address = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return _plain(address), int(port, 16)


def _plain(address: bytes) -> bytes:
    """An IPv4 address that is written as one of IPv6 is the same place."""
    return address[12:] if len(address) == 16 and address.startswith(_MAPPED) else address


def endpoints_of(host: str, port: int) -> set[Endpoint]:
    """All addresses of a host, as far as they are known here; none when its name is not."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {
        (_plain(socket.inet_pton(family, str(address[0]).partition("%")[0])), port)
        for family, _type, _protocol, _name, address in found
        if family in (socket.AF_INET, socket.AF_INET6)
    }
