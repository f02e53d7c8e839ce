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
Question = t.Tuple[t.Tuple[str, ...], t.Tuple[str, ...], bool]


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
    # What comes from a directory has its name only once it is installed, and says then where it came from.
    here = [node for node in source.nodes.values() if node.own and not environment.named(node.name)]
    if len(here) > sum(node.own for node in environment.nodes.values()):
        return False
    for node in source.nodes.values():
        if node in here:
            continue
        wanted = source.direct.get(node.key, f"=={node.version}" if node.version else "")
        there = environment.named(node.name)
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
    return tuple(sorted(source.asked)), (*source.indexes, *source.limits), source.offline


def resolve(source: Source, python: str, timeouts: tuple[float, float], scratch: str) -> Source | str:
    """The file with all that it comes to; or why that is not known.

    pip gets the names and ranges only. What else a file may hold would have it build, and so run, what lies in a
    directory or comes from an address.

    :param timeouts: seconds for pip to end, and for one answer of its index.
    """
    here = sorted(node.name for node in source.nodes.values() if node.own and node.key.startswith("@"))
    if here:
        told = f"what {here[0]} needs could only be told by running its code"
        return f"it has no hashes, and {told}: lock it, or install it in an environment"
    if source.offline:
        return "it has no hashes, and says --no-index, so that pip cannot tell what it comes to"
    if not source.asked:
        return "it has no hashes, and names nothing that an index knows"
    timeout, answer_timeout = timeouts
    os.makedirs(scratch, mode=0o700, exist_ok=True)
    file = _write(source, scratch)
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--dry-run", "--quiet"]
    # One more attempt is enough: with its own five, an index that is down takes pip eight seconds more.
    command += ["--retries", "1", "--timeout", str(max(1, round(answer_timeout)))]
    command += ["--ignore-installed", "--only-binary", ":all:", "--report", "-", "--requirement", file]
    environment = {**os.environ, "TMPDIR": scratch, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_COLOR": "1"}
    environment.pop("PIP_NO_BINARY", None)
    ran = run(command, scratch, timeout, environment)
    if ran.problem:
        return f"it has no hashes, and {ran.problem}"
    report = as_json(ran)
    installs = report.get("install") if isinstance(report, dict) else None
    if ran.status != 0 or not isinstance(installs, list):
        return f"it has no hashes, and pip cannot tell what it comes to: {ran.told()}"
    return _read(source, installs)


def _write(source: Source, scratch: str) -> str:
    """In a file, not as arguments: an address may hold a password."""
    path = os.path.join(scratch, "requirements.txt")
    main, *extra = source.indexes or ("",)
    lines = [f"--index-url {main}"] if main else []
    lines += [f"--extra-index-url {url}" for url in extra]
    lines += [f"--constraint {limit}" for limit in source.limits]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write("\n".join([*lines, *source.asked]) + "\n")
    return path


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
