# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where versions come from: the archives that apt knows, which of them hold security fixes, what packages have there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

An archive is known by its label and its codename. The suite alone proves nothing: it is renamed when a release ages
("stable-security" became "oldstable-security"), and every archive may call itself "stable".
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from .._core.masking import mask_secrets
from .._core.suggest import InputError, refuse_unknown
from . import versions
from .advisories import Advisory
from .programs import Apt, PatchingError

#: Keys of a line of `apt-cache policy` -> what we call them.
_RELEASE_KEYS = {"o": "origin", "l": "label", "n": "codename", "a": "archive"}
ORIGIN_KEYS = tuple(_RELEASE_KEYS.values())
CODENAME = "CODENAME"
#: Debian names the codename of its security archive after the release; Ubuntu's pockets differ in the archive alone,
#: so that the codename, the origin and the label are asked for beside it.
SECURITY_ORIGINS: tuple[dict[str, str], ...] = (
    {"label": "Debian-Security", "codename": f"{CODENAME}-security"},
    {"label": "Debian-Security", "codename": CODENAME},
    {"origin": "Ubuntu", "label": "Ubuntu", "codename": CODENAME, "archive": f"{CODENAME}-security"},
    {"origin": "UbuntuESM", "label": "UbuntuESM", "codename": CODENAME, "archive": f"{CODENAME}-infra-security"},
    {"origin": "UbuntuESMApps", "label": "UbuntuESMApps", "codename": CODENAME, "archive": f"{CODENAME}-apps-security"},
)

_FILE = re.compile(r" *(-?\d+) (.+)")
_VERSION = re.compile(r" (\*\*\*|   ) (\S+) (-?\d+)(?: \(phased (\d+)%\))?")


@dataclasses.dataclass(frozen=True)
class Origin:
    """What an archive calls itself."""

    origin: str = ""
    label: str = ""
    codename: str = ""
    archive: str = ""

    def told(self) -> str:
        return f"{self.label or self.origin or 'no label'} {self.codename or self.archive or 'no codename'}"


@dataclasses.dataclass(frozen=True)
class Version:
    """A version of a package and the archives that have it now."""

    version: str
    origins: tuple[Origin, ...]
    phased: int | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    """What apt knows of one package, the newest version first."""

    name: str
    installed: str
    candidate: str
    versions: tuple[Version, ...]

    def get(self, version: str) -> Version | None:
        return next((each for each in self.versions if each.version == version), None)

    @property
    def is_upgradable(self) -> bool:
        return bool(self.installed and self.candidate) and versions.is_newer(self.candidate, self.installed)

    @property
    def phased(self) -> Version | None:
        """The newest version that its archive gives to a part of all hosts so far. Older versions of apt hide it."""
        part = [each for each in self.versions if each.phased is not None and each.phased < 100]
        newer = [each for each in part if self.installed and versions.is_newer(each.version, self.installed)]
        return max(newer, key=lambda each: versions.key(each.version), default=None)

    @property
    def advisories(self) -> tuple[Advisory, ...]:
        """What newer versions are for. apt's lists have none."""
        return ()

    def security(self, rules: t.Sequence[t.Mapping[str, str]]) -> Version | None:
        """The newest version in a security archive that is newer than the installed one.

        Also when the candidate comes from elsewhere: what is installed lacks the fix all the same.
        """
        found = [each for each in self.versions if any(is_security(origin, rules) for origin in each.origins)]
        newer = [each for each in found if self.installed and versions.is_newer(each.version, self.installed)]
        return max(newer, key=lambda each: versions.key(each.version), default=None)


def is_security(origin: Origin, rules: t.Sequence[t.Mapping[str, str]]) -> bool:
    return any(all(fnmatch.fnmatchcase(getattr(origin, key), rule[key]) for key in rule) for rule in rules)


def security_rules(given: t.Any, codename: str) -> list[dict[str, str]]:
    """The rules by which an archive holds security fixes, with the release's codename in its place.

    :raises InputError: naming the entry, the key, the value and what would be right.
    """
    if not isinstance(given, list) or not given:
        raise InputError(f"security_origins is {given!r}, must be a list with at least one archive")
    rules = []
    for number, entry in enumerate(given, 1):
        where = f"security_origins entry {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{where} is {entry!r}: write label and codename, like those of apt-cache policy")
        refuse_unknown(f"{where}: unknown key %s", entry, ORIGIN_KEYS)
        for key in ("label", "codename"):
            if not entry.get(key):
                raise InputError(f"{where} has no {key}: an archive is known by its label and its codename together")
        rules.append({key: str(value).replace(CODENAME, codename) for key, value in entry.items() if value})
    return rules


def _release(line: str) -> Origin:
    """A line like "release v=12,o=Debian,a=oldstable,n=bookworm,l=Debian,c=main,b=amd64"."""
    values = dict(part.split("=", 1) for part in re.split(r",(?=[a-z]=)", line) if "=" in part)
    return Origin(**{name: values.get(key, "") for key, name in _RELEASE_KEYS.items()})


def archives(apt: Apt) -> dict[str, Origin]:
    """What each list of packages calls itself, by how `apt-cache policy` writes it."""
    found: dict[str, Origin] = {}
    current = ""
    for line in apt.call("apt-cache", "policy").out.splitlines():
        stripped = line.strip()
        if stripped.startswith("release ") and current:
            found[current] = _release(stripped[len("release ") :])
        elif stripped == "Pinned packages:":
            break
        else:
            match = _FILE.fullmatch(line)
            if match:
                current = match.group(2).strip()
                found.setdefault(current, Origin())
    return found


def tables(apt: Apt, names: t.Iterable[str]) -> dict[str, Table]:
    """What apt knows of each of these packages.

    :raises PatchingError: when it does not know one that is installed, for then its lists are damaged.
    """
    wanted = list(names)
    known = archives(apt)
    found = (
        {table.name: table for table in _read(apt.call("apt-cache", "policy", *wanted).out, known)} if wanted else {}
    )
    missing = [name for name in wanted if name not in found]
    if missing:
        raise PatchingError(f"apt-cache policy says nothing of {', '.join(missing[:5])}, which is installed")
    return found


def _read(text: str, known: t.Mapping[str, Origin]) -> t.Iterator[Table]:
    name, installed, candidate = "", "", ""
    rows: list[tuple[str, int | None, list[Origin]]] = []

    def table() -> Table:
        every = tuple(Version(version, tuple(origins), phased) for version, phased, origins in rows)
        return Table(name, installed, candidate, every)

    for line in text.splitlines():
        row = _VERSION.match(line)
        if line and not line.startswith(" "):
            if name:
                yield table()
            name, installed, candidate, rows = line.rstrip(":"), "", "", []
        elif line.startswith("  Installed: "):
            installed = _some(line)
        elif line.startswith("  Candidate: "):
            candidate = _some(line)
        elif row:
            rows.append((row.group(2), int(row.group(4)) if row.group(4) else None, []))
        elif rows:
            match = _FILE.fullmatch(line)
            # dpkg's own list of what is installed is no archive that a version could come from.
            if match and not match.group(2).strip().startswith("/"):
                rows[-1][2].append(known.get(match.group(2).strip(), Origin()))
    if name:
        yield table()


def _some(line: str) -> str:
    value = line.split(": ", 1)[1].strip()
    return "" if value == "(none)" else value


def told(origins: t.Sequence[Origin]) -> list[str]:
    return [str(mask_secrets(origin.told())) for origin in dict.fromkeys(origins)]
