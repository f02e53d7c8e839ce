# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rpm knows: installed packages, which of them are not whole, configuration files, who is at work.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

rpm has no state of a package between installed and not installed. One whose upgrade was cut off is installed in both
versions, or was put there by a transaction of dnf that did not come to its end; and one whose script failed counts as
installed (rpm's documentation on scriptlets: only a failed %pre stops a package). All three are told here as not whole.
"""

from __future__ import annotations

import fcntl
import os
import typing as t

from . import rpm_versions
from .dnf_host import Dnf
from .packages import Installed
from .preflight import Holder, command_of, lock_holder

_FORM = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{LONGSIZE}\\t%{INSTALLTIME}\\n"
_FILES = "[%{=NAME}\\t%{=ARCH}\\t%{=FILEDIGESTALGO}\\t%{FILEFLAGS}\\t%{FILEDIGESTS}\\t%{FILENAMES}\\n]"
#: RPMFILE_CONFIG and RPMFILE_GHOST of rpm's rpmfiles.h.
_CONFIG, _GHOST = 1, 64
#: Of pgpHashAlgo (RFC 9580, section 9.5); rpm writes "(none)" for the first one, which was the only one once.
_ALGORITHMS = {"(none)": "md5", "1": "md5", "2": "sha1", "8": "sha256", "9": "sha384", "10": "sha512", "11": "sha224"}
#: Keys that rpm trusts are in its database as if they were packages.
_NO_PACKAGE = "(none)"


class Row(t.NamedTuple):
    """One package of one version, as rpm lists it."""

    name: str
    version: str
    architecture: str
    size: int
    installed_at: int

    @property
    def told(self) -> str:
        """As rpm writes it, without the epoch."""
        return rpm_versions.file_name(self.name, self.version, self.architecture)[: -len(".rpm")]


def rows(dnf: Dnf) -> list[Row]:
    """All of them.

    :raises PatchingError: when rpm cannot be asked.
    """
    found = []
    for line in dnf.call("rpm", "--query", "--all", "--queryformat", _FORM).out.splitlines():
        name, epoch, version, architecture, size, moment = line.split("\t")
        if architecture != _NO_PACKAGE:
            whole = f"{epoch}:{version}" if epoch not in ("0", "") else version
            found.append(Row(name, whole, architecture, int(size), int(moment)))
    return found


def whole_names(listed: t.Iterable[Row]) -> dict[str, str]:
    """Of each name the newest package, as rpm writes it."""
    newest: dict[str, Row] = {}
    for row in listed:
        known = newest.get(row.name)
        if known is None or rpm_versions.is_newer(row.version, known.version):
            newest[row.name] = row
    return {name: row.told for name, row in newest.items()}


def plain(name: str, architecture: str, own: str) -> str:
    """The architecture only where it is a foreign one."""
    return name if architecture in (own, "noarch") or _is_of(own, architecture) else f"{name}:{architecture}"


def _is_of(own: str, architecture: str) -> bool:
    """x86_64_v2 and the like are x86_64."""
    return architecture.startswith(f"{own}_")


def installed(
    listed: t.Sequence[Row],
    own: str,
    side_by_side: t.Collection[str],
    unfinished: t.Collection[tuple[str, str, str]],
    failed: t.Mapping[str, t.Sequence[str]],
) -> tuple[dict[str, Installed], dict[str, str]]:
    """All packages, and the architecture of each.

    :param side_by_side: names of which several versions are meant to be installed beside each other.
    :param unfinished: name, architecture and version of what a transaction put there that did not come to its end.
    :param failed: the scripts that failed, by name-version-release.architecture.
    """
    grouped: dict[str, list[Row]] = {}
    for row in listed:
        grouped.setdefault(plain(row.name, row.architecture, own), []).append(row)
    found, architectures = {}, {}
    for key, group in grouped.items():
        group.sort(key=lambda row: rpm_versions.key(row.version), reverse=True)
        newest, others = group[0], tuple(row.version for row in group[1:])
        state, scripts = "installed", failed.get(newest.told)
        if others and newest.name not in side_by_side:
            state = f"installed twice ({', '.join([newest.version, *others])})"
        elif (newest.name, newest.architecture, newest.version) in unfinished:
            state = "installed by a transaction that was cut off"
        elif scripts:
            state = f"installed, and a script of it failed ({'; '.join(scripts)})"
        size = sum(row.size for row in group)
        found[key] = Installed(key, newest.version, "install", state, "ok", size, others)
        architectures[key] = newest.architecture
    return found, architectures


def conffiles(dnf: Dnf, names: t.Mapping[str, str], own: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Configuration files of packages (name -> name and architecture in one word): algorithm and digest of each."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    if not names:
        return found
    for line in dnf.call("rpm", "--query", "--queryformat", _FILES, *names.values(), must=False).out.splitlines():
        parts = line.split("\t")
        if len(parts) != 6 or not parts[3].isdigit():
            continue
        name, architecture, algorithm, flags, digest, path = parts
        if int(flags) & _CONFIG and not int(flags) & _GHOST and digest and algorithm in _ALGORITHMS:
            found.setdefault(plain(name, architecture, own), {})[path] = (_ALGORITHMS[algorithm], digest)
    return found


def damage(dnf: Dnf) -> str:
    """What is wrong with rpm's database; empty when nothing is."""
    done = dnf.call("rpmdb" if dnf.which("rpmdb") else "rpm", "--verifydb", must=False)
    return f"rpm's database is damaged: {done.said}; rpm --rebuilddb makes it anew" if done.status else ""


def lock_holders(admin: str, locks: t.Iterable[str]) -> list[Holder]:
    """Who changes rpm's database, and who holds one of dnf's locks (files with the number of a process)."""
    # Those who only read it hold the same lock, and are in nobody's way.
    writer = lock_holder(os.path.join(admin, ".rpm.lock"), fcntl.F_RDLCK)
    found = [writer] if writer else []
    for path in locks:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                text = file.read(20).strip()
        except OSError:
            continue
        # dnf takes the lock of a process that is no more.
        if text.isdigit() and int(text) != os.getpid() and os.path.exists(f"/proc/{text}/stat"):
            found.append(Holder(path, int(text), command_of(int(text))))
    return found
