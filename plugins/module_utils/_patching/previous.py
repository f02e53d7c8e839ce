# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages as archives and caches have them: sizes, and whether the version that is installed now could be had again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import typing as t

from .archives import Table
from .packages import Installed
from .preflight import Sizes, is_kernel
from .programs import Apt, PatchingError

_CHUNK = 1 << 20
_FIELD = re.compile(r"^([A-Za-z0-9-]+): (.*)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Listed:
    """A version as its archive lists it."""

    name: str
    version: str
    architecture: str
    size: int
    installed_size: int
    sha256: str

    @property
    def file(self) -> str:
        return file_name(self.name, self.version, self.architecture)


def file_name(name: str, version: str, architecture: str) -> str:
    """As apt names packages in its cache."""
    return f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_{architecture}.deb"


def listed(apt: Apt, wanted: t.Mapping[str, str]) -> dict[str, Listed]:
    """What the lists say of these versions. What they do not have is left out."""
    found: dict[str, Listed] = {}
    if not wanted:
        return found
    by_key = {(name.partition(":")[0], version): name for name, version in wanted.items()}
    words = [f"{name}={version}" for name, version in sorted(wanted.items())]
    for block in apt.call("apt-cache", "show", *words, must=False).out.split("\n\n"):
        fields: dict[str, str] = dict(_FIELD.findall(block))
        name = by_key.get((fields.get("Package", ""), fields.get("Version", "")))
        if name and "Filename" in fields and name not in found:
            sizes = [int(fields.get(key, "0") or 0) for key in ("Size", "Installed-Size")]
            about = (fields["Version"], fields.get("Architecture", ""), sizes[0], sizes[1] * 1024)
            found[name] = Listed(name, *about, fields.get("SHA256", ""))
    return found


def sizes(apt: Apt, wanted: t.Mapping[str, str], packages: t.Mapping[str, Installed]) -> Sizes:
    """What has to be fetched and unpacked for these versions."""
    known = listed(apt, wanted)
    fetched = [one for one in known.values() if not os.path.exists(os.path.join(apt.archives, one.file))]
    growth = sum(one.installed_size - (packages[name].size if name in packages else 0) for name, one in known.items())
    largest = max((one.installed_size for one in known.values()), default=0)
    return Sizes(
        download=sum(one.size for one in fetched),
        growth=max(0, growth),
        largest=largest,
        kernels=tuple(name for name in wanted if is_kernel(name)),
    )


@dataclasses.dataclass(frozen=True)
class Way:
    """Where the installed version of a package could be had again: `kept`, `cache`, `archive`, or nowhere (empty)."""

    name: str
    version: str
    where: str
    path: str = ""


def ways_back(
    apt: Apt, packages: t.Mapping[str, Installed], tables: t.Mapping[str, Table], kept: str
) -> dict[str, Way]:
    """For each package, where its installed version is.

    :param kept: directory with packages that were put aside for this.
    """
    found = {}
    for name, one in packages.items():
        way = Way(name, one.version, "")
        for where, directory in (("kept", kept), ("cache", apt.archives)):
            path = _file_of(directory, name, one.version, apt.architecture)
            if path and not way.where and _is_it(apt, path, name, one.version):
                way = Way(name, one.version, where, path)
        version = tables[name].get(one.version) if name in tables else None
        if not way.where and version and version.origins:
            way = Way(name, one.version, "archive")
        found[name] = way
    return found


def _file_of(directory: str, name: str, version: str, architecture: str) -> str:
    its = name.partition(":")[2] or architecture
    for each in (its, "all"):
        path = os.path.join(directory, file_name(name, version, each))
        if os.path.isfile(path):
            return path
    return ""


def _is_it(apt: Apt, path: str, name: str, version: str) -> bool:
    """Whether a file really is that package: it may have been cut off, or renamed."""
    told = apt.call("dpkg-deb", "--show", "--showformat=${Package} ${Version}", path, must=False)
    return not told.status and told.out.split() == [name.partition(":")[0], version]


def keep(apt: Apt, way: Way, directory: str, log: str, timeout: float) -> Way:
    """Put the installed version aside, for archives forget old versions and caches are cleaned.

    :raises PatchingError: when it cannot be had, or is not what its archive lists.
    """
    os.makedirs(directory, mode=0o755, exist_ok=True)
    if way.where == "kept":
        return way
    target = ""
    if way.where == "cache":
        target = os.path.join(directory, os.path.basename(way.path))
        _copy(way.path, target)
    elif way.where == "archive":
        target = _download(apt, way, directory, log, timeout)
    if not target or not _is_it(apt, target, way.name, way.version):
        raise PatchingError(f"{way.name} {way.version} is in no archive and in no cache any more")
    return dataclasses.replace(way, where="kept", path=target)


def prune(apt: Apt, directory: str, wanted: t.Mapping[str, str]) -> None:
    """Remove what was put aside for earlier upgrades: the way back leads over the last one alone."""
    names = {
        file_name(name, version, architecture)
        for name, version in wanted.items()
        for architecture in (name.partition(":")[2] or apt.architecture, "all")
    }
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            if name.endswith(".deb") and name not in names:
                os.unlink(os.path.join(directory, name))


def _download(apt: Apt, way: Way, directory: str, log: str, timeout: float) -> str:
    word = f"{way.name}={way.version}"
    one = listed(apt, {way.name: way.version}).get(way.name)
    argv = ["apt-get", "-q", "-o", f"Dir::Cache::archives={directory}/", "--download-only", "-y"]
    argv += ["--reinstall", "--no-install-recommends", "install", word]
    os.makedirs(os.path.join(directory, "partial"), exist_ok=True)
    done = apt.change(argv, log, {}, timeout)
    path = os.path.join(directory, one.file) if one else ""
    if done.status or not path or not os.path.exists(path):
        raise PatchingError(f"{way.name} {way.version} cannot be fetched: {done.said}")
    if one and one.sha256 and _sha256(path) != one.sha256:
        raise PatchingError(f"{path} is not the package that its archive lists")
    return path


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _copy(source: str, target: str) -> None:
    """The whole file under its name, or none."""
    half = f"{target}.part"
    with open(source, "rb") as old, open(half, "wb") as new:
        while chunk := old.read(_CHUNK):
            new.write(chunk)
        new.flush()
        os.fsync(new.fileno())
    os.replace(half, target)
