# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit saw is kept, so that the clocks of vulnerabilities run on from there: the audit itself writes nothing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import typing as t

from .._core.clock import parse_time
from .._core.locks import Busy, own_place
from .._core.result import Result
from .._core.suggest import InputError
from .seen import Memory

_PATIENCE = 60

#: Ecosystem, project, package, names, and since when it is known.
Sighting = t.Tuple[str, str, str, t.List[str], datetime.datetime]


def read_audit(audit: t.Any, ecosystems: t.Sequence[str]) -> tuple[list[Sighting], set[tuple[str, str]]]:
    """What an audit saw, and the ecosystems of projects that it looked at wholly.

    :raises InputError: when it is not the answer of an audit.
    """
    found: list[Sighting] = []
    try:
        whole = {(one, project["path"]) for project in audit["projects"] if project["looked_at"] for one in ecosystems}
        for one in audit["vulnerabilities"]:
            for place in one["projects"]:
                first = parse_time(place["first_seen"])
                found.append((one["ecosystem"], place["path"], one["package"], list(one["aliases"]), first))
    except (KeyError, TypeError) as exc:
        told = f"it has no {exc.args[0]!r}" if isinstance(exc, KeyError) else "it has another shape"
        raise InputError(f"audit is not what dependency_info returned: {told}") from None
    return found, whole


def keep(
    path: str, sightings: t.Sequence[Sighting], whole: t.Collection[tuple[str, str]], check: bool
) -> tuple[Result, bool]:
    """Write the file where it is to hold something else; the result, and whether it is other than it was."""
    directory = os.path.dirname(path)
    try:
        if check:
            return _keep(path, sightings, whole, check)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with own_place(os.path.join(directory, "clocks"), _PATIENCE):
            return _keep(path, sightings, whole, check)
    except Busy as exc:
        return Result("failed", "the clocks of vulnerabilities were not kept", str(exc)), False
    except OSError as exc:
        told = f"{exc.strerror}: {exc.filename}" if exc.filename else str(exc)
        return Result("failed", "the clocks of vulnerabilities were not kept", told), False


def _keep(
    path: str, sightings: t.Sequence[Sighting], whole: t.Collection[tuple[str, str]], check: bool
) -> tuple[Result, bool]:
    memory = Memory(path)
    before = memory.count
    for ecosystem, project, package, names, first in sightings:
        memory.first_seen(ecosystem, project, package, names, first)
    data = memory.content(whole)
    known = b""
    if os.path.exists(path) and not memory.damage:
        with open(path, "rb") as handle:
            known = handle.read()
    changed = data != known
    if changed and not check:
        memory.write(whole)
    new, kept = memory.count - before, memory.kept(whole)
    figures = {"clocks": kept, "begun": new, "ended": before + new - kept}
    told = f"{kept} clocks of vulnerabilities run, {new} of them new, {figures['ended']} ended"
    if memory.damage:
        told += f"; {memory.damage}, so all began anew"
    return Result("ok", told, "", (), figures, len(sightings), len(sightings)), changed
