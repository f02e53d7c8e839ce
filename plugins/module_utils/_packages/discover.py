# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory holds that tells of dependencies.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import hashlib
import os
import typing as t

from . import locks_pnpm, locks_python, locks_yarn, manifests
from .changes import NPM, PYPI
from .environments import is_environment, read_environment
from .locks_node import HIDDEN, read_json, read_npm_lock
from .model import Project, Source, SourceError, read_text
from .requirements import read_requirements

#: Locks whose tool this module does not run, so what they hold is not looked at.
UNREAD = {"bun.lock": "bun", "bun.lockb": "bun", "deno.lock": "deno"}
_OTHER_LOCKS = {locks_pnpm.FILE: locks_pnpm.read_pnpm_lock, locks_yarn.FILE: locks_yarn.read_yarn_lock}
_NPM_LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
_PYTHON_LOCKS = {"uv.lock": locks_python.read_uv, "poetry.lock": locks_python.read_poetry}
#: By PEP 751 a lock may have a name of its own: pylock.docs.toml.
_PYLOCKS = ("pylock.toml", "pylock.*.toml")


@dataclasses.dataclass(frozen=True)
class Places:
    """Where to look in a project; names and patterns below its directory."""

    requirements: tuple[str, ...]
    environments: tuple[str, ...]
    ecosystems: tuple[str, ...]


def read_project(path: str, places: Places) -> Project:
    """All that the directory tells; what cannot be read is among the problems, so the look is not complete then."""
    project = Project(path)
    if not os.path.isdir(path):
        project.problems.append("there is no such directory, or this account may not look into it")
        return project
    found = False
    if PYPI in places.ecosystems:
        found = _read_python(project, places)
    if NPM in places.ecosystems:
        found = _read_node(project) or found
    if not found:
        asked = " or ".join(places.ecosystems)
        project.problems.append(f"nothing in it tells of dependencies of {asked}: no lock, requirements or environment")
    return project


def _take(project: Project, file: str, read: t.Callable[[], Source]) -> None:
    try:
        project.sources.append(read())
    except (TypeError, AttributeError, KeyError, ValueError) as exc:
        project.problems.append(f"{file} is not as its tool writes it ({type(exc).__name__})")
    except SourceError as exc:
        told = str(exc)
        project.problems.append(told if told.startswith(os.path.basename(file)) else f"{file}: {told}")


def _read_python(project: Project, places: Places) -> bool:
    before = len(project.sources) + len(project.problems)
    pyproject: locks_python.Table = {}
    has_manifest = os.path.isfile(os.path.join(project.path, "pyproject.toml"))
    locks = [name for name in _PYTHON_LOCKS if os.path.isfile(os.path.join(project.path, name))]
    if has_manifest:
        try:
            pyproject = locks_python.read_toml(os.path.join(project.path, "pyproject.toml"))
        except SourceError as exc:
            project.problems.append(str(exc))
    for name in locks:
        read = _PYTHON_LOCKS[name]
        _take(project, name, functools.partial(read, project.path, name, pyproject))
    for name in _matching(project.path, _PYLOCKS):
        _take(project, name, functools.partial(locks_python.read_pylock, project.path, name, pyproject))
    project.problems += manifests.unread(project.path)
    for file in _matching(project.path, places.requirements):
        _take(project, file, functools.partial(_read_requirements, project.path, file))
    for directory in _matching(project.path, places.environments):
        if is_environment(os.path.join(project.path, directory)):
            _take(project, directory, functools.partial(read_environment, project.path, directory))
    project.problems += manifests.untold(project, pyproject)
    return len(project.sources) + len(project.problems) > before


def _read_requirements(project: str, file: str) -> Source:
    source = read_requirements(project, file)
    manifests.compare_with_companion(source)
    return source


def _read_node(project: Project) -> bool:
    before = len(project.sources) + len(project.problems)
    manifest: locks_python.Table = {}
    has_manifest = os.path.isfile(os.path.join(project.path, "package.json"))
    if has_manifest:
        try:
            manifest = read_json(os.path.join(project.path, "package.json"))
        except SourceError as exc:
            project.problems.append(str(exc))
    # npm takes the first of the two, if there are both.
    for name in [name for name in _NPM_LOCKS if os.path.isfile(os.path.join(project.path, name))][:1]:
        _take(project, name, functools.partial(read_npm_lock, project.path, name, manifest))
    if os.path.isfile(os.path.join(project.path, HIDDEN)):
        _take(project, HIDDEN, functools.partial(read_npm_lock, project.path, HIDDEN, manifest))
    for name, read in _OTHER_LOCKS.items():
        if os.path.isfile(os.path.join(project.path, name)):
            _take(project, name, functools.partial(read, project.path, name, manifest))
    for name, tool in UNREAD.items():
        if os.path.isfile(os.path.join(project.path, name)):
            project.problems.append(f"{name} is a lock of {tool}, which is not read")
    _take_configuration(project, os.path.join(project.path, ".npmrc"))
    found = len(project.sources) + len(project.problems) > before
    if has_manifest and not found:
        wanted = [name for name in manifest if name.endswith("ependencies") and manifest[name]]
        if wanted:
            project.problems.append(
                "package.json asks for packages, and there is no lock: their versions are not known"
            )
        return True
    return found


def _take_configuration(project: Project, path: str) -> None:
    """Which registry the project asks may stand in an `.npmrc` of its own."""
    if not os.path.isfile(path):
        return
    try:
        digest = hashlib.sha256(read_text(path).encode()).hexdigest()
    except SourceError as exc:
        project.problems.append(str(exc))
        return
    for source in project.sources:
        if source.ecosystem == NPM:
            source.configuration, source.configured = path, digest


def _matching(project: str, patterns: t.Sequence[str]) -> list[str]:
    found = {path for pattern in patterns for path in glob.glob(os.path.join(glob.escape(project), pattern))}
    return sorted(os.path.relpath(path, project) for path in found)
