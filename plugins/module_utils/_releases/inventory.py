# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is really installed: packages of Python environments and of node_modules, read from the disk, by content.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The digest of a package is that of its files as they lie there, whatever its metadata say of them.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import re
import typing as t

from .place import ReleaseError
from .sources import file_sha256

PYPI, NPM = "pypi", "npm"
CONTENTS, VERSIONS = "contents", "versions"

#: What installers write for themselves, and what differs by where and when it was installed.
_NOT_OF_THE_PACKAGE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


@dataclasses.dataclass(frozen=True)
class Package:
    """One package in one place of a release."""

    ecosystem: str
    name: str
    version: str
    #: Where in the release: the environment, or the directory of the package.
    place: str
    content: str

    def line(self, compare: str) -> str:
        told = f"{self.ecosystem} {self.name} {self.version} {self.place}"
        return f"{told} {self.content}" if compare == CONTENTS else told

    def to_list(self) -> list[str]:
        return [self.ecosystem, self.name, self.version, self.place, self.content]


def packages_from(lists: t.Iterable[t.Sequence[str]]) -> list[Package]:
    """As they were written down; :raises TypeError: when they were not."""
    return [Package(*one) for one in lists]


def digest_of(packages: t.Iterable[Package], compare: str = CONTENTS) -> str:
    """The same for the same packages, in whatever order they were found."""
    lines = sorted(package.line(compare) for package in packages)
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def normalised(name: str) -> str:
    """See https://packaging.python.org/en/latest/specifications/name-normalization/."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_environment(root: str, place: str) -> list[Package]:
    """The packages in a virtual environment.

    :param place: its path in the release.
    :raises ReleaseError: when there is none or it cannot be read.
    """
    found = sorted(glob.glob(os.path.join(glob.escape(os.path.join(root, place)), "lib", "python3*", "site-packages")))
    if not found:
        raise ReleaseError(f"{place} is no virtual environment")
    return [
        _distribution(root, place, site, name)
        for site in found
        for name in sorted(os.listdir(site))
        if name.endswith(".dist-info")
    ]


def _distribution(root: str, place: str, site: str, name: str) -> Package:
    told: dict[str, str] = {}
    where = os.path.join(site, name)
    try:
        with open(os.path.join(where, "METADATA"), encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip():
                    break
                key, _colon, value = line.partition(":")
                told.setdefault(key.strip().lower(), value.strip())
        with open(os.path.join(where, "RECORD"), encoding="utf-8", errors="replace") as file:
            listed = sorted(_recorded(line) for line in file)
        files = [path for path in listed if _is_content(path, name)]
        content = _content(site, files)
        package = Package(PYPI, normalised(told["name"]), told["version"], place, content)
    except FileNotFoundError as exc:
        missing = os.path.relpath(exc.filename, root)
        raise ReleaseError(f"{name} in {place} is not whole: {missing} is missing") from None
    except (KeyError, UnicodeDecodeError) as exc:
        raise ReleaseError(f"{name} in {place} cannot be read: {exc}") from None
    return package


def _recorded(line: str) -> str:
    """The path in a line of a RECORD, which is CSV."""
    text = line.rstrip("\r\n")
    if text.startswith('"'):
        return text[1:].rpartition('",')[0].rpartition('",')[0].replace('""', '"') or text[1:].partition('"')[0]
    return text.rsplit(",", 2)[0]


def _is_content(path: str, information: str) -> bool:
    if not path or path.endswith((".pyc", ".pyo")) or path.startswith(("../", "/")):
        # What is compiled and programs in bin name the place where they were installed.
        return False
    head, _slash, tail = path.partition("/")
    return not (head == information and tail in _NOT_OF_THE_PACKAGE)


def _content(base: str, files: t.Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in files:
        full = os.path.join(base, path)
        said = f"-> {os.readlink(full)}" if os.path.islink(full) else file_sha256(full)
        digest.update(f"{path} {said}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_modules(root: str, place: str) -> list[Package]:
    """The packages in the node_modules of a directory, and in those of their own.

    :param place: the path of the directory in the release.
    :raises ReleaseError: when one cannot be read.
    """
    found: list[Package] = []
    waiting = [os.path.join(root, place, "node_modules")]
    while waiting:
        modules = waiting.pop()
        for directory in _modules_in(modules):
            found.append(_module(root, directory))
            waiting.append(os.path.join(directory, "node_modules"))
    return found


def _modules_in(modules: str) -> list[str]:
    if not os.path.isdir(modules):
        return []
    found = []
    for name in sorted(os.listdir(modules)):
        path = os.path.join(modules, name)
        if name.startswith(".") or os.path.islink(path) or not os.path.isdir(path):
            continue
        found += [os.path.join(path, inner) for inner in sorted(os.listdir(path))] if name.startswith("@") else [path]
    return found


def _module(root: str, directory: str) -> Package:
    place = os.path.relpath(directory, root)
    try:
        with open(os.path.join(directory, "package.json"), encoding="utf-8") as file:
            told = json.load(file)
        name, version = told["name"], told["version"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ReleaseError(f"the package in {place} cannot be read: {exc}") from None
    files = []
    for base, directories, names in os.walk(directory):
        # Those of its own packages are theirs.
        directories[:] = sorted(name for name in directories if name != "node_modules")
        files += [os.path.relpath(os.path.join(base, name), directory) for name in names]
        files += [os.path.relpath(path, directory) for path in _links(base, directories)]
    return Package(NPM, str(name), str(version), place, _content(directory, sorted(files)))


def _links(base: str, directories: t.Iterable[str]) -> list[str]:
    return [path for path in (os.path.join(base, name) for name in directories) if os.path.islink(path)]


def difference(before: t.Iterable[Package], after: t.Iterable[Package]) -> list[dict[str, t.Any]]:
    """What is other than it was, package by package: versions, or contents under the same version."""
    old, new = _by_name(before), _by_name(after)
    found = []
    for key in sorted({*old, *new}):
        was, now = old.get(key, set()), new.get(key, set())
        if was == now:
            continue
        versions = [sorted({version for version, _content in side}) for side in (was - now, now - was)]
        found.append({"ecosystem": key[0], "package": key[1], "before": versions[0], "after": versions[1]})
    return found


def _by_name(packages: t.Iterable[Package]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for package in packages:
        found.setdefault((package.ecosystem, package.name), set()).add((package.version, package.content))
    return found
