# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installations of Node projects from their locks, each by its tool, and what is then in node_modules.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

npm leaves a lock there that tells what it installed. What pnpm and Yarn installed, each package tells of itself.
"""

from __future__ import annotations

import glob
import os
import typing as t

from . import changes, locks_pnpm, locks_yarn, moving_pnpm, moving_yarn
from .changes import NPM
from .locks_node import asked_for, read_json
from .looks import Pair
from .model import Source
from .moving import Tools, must_end_well
from .running import run

_MODULES = "node_modules"


def install_node(source: Source, tools: Tools, scratch: str, environment: t.Mapping[str, str]) -> None:
    """:raises StepError: when it cannot be installed."""
    if source.file == locks_pnpm.FILE:
        command = [tools.pnpm, "install", "--frozen-lockfile", "--prod=false", "--config.confirm-modules-purge=false"]
        command += [*moving_pnpm.common(tools, scratch), "--config.enable-global-virtual-store=false"]
        command += [] if tools.run_scripts else ["--ignore-scripts"]
        settings = {**environment, **moving_pnpm.SETTINGS}
    elif source.file == locks_yarn.FILE:
        command = [tools.yarn, "install", "--frozen-lockfile", *moving_yarn.common(tools, scratch)]
        command += [] if tools.run_scripts else ["--ignore-scripts"]
        settings = {**environment, **moving_yarn.SETTINGS}
    else:
        patience = str(max(1, round(tools.answer_timeout * 1000)))
        command = [tools.npm, "ci", "--no-audit", "--no-fund", "--global=false", "--loglevel=error"]
        command += ["--no-update-notifier", "--include=dev", "--cache", os.path.join(scratch, "npm-cache")]
        command += ["--fetch-retries=1", f"--fetch-timeout={patience}"]
        command += [f"--ignore-scripts={'false' if tools.run_scripts else 'true'}"]
        settings = {**environment, "NO_COLOR": "1"}
    told = f"{os.path.basename(command[0])} {command[1]}"
    ran = run(command, source.project, tools.timeout, settings)
    must_end_well(ran, "install", f"{told} cannot install {source.file}")


def others_installed(place: str, source: Source) -> list[str]:
    """What pnpm or Yarn installed and the lock has not, and what the project asks for and is not there.

    :raises SourceError: when what is there cannot be read.
    """
    if source.file not in (locks_pnpm.FILE, locks_yarn.FILE):
        return []
    installed = _installed(place)
    found = []
    for name, version in sorted(installed):
        nodes = source.named(name)
        if not any(node.own or changes.same_version(NPM, node.version, version) for node in nodes):
            wanted = ", ".join(sorted(node.version for node in nodes))
            found.append(f"{name} {version} instead of {wanted or 'none'}")
    optional = asked_for(read_json(os.path.join(place, "package.json")), ("optionalDependencies",))
    for node in (source.nodes[key] for key in source.direct if key in source.nodes):
        versions = [version for name, version in installed if name == node.name]
        is_there = any(changes.same_version(NPM, node.version, version) for version in versions)
        if not node.own and node.name not in optional and not is_there:
            found.append(f"{node.name} {node.version} is not there")
    return found


def place_of(place: str, package: str, version: str) -> str:
    """Where a package was installed. pnpm puts only what the project asks for into node_modules itself."""
    top = os.path.join(place, _MODULES)
    inner = os.path.join(glob.escape(f"{package.replace('/', '+')}@{version}") + "*", _MODULES, glob.escape(package))
    found = sorted(glob.glob(os.path.join(glob.escape(top), ".pnpm", inner)))
    return found[0] if found else os.path.join(top, package)


def _installed(place: str) -> set[Pair]:
    """Name and version of each package in node_modules, by its own package.json. Links are not followed: what they
    lead to is there itself.
    """
    top = os.path.join(place, _MODULES)
    waiting = [top, *glob.glob(os.path.join(glob.escape(top), ".pnpm", "*", _MODULES))]
    found: set[Pair] = set()
    while waiting:
        for path in _packages(waiting.pop()):
            manifest = read_json(os.path.join(path, "package.json"))
            found.add((str(manifest.get("name") or ""), str(manifest.get("version") or "")))
            # What comes in the archive of another package is in no lock.
            if not manifest.get("bundleDependencies") and not manifest.get("bundledDependencies"):
                waiting.append(os.path.join(path, _MODULES))
    return found


def _packages(directory: str) -> t.Iterator[str]:
    if not os.path.isdir(directory):
        return
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if name.startswith(".") or os.path.islink(path) or not os.path.isdir(path):
            continue
        if name.startswith("@"):
            yield from _packages(path)
        elif os.path.isfile(os.path.join(path, "package.json")):
            yield path
