# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an upgrade could be done now: locks, what was interrupted, space, the clock.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import glob
import os
import re
import struct
import time
import typing as t

from .._core.sizes import format_size
from .programs import Apt, PatchingError

_KERNEL = re.compile(r"linux-image-(?:unsigned-)?\d.*|kernel(?:-[a-z0-9]+)*-core")
#: As Debian and as Red Hat name what a kernel starts with.
_IMAGES = ("initrd.img-*", "initramfs-*.img")
#: dpkg and rpm write their own lists anew, and logs grow: what has to be free beside the packages themselves.
MARGIN_BYTES = 64 * 1000 * 1000
_FLOCK = "hhqqi"
#: ADJ_ADJTIME and the like are not asked for: modes = 0 only reads. TIME_ERROR: not synchronised.
_TIME_ERROR = 5


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who holds a lock of apt or dpkg."""

    path: str
    pid: int
    command: str

    def told(self) -> str:
        return f"{self.path} is held by process {self.pid} ({self.command or 'which has just ended'})"


def lock_holders(apt: Apt) -> list[Holder]:
    """:raises PatchingError: when a lock cannot be looked at."""
    paths = [os.path.join(apt.admin, "lock-frontend"), os.path.join(apt.admin, "lock")]
    paths += [os.path.join(apt.lists, "lock"), os.path.join(apt.archives, "lock")]
    return [holder for path in paths if (holder := lock_holder(path))]


def wait_for_locks(look: t.Callable[[], list[Holder]], patience: float) -> list[Holder]:
    """Those who still hold one when the time is over; none when all are free."""
    deadline = time.monotonic() + patience
    while True:
        holders = look()
        if not holders or time.monotonic() >= deadline:
            return holders
        time.sleep(min(1.0, max(0.05, patience / 20)))


def lock_holder(path: str, kind: int = fcntl.F_WRLCK) -> Holder | None:
    """Who keeps others from taking this lock; with `F_RDLCK`, from taking it beside those who only read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise PatchingError(f"the lock {path} cannot be looked at: {exc.strerror or exc}") from exc
    try:
        asked = struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)
        state, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    finally:
        os.close(file)
    return None if state == fcntl.F_UNLCK else Holder(path, pid, command_of(pid))


def command_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


@dataclasses.dataclass(frozen=True)
class Need:
    """Space that has to be free at a place, and what there is."""

    path: str
    needed: int
    free: int

    @property
    def is_short(self) -> bool:
        return self.free < self.needed

    def told(self) -> str:
        return f"{self.path} has {format_size(self.free)} free, {format_size(self.needed)} are needed"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of what is to be installed: bytes to fetch, and by how many bytes each package grows and is large."""

    download: int
    growth: int
    largest: int
    kernels: tuple[str, ...] = ()


class Places(t.Protocol):
    """Where packages go."""

    @property
    def root(self) -> str:
        """Where they are unpacked to."""

    @property
    def archives(self) -> str:
        """Where they are downloaded to."""

    @property
    def admin(self) -> str:
        """Where it is written down what is installed."""

    def in_root(self, path: str) -> str:
        """A path below the root."""


def space(host: Places, sizes: Sizes) -> list[Need]:
    """What is needed where; places on the same file system add up.

    A package's old and new files are side by side until it is done with. A kernel needs its files and an initrd in
    /boot; and an initrd may be written anew, beside the old one, whatever is installed.
    """
    begins = bool(sizes.download or sizes.largest)
    # Most of a package is in /usr, which may be a file system of its own, as may be what is kept of them.
    files = host.in_root("usr") if _is_apart(host.in_root("usr"), host.root) else host.root
    margin = MARGIN_BYTES if begins else 0
    wanted = [(host.root, margin), *([(host.admin, margin)] if _is_apart(host.admin, host.root) else [])]
    wanted += [(files, sizes.growth + sizes.largest if begins else 0), (host.archives, sizes.download)]
    wanted.append((host.in_root("boot"), _boot_need(host.in_root("boot"), len(sizes.kernels))))
    by_device: dict[int, Need] = {}
    for path, needed in wanted:
        place = _existing(path)
        try:
            device, system = os.stat(place).st_dev, os.statvfs(place)
        except OSError as exc:
            raise PatchingError(f"the space in {place} cannot be looked at: {exc.strerror or exc}") from exc
        free = system.f_bavail * system.f_frsize
        known = by_device.get(device)
        by_device[device] = Need(known.path if known else place, needed + (known.needed if known else 0), free)
    return list(by_device.values())


def _is_apart(path: str, root: str) -> bool:
    try:
        return os.stat(_existing(path)).st_dev != os.stat(_existing(root)).st_dev
    except OSError:
        return False


def is_kernel(name: str) -> bool:
    return bool(_KERNEL.fullmatch(name))


def _boot_need(boot: str, kernels: int) -> int:
    images = (path for name in _IMAGES for path in glob.glob(os.path.join(boot, name)))
    initrd = max((_size(path) for path in images), default=0)
    rest = sum(
        max((_size(path) for path in glob.glob(os.path.join(boot, f"{name}-*"))), default=0)
        for name in ("vmlinuz", "System.map", "config")
    )
    return initrd + kernels * (initrd + rest)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _existing(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path.rstrip("/")) or "/"
    return path.rstrip("/") or "/"


class _Timex(ctypes.Structure):
    """Large enough for struct timex of every architecture; only the return value is read."""

    _fields_: t.ClassVar[t.Any] = [("modes", ctypes.c_uint), ("rest", ctypes.c_char * 508)]


def clock_is_synchronised() -> bool | None:
    """What the kernel says of its clock; None when it cannot be asked."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(_Timex()))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)
