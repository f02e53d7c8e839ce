# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of Python projects: uv.lock and poetry.lock beside pyproject.toml.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import collections
import importlib
import os
import re
import typing as t

from .changes import PYPI
from .model import Node, Source, SourceError, read_text
from .pep440 import canonical

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
#: In Python since 3.11; pip brings its own copy.
_PARSERS = ("tomllib", "tomli", "pip._vendor.tomli")
#: Where uv says that a package is of this project or this host.
_OWN = ("editable", "virtual", "directory", "path")

Table = t.Dict[str, t.Any]


def read_toml(path: str) -> Table:
    """:raises SourceError: when it is not TOML, or nothing here can read it."""
    text = read_text(path)
    for name in _PARSERS:
        try:
            parser = importlib.import_module(name)
        except ImportError:
            continue
        try:
            found: Table = parser.loads(text)
        except ValueError as exc:
            raise SourceError(f"{os.path.basename(path)} is not TOML: {exc}") from exc
        return found
    raise SourceError(
        f"{os.path.basename(path)} cannot be read: this Python has neither tomllib (3.11 and newer) nor tomli"
    )


def manifest_requirements(pyproject: Table) -> dict[str, str]:
    """What pyproject.toml asks for, each name with its range; the groups for development, too."""
    asked: dict[str, str] = {}
    project = _table(pyproject, "project")
    listed = list(project.get("dependencies") or [])
    for group in (*_table(project, "optional-dependencies").values(), *_table(pyproject, "dependency-groups").values()):
        listed += [entry for entry in group if isinstance(entry, str)]
    listed += list(_table(_table(pyproject, "tool"), "uv").get("dev-dependencies") or [])
    for text in listed:
        match = _NAME.match(str(text))
        if match:
            rest = re.sub(r"^\s*\[[^\]]*\]", "", str(text)[match.end() :]).partition(";")[0].strip()
            asked[canonical(match.group(1))] = "" if rest.startswith("@") else rest.strip("() ")
    poetry = _table(_table(pyproject, "tool"), "poetry")
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values() if isinstance(group, dict)]
    for table in tables:
        for name, wanted in table.items():
            if canonical(name) != "python":
                text = (
                    wanted if isinstance(wanted, str) else wanted.get("version", "") if isinstance(wanted, dict) else ""
                )
                asked.setdefault(canonical(name), poetry_range(str(text)))
    return asked


def poetry_range(text: str) -> str:
    """Poetry's "^1.2" and "~1.2" in the words of PEP 440."""
    parts = []
    for part in (piece.strip() for piece in text.split(",")):
        match = re.fullmatch(r"([\^~])\s*(\d+(?:\.\d+)*)(.*)", part)
        if match:
            numbers = [int(number) for number in match.group(2).split(".")]
            if match.group(1) == "^":
                fixed = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
            else:
                fixed = min(1, len(numbers) - 1)
            beyond = ".".join(str(number) for number in [*numbers[:fixed], numbers[fixed] + 1])
            parts.append(f">={match.group(2)}{match.group(3)},<{beyond}")
        elif re.fullmatch(r"\d[\w.!+-]*", part):
            parts.append(f"=={part}")
        elif part and part != "*":
            parts.append(f"=={part}" if part[0].isdigit() else part)
    return ",".join(parts)


def _table(of: t.Any, name: str) -> Table:
    found = of.get(name) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}


def read_uv(project: str, file: str, pyproject: Table) -> Source:
    """:raises SourceError: when it is no lock of uv."""
    lock = read_toml(os.path.join(project, file))
    packages = _packages(lock, file)
    source = Source(project, file, PYPI, "lock", language=_minimum(lock.get("requires-python")))
    asked = manifest_requirements(pyproject)
    roots: list[Table] = []
    for package in packages:
        origin = _table(package, "source")
        own = any(word in origin for word in _OWN)
        from_address = "git" in origin or "url" in origin
        version = "" if from_address else str(package.get("version") or "")
        name = canonical(str(package["name"]))
        problem = f"{name} comes from an address, so its version is not known to any index" if from_address else ""
        if not version and not own and not from_address:
            problem = f"{name} has no version in the lock"
        source.add(Node(_key(package), name, version, own=own, problem=problem))
        if "editable" in origin or "virtual" in origin:
            roots.append(package)
    for package in packages:
        node = source.nodes[_key(package)]
        for wanted in _uv_wants(package, with_groups=package in roots):
            found = _uv_target(source, wanted)
            if not found:
                source.problems.append(_lacking(str(wanted["name"]), node.name))
            node.wants += [other.key for other in found]
    for root in roots:
        for wanted in _uv_wants(root, with_groups=True):
            for node in _uv_target(source, wanted):
                source.direct.setdefault(node.key, asked.get(node.name, ""))
    if not roots:
        source.problems.append("it does not say which package is the project itself")
    # Where uv has them from, and not where pip would look: names of one's own are nothing for a public index.
    source.indexes = _indexes(_table(package, "source").get("registry") for package in packages)
    _compare(source, asked)
    return source


def _indexes(urls: t.Iterable[t.Any]) -> tuple[str, ...]:
    """The addresses among them, the one of most packages first."""
    counted = collections.Counter(
        url for url in urls if isinstance(url, str) and url.startswith(("http://", "https://"))
    )
    return tuple(url for url, _count in counted.most_common())


def _uv_wants(package: Table, with_groups: bool) -> list[Table]:
    lists = [package.get("dependencies") or [], *_table(package, "optional-dependencies").values()]
    if with_groups:
        lists += _table(package, "dev-dependencies").values()
    return [wanted for wants in lists for wanted in wants if isinstance(wanted, dict) and wanted.get("name")]


def _uv_target(source: Source, wanted: Table) -> list[Node]:
    nodes = source.named(str(wanted["name"]))
    version = wanted.get("version")
    return [node for node in nodes if version is None or node.version == version] or nodes


def read_poetry(project: str, file: str, pyproject: Table) -> Source:
    """:raises SourceError: when it is no lock of poetry."""
    lock = read_toml(os.path.join(project, file))
    packages = _packages(lock, file)
    if "metadata" not in lock:
        raise SourceError(f"{file} has no table [metadata]: it was cut off, or is no lock of poetry")
    source = Source(project, file, PYPI, "lock", language=_minimum(_table(lock, "metadata").get("python-versions")))
    for package in packages:
        kind = str(_table(package, "source").get("type") or "legacy")
        from_address = kind in ("git", "url")
        name = canonical(str(package["name"]))
        version = "" if from_address else str(package.get("version") or "")
        problem = f"{name} comes from an address, so its version is not known to any index" if from_address else ""
        if not version and not from_address:
            problem = f"{name} has no version in the lock"
        source.add(Node(_key(package), name, version, own=kind in ("directory", "file"), problem=problem))
    for package in packages:
        node = source.nodes[_key(package)]
        for wanted, told in _table(package, "dependencies").items():
            others = source.named(wanted)
            node.wants += [other.key for other in others]
            # With a marker, or for an extra, it may be left out.
            if not others and isinstance(told, str):
                source.problems.append(_lacking(wanted, node.name))
    origins = [_table(package, "source") for package in packages]
    # Without an origin it is from the index that all use. Where nothing is, a private one has taken that one's place.
    main = [""] if any(not origin for origin in origins) else []
    source.indexes = (*main, *_indexes(origin.get("url") for origin in origins if origin.get("type") == "legacy"))
    asked = manifest_requirements(pyproject)
    for name, specifier in asked.items():
        for node in source.named(name):
            source.direct.setdefault(node.key, specifier)
    _compare(source, asked)
    return source


def read_pylock(project: str, file: str, _pyproject: Table) -> Source:
    """A lock by PEP 751, which several tools write.

    :raises SourceError: when it is none.
    """
    lock = read_toml(os.path.join(project, file))
    packages = lock.get("packages")
    if not str(lock.get("lock-version") or "").startswith("1.") or not isinstance(packages, list):
        raise SourceError(f"{file} has no lock-version 1 with packages: it was cut off, or is no lock by PEP 751")
    source = Source(project, file, PYPI, "lock", language=_minimum(lock.get("requires-python")))
    for package in packages:
        if not isinstance(package, dict) or not package.get("name"):
            raise SourceError(f"{file} has a package without a name")
        name, own = canonical(str(package["name"])), "directory" in package
        from_address = "vcs" in package or "archive" in package
        version = "" if from_address else str(package.get("version") or "")
        problem = f"{name} comes from an address, so its version is not known to any index" if from_address else ""
        if not version and not own and not from_address:
            problem = f"{name} has no version in the lock"
        source.add(Node(f"{name}=={version}", name, version, own=own, problem=problem))
    for package in packages:
        key = f"{canonical(str(package['name']))}=={package.get('version') or ''}"
        for wanted in package.get("dependencies") or []:
            found = _uv_target(source, wanted)
            if not found:
                source.problems.append(_lacking(str(wanted["name"]), str(package["name"])))
            if key in source.nodes:
                source.nodes[key].wants += [other.key for other in found]
    needed = {key for node in source.nodes.values() for key in node.wants}
    source.direct = {key: "" for key in source.nodes if key not in needed} or dict.fromkeys(source.nodes, "")
    return source


def _lacking(name: str, who: str) -> str:
    return f"it lacks {name}, which {who} needs: it was cut off, or merged by hand"


def _packages(lock: Table, file: str) -> list[Table]:
    packages = lock.get("package", [])
    if not isinstance(packages, list) or not all(isinstance(one, dict) and one.get("name") for one in packages):
        raise SourceError(f"{file} has no list of packages: it was cut off, or is no lock")
    return packages


def _key(package: Table) -> str:
    return f"{canonical(str(package['name']))}=={package.get('version') or ''}"


def _compare(source: Source, asked: t.Mapping[str, str]) -> None:
    """What the manifest asks for and the lock has not: then the lock is older than the manifest."""
    source.stale += sorted(name for name in asked if not source.named(name))


def _minimum(specifier: t.Any) -> str:
    match = re.search(r">=?\s*(\d+(?:\.\d+)+)", str(specifier or ""))
    return match.group(1) if match else ""
