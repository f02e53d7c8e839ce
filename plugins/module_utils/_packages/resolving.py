# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file of requirements comes to when it does not name everything: pip is asked, and installs nothing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A file without hashes need not name what its packages need themselves, so that alone it says nothing of them. Where an
environment has all that the file names, that tells the rest. Otherwise pip resolves it (`pip install --dry-run`), with
wheels only: to ask a source package for its needs, its code would have to be run.
"""

from __future__ import annotations

import os
import re
import typing as t

from .model import Node, Project, Source
from .pep440 import canonical, satisfies
from .running import as_json, run

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")

#: What makes two files the same question.
Question = t.Tuple[t.Tuple[t.Tuple[str, str], ...], t.Tuple[str, ...]]


def open_sources(project: Project) -> list[Source]:
    """Files that neither hashes nor an environment of the project makes whole."""
    environments = [source for source in project.sources if source.kind == "environment"]
    return [
        source
        for source in project.sources
        if source.kind == "requirements"
        and not source.closed
        and source.nodes
        and not any(_has_all(environment, source) for environment in environments)
    ]


def _has_all(environment: Source, source: Source) -> bool:
    """Whether everything that the file names is installed there, in a version that the file allows."""
    for node in source.nodes.values():
        wanted = source.direct.get(node.key, f"=={node.version}" if node.version else "")
        there = environment.named(node.name)
        if node.own and not there:
            return False
        if not there or not any(satisfies(one.version, wanted) for one in there):
            return False
    return True


def settle(project: Project) -> None:
    """What an environment tells need not be a problem of the file: the environment is looked at."""
    still_open = open_sources(project)
    environments = [source for source in project.sources if source.kind == "environment"]
    for source in project.sources:
        if source.kind == "requirements" and not source.closed and source not in still_open:
            for node in source.nodes.values():
                there = [one for environment in environments for one in environment.named(node.name)]
                node.problem = ""
                node.version = node.version or (there[0].version if there else "")


def question(source: Source) -> Question:
    return tuple(sorted((key, source.direct.get(key, "")) for key in source.nodes)), source.indexes


def resolve(source: Source, python: str, timeouts: tuple[float, float], scratch: str) -> Source | str:
    """The file with all that it comes to; or why that is not known.

    :param timeouts: seconds for pip to end, and for one answer of its index.
    """
    timeout, answer_timeout = timeouts
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--dry-run", "--quiet"]
    # One more attempt is enough: with its own five, an index that is down takes pip eight seconds more.
    command += ["--retries", "1", "--timeout", str(max(1, round(answer_timeout)))]
    command += ["--ignore-installed", "--only-binary", ":all:", "--report", "-", "--requirement", source.file]
    os.makedirs(scratch, mode=0o700, exist_ok=True)
    environment = {**os.environ, "TMPDIR": scratch, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_COLOR": "1"}
    ran = run(command, source.project, timeout, environment)
    if ran.problem:
        return f"it has no hashes, and {ran.problem}"
    report = as_json(ran)
    installs = report.get("install") if isinstance(report, dict) else None
    if ran.status != 0 or not isinstance(installs, list):
        return f"it has no hashes, and pip cannot tell what it comes to: {ran.told()}"
    return _read(source, installs)


def _read(source: Source, installs: list[t.Any]) -> Source | str:
    resolved = Source(source.project, source.file, source.ecosystem, source.kind, indexes=source.indexes)
    resolved.offline = source.offline
    needs: dict[str, list[str]] = {}
    for entry in installs:
        told = entry.get("metadata") if isinstance(entry, dict) else None
        if not isinstance(told, dict) or not told.get("name") or not told.get("version"):
            return "it has no hashes, and pip's report tells a package without its name or version"
        name, version = canonical(str(told["name"])), str(told["version"])
        key = f"{name}=={version}"
        resolved.add(Node(key, name, version))
        if entry.get("requested"):
            resolved.direct[key] = next((source.direct.get(node.key, "") for node in source.named(name)), "")
        needs[key] = [
            match.group(1)
            for match in (_NAME.match(str(text)) for text in told.get("requires_dist") or [] if "extra ==" not in text)
            if match
        ]
    for key, names in needs.items():
        resolved.nodes[key].wants += [node.key for name in names for node in resolved.named(name)]
    missing = sorted(
        {node.name for node in source.nodes.values() if not node.own and not node.problem} - _names(resolved)
    )
    if missing and not resolved.nodes:
        return f"it has no hashes, and pip's report leaves {missing[0]} out"
    # What a marker leaves out on this Python may be installed on another one: look at it all the same.
    for node in source.nodes.values():
        if node.version and node.name in missing:
            resolved.add(node)
            resolved.direct.setdefault(node.key, f"=={node.version}")
    for node in source.nodes.values():
        if node.key.startswith("@"):
            resolved.add(node)
    resolved.closed = True
    return resolved


def _names(source: Source) -> set[str]:
    return {node.name for node in source.nodes.values()}
