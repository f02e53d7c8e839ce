# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg knows: installed packages and their state, holds, what was interrupted, configuration files.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from .packages import Installed, Interrupted
from .programs import Apt

_FIELDS = ("binary:Package", "Version", "db:Status-Want", "db:Status-Status", "db:Status-Eflag", "Installed-Size")
_FORM = "".join(f"${{{field}}}\\t" for field in _FIELDS) + "\\n"
#: Nothing has to be done about these.
_AT_REST = ("installed", "config-files", "not-installed")


def plain(name: str, architecture: str) -> str:
    """A name as apt writes it: the architecture only where it is a foreign one."""
    base, _colon, its = name.partition(":")
    return base if its in ("", "all", architecture) else name


def installed(apt: Apt) -> dict[str, Installed]:
    """All packages of which there is at least something.

    :raises PatchingError: when dpkg cannot be asked.
    """
    found = {}
    for line in apt.call("dpkg-query", "--show", f"--showformat={_FORM}").out.splitlines():
        name, version, wanted, state, flag, size = line.split("\t")[: len(_FIELDS)]
        if version and state not in ("config-files", "not-installed"):
            name = plain(name, apt.architecture)
            found[name] = Installed(name, version, wanted, state, flag, int(size or 0) * 1024)
    return found


def interrupted(apt: Apt, packages: t.Mapping[str, Installed]) -> Interrupted:
    """What `dpkg --audit` would complain about as unfinished."""
    broken = [
        f"{one.name} is {one.state}" + ("" if one.flag == "ok" else f" ({one.flag})")
        for one in packages.values()
        if one.state not in _AT_REST or one.flag != "ok"
    ]
    try:
        # dpkg writes its changes here first. A number as name: not yet merged, for dpkg was cut off.
        cut_off = any(name.isdigit() for name in os.listdir(os.path.join(apt.admin, "updates")))
    except OSError:
        cut_off = False
    return Interrupted(tuple(sorted(broken)), cut_off)


def audit(apt: Apt) -> str:
    """All that `dpkg --audit` says; empty when it has nothing to say.

    :raises PatchingError: when it cannot be asked.
    """
    done = apt.call("dpkg", "--audit", must=False)
    return done.out.strip() or (done.said if done.status else "")


def conffiles(apt: Apt, names: t.Iterable[str]) -> dict[str, dict[str, str]]:
    """Configuration files of packages: the MD5 that each had when its package brought it, by path in the root."""
    wanted = list(names)
    found: dict[str, dict[str, str]] = {}
    if not wanted:
        return found
    form = "${binary:Package}\\n${Conffiles}\\n"
    package = ""
    for line in apt.call("dpkg-query", "--show", f"--showformat={form}", *wanted, must=False).out.splitlines():
        if line and not line.startswith(" "):
            package = plain(line, apt.architecture)
        else:
            words = line.split()
            if len(words) == 2:
                found.setdefault(package, {})[words[0]] = words[1]
    return found
