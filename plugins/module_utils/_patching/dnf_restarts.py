# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be restarted on a host with rpm: services that started before their files came, and the host itself.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

`dnf needs-restarting` ends with status 1 for "a reboot is needed" and for everything that goes wrong (a network that is
not there, a database that cannot be read). So only its words count, and without them it has said nothing.
"""

from __future__ import annotations

import os
import re
import typing as t

from . import rpm_versions
from .dnf_host import Dnf
from .packages import Installed
from .reboot import Reboot
from .replaced import Look
from .rpm_state import Row

#: What nothing but a reboot brings into use (Red Hat's solution 27943, which the plugin needs-restarting follows).
_CORE = (
    *("glibc", "linux-firmware", "systemd", "systemd-udev", "dbus", "dbus-daemon", "dbus-broker", "microcode_ctl"),
    *("openssl-libs", "gnutls"),
)
_KERNEL = re.compile(r"kernel(?P<flavour>(?:-[a-z0-9]+)*?)-core")
_NO_COMMAND = "No such command: needs-restarting"
_NEEDED = "Reboot is required"
_NOT_NEEDED = "Reboot should not be necessary"


def with_needs_restarting(dnf: Dnf, found: Look) -> Look:
    """Add what the plugin needs-restarting knows, where it is installed: it compares times, not names of files."""
    done = dnf.call("dnf", "-C", "needs-restarting", "--reboothint", must=False)
    text = f"{done.out}\n{done.err}"
    if _NO_COMMAND in text:
        return found
    if _NEEDED in text:
        names = [line.strip()[1:].strip() for line in done.out.splitlines() if line.strip().startswith("*")]
        found.reboot_reasons = (f"needs-restarting says that a reboot is needed, for {', '.join(names)}",)
    elif _NOT_NEEDED not in text or done.status:
        found.problem = f"needs-restarting does not say whether a reboot is needed: {done.said}"
        return found
    done = dnf.call("dnf", "-C", "needs-restarting", "--services", must=False)
    if done.status:
        found.problem = f"needs-restarting does not say which services are old: {done.said}"
    else:
        found.services = tuple(sorted(line for line in done.out.split() if line.endswith(".service")))
    return found


def reboot_of(packages: t.Mapping[str, Installed], rows: t.Sequence[Row], found: Look) -> Reboot:
    """Whether the host has to be rebooted: a newer kernel than the running one, or a core that came since its start."""
    running = os.uname().release
    newest = _newest(packages, running)
    about = Reboot(_boot_id(), running, newest, list(found.reboot_reasons))
    if newest and rpm_versions.is_newer(newest, running):
        about.reasons.append(f"the kernel {newest} is installed, {running} runs")
    started = _started()
    new = sorted({row.name for row in rows if row.name in _CORE and started and row.installed_at > started})
    if new and not found.reboot_reasons:
        about.reasons.append(f"{', '.join(new)} came after the host was started")
    return about


def flavour(release: str) -> str:
    """What a kernel is built for, as Red Hat writes it behind its release: 5.14.0-427.el9.x86_64+rt."""
    return release.partition("+")[2]


def _newest(packages: t.Mapping[str, Installed], running: str) -> str:
    """The newest installed kernel of the running one's flavour, as uname would tell it."""
    ending = f"+{flavour(running)}" if flavour(running) else ""
    architecture = running.partition("+")[0].rpartition(".")[2]
    found = []
    for name, one in packages.items():
        match = _KERNEL.fullmatch(name)
        if match and match.group("flavour").lstrip("-") == flavour(running):
            found += [f"{version}.{architecture}{ending}" for version in one.versions]
    return max(found, key=rpm_versions.key, default="")


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def _started() -> float:
    """When this system was started: its first process, for a container has the clock of its machine's kernel."""
    try:
        with open("/proc/stat", encoding="utf-8") as file:
            kernel = next((float(line.split()[1]) for line in file if line.startswith("btime ")), 0.0)
        return max(kernel, os.stat("/proc/1").st_mtime)
    except (OSError, ValueError, IndexError):
        return 0.0
