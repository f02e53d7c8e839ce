# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Python project asks for in files that tell no versions, and whether any other file of it does.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A lock for the documentation alone must not make the application behind it look clean.
"""

from __future__ import annotations

import configparser
import os
import re
import typing as t

from .changes import PYPI
from .locks_python import Table, manifest_requirements
from .model import Project, Source
from .pep440 import canonical
from .requirements import read_requirements

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_TOLD = 3
#: Files of tools that this module does not read, and what they are.
_UNREAD = {
    "Pipfile.lock": "a lock of pipenv",
    "pdm.lock": "a lock of pdm",
    "environment.yml": "an environment of conda",
    "environment.yaml": "an environment of conda",
    "conda-lock.yml": "a lock of conda",
}


def unread(path: str) -> list[str]:
    """Problems of files that are there and are not read."""
    found = [f"{name} is {what}, which is not read" for name, what in _UNREAD.items() if _is_there(path, name)]
    if _is_there(path, "Pipfile") and not _is_there(path, "Pipfile.lock"):
        found.append("Pipfile asks for packages, and there is no lock that is read")
    return found


def untold(project: Project, pyproject: Table) -> list[str]:
    """Problems of what is asked for and of which nothing tells a version."""
    sources = [source for source in project.sources if source.ecosystem == PYPI]
    lacking = [name for name in _asked(pyproject) if not any(source.named(name) for source in sources)]
    # That these lack something is a finding: they are compared with the manifest themselves.
    if lacking and sources and not any(source.file in ("uv.lock", "poetry.lock") for source in sources):
        more = "" if len(lacking) <= _TOLD else f" and {len(lacking) - _TOLD} more"
        told = f"pyproject.toml asks for {', '.join(lacking[:_TOLD])}{more}"
        return [f"{told}, and neither a lock nor an environment tells the version"]
    if sources:
        return []
    if manifest_requirements(pyproject):
        return ["pyproject.toml asks for packages, and there is neither a lock nor an environment"]
    dynamic = _table(pyproject, "project").get("dynamic")
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        return [
            "pyproject.toml says that its dependencies are dynamic, and neither a lock nor an environment tells them"
        ]
    for name in ("setup.py", "setup.cfg"):
        if _is_there(project.path, name) and (name == "setup.py" or _asks(os.path.join(project.path, name))):
            return [f"{name} may ask for packages, and neither a lock nor an environment tells which"]
    return []


def compare_with_companion(source: Source) -> None:
    """What requirements.in asks for and the requirements.txt beside it has not: then the latter is older.

    :raises SourceError: when the former cannot be read.
    """
    stem, ending = os.path.splitext(source.file)
    if ending != ".txt" or not _is_there(source.project, f"{stem}.in"):
        return
    # With a marker, it may be left out.
    asked = [text for text in read_requirements(source.project, f"{stem}.in").asked if ";" not in text]
    names = {canonical(match.group(1)) for match in (_NAME.match(text) for text in asked) if match}
    source.stale += sorted(name for name in names if not source.named(name))


def _is_there(path: str, name: str) -> bool:
    return os.path.isfile(os.path.join(path, name))


def _table(of: t.Any, name: str) -> Table:
    found = of.get(name) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}


def _asked(pyproject: Table) -> list[str]:
    """What an installation of the project brings in any case: neither extras nor groups, and nothing with a marker."""
    project = _table(pyproject, "project")
    own = canonical(str(project.get("name") or ""))
    listed = project.get("dependencies")
    texts = [str(text) for text in listed if ";" not in str(text)] if isinstance(listed, list) else []
    names = [canonical(match.group(1)) for match in (_NAME.match(text) for text in texts) if match]
    poetry = _table(_table(_table(pyproject, "tool"), "poetry"), "dependencies")
    for name, wanted in poetry.items():
        is_plain = isinstance(wanted, str) or (
            isinstance(wanted, dict) and not {"optional", "markers", "platform", "python", "path"} & set(wanted)
        )
        if is_plain and canonical(name) != "python":
            names.append(canonical(name))
    return [name for name in dict.fromkeys(names) if name != own]


def _asks(path: str) -> bool:
    """Whether a setup.cfg has requirements; one that cannot be read may have."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return True
    return bool(parser.get("options", "install_requires", fallback="").strip())
