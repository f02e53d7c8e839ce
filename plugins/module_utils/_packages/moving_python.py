# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves in files of requirements: pip says whether the new versions go together, the index tells their hashes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

All other pins stay where they are. Only when pip cannot make that go together, packages that a moved one needs newer go
along, each to the lowest version that fits. `pip-audit --fix` leaves the old hash at the new version; here each moved
line gets the hashes of all files of its release, and pip's own choice must be among them.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from . import pep440
from .changes import PYPI
from .looks import Listing
from .model import Source
from .moving import Move, StepError, Tools, end_of, read_bytes, replace_bytes
from .requirements import read_requirements
from .rewriting import Pin, rewrite
from .running import Ran, as_json, run

_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*\(?(?P<wanted>[^;)]*)\)?(?P<marker>;.*)?"
)
_PINNED = re.compile(r"(?P<head>[^=<>!~;@\s]+\s*={2,3}\s*)(?P<version>[^\s,;]+)(?P<rest>.*)", re.DOTALL)
_ROUNDS = 8


@dataclasses.dataclass
class _Report:
    """What pip would install: the version of each package, the hash of its file, what it needs."""

    versions: dict[str, str]
    hashes: dict[str, str]
    needs: dict[str, list[str]]


def move_requirements(source: Source, moves: t.Sequence[Move], tools: Tools, scratch: str) -> list[Move]:
    """Write the moves into the file; those that had to go along, and what comes new.

    :raises StepError: when the new versions do not go together, or their hashes are not known.
    """
    wanted = {move.package: move for move in moves if source.named(move.package)}
    if not wanted:
        return []
    along: dict[str, Move] = {}
    report = _ask(source, wanted, tools, os.path.join(scratch, "together"))
    if isinstance(report, Ran):
        along = _go_along(source, wanted, tools, scratch)
        if not along:
            raise _refused(report)
        report = _ask(source, {**wanted, **along}, tools, os.path.join(scratch, "along"))
        if isinstance(report, Ran):
            raise _refused(report)
    if source.closed:
        report = _old_enough(source, {**wanted, **along}, report, tools, scratch)
        for package in _new_in(source, report):
            along[package] = Move(PYPI, package, "", report.versions[package], "needed")
            release = _listing(package, tools).releases.get(along[package].new)
            along[package].published = release.published if release else ""
    for package, move in {**wanted, **along}.items():
        found = report.versions.get(package)
        if found is not None and not pep440.same(found, move.new):
            raise StepError("resolve", f"pip takes {package} {found} where {move.new} was asked for")
    _write(source, {**wanted, **along}, report, tools)
    return list(along.values())


def _new_in(source: Source, report: _Report) -> list[str]:
    return sorted(set(report.versions) - {node.name for node in source.nodes.values()})


def _old_enough(source: Source, moves: t.Mapping[str, Move], report: _Report, tools: Tools, scratch: str) -> _Report:
    """The same with versions of what comes new that may be taken: pip takes the newest.

    :raises StepError: when there is none.
    """
    limits: dict[str, str] = {}
    for number in range(_ROUNDS):
        young = [package for package in _new_in(source, report) if _is_young(package, report.versions[package], tools)]
        if not young:
            return report
        older = {package: _highest_old_enough(package, tools) for package in young}
        if not all(older.values()) or set(young) & set(limits):
            told = ", ".join(f"{package} {report.versions[package]}" for package in young)
            raise StepError("resolve", f"an update brings {told}, which is too young to be taken")
        limits.update({package: f"{package}<={version}" for package, version in older.items()})
        asked = _ask(source, moves, tools, os.path.join(scratch, f"older-{number}"), more=tuple(limits.values()))
        if isinstance(asked, Ran):
            raise _refused(asked)
        report = asked
    raise StepError("resolve", "an update brings ever more packages that are too young to be taken")


def _is_young(package: str, version: str, tools: Tools) -> bool:
    release = _listing(package, tools).releases.get(version)
    return not tools.may_be_taken(release.published if release else "")


def _highest_old_enough(package: str, tools: Tools) -> str:
    releases = _listing(package, tools).releases.values()
    known = [one.version for one in releases if not one.withdrawn and tools.may_be_taken(one.published)]
    return pep440.highest(known) or ""


def _refused(ran: Ran) -> StepError:
    told = ran.problem or ran.told()
    return StepError("resolve", f"pip cannot make the new versions go together: {told}", end_of(ran.errors))


def _ask(
    source: Source,
    moves: t.Mapping[str, Move],
    tools: Tools,
    place: str,
    alone: bool = False,
    more: tuple[str, ...] = (),
) -> _Report | Ran:
    """What pip makes of it; how pip ended where that is nothing.

    :param alone: ask for the moved packages only, without what they need.
    :param more: requirements beside those of the file.
    """
    os.makedirs(place, mode=0o700)
    lines = []
    for asked in source.asked:
        match = _PINNED.fullmatch(asked)
        name = pep440.canonical(match.group("head").split("[")[0].strip("= \t")) if match else ""
        move = moves.get(name)
        if match and move is not None and pep440.same(match.group("version"), move.old):
            lines.append(f"{match.group('head')}{move.new}{match.group('rest')}")
        elif not alone:
            lines.append(asked)
    # What only the file around knows comes behind its options, in a file: an address may hold a password.
    main, *extra = source.indexes or ("",)
    options = [f"--index-url {main}"] if main else []
    options += [f"--extra-index-url {url}" for url in extra]
    options += [] if alone else [f"--constraint {limit}" for limit in source.limits]
    file = os.path.join(place, "requirements.txt")
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write("\n".join([*options, *lines, *more]) + "\n")
    command = [
        tools.python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "--dry-run",
        "--quiet",
    ]
    command += ["--retries", "1", "--timeout", str(max(1, round(tools.answer_timeout))), "--ignore-installed"]
    command += [] if tools.run_scripts else ["--only-binary", ":all:"]
    command += ["--no-deps"] if alone else []
    command += ["--report", "-", "--requirement", file]
    environment = {**os.environ, "TMPDIR": place, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_COLOR": "1"}
    environment.pop("PIP_NO_BINARY", None)
    ran = run(command, place, tools.timeout, environment)
    told = as_json(ran) if not ran.problem and ran.status == 0 else None
    installs = told.get("install") if isinstance(told, dict) else None
    if not isinstance(installs, list):
        return ran
    return _read(installs)


def _read(installs: list[t.Any]) -> _Report:
    """:raises StepError: for a report that is not as pip writes it."""
    report = _Report({}, {}, {})
    for entry in installs:
        try:
            name, version = pep440.canonical(entry["metadata"]["name"]), str(entry["metadata"]["version"])
            report.needs[name] = [str(text) for text in entry["metadata"].get("requires_dist") or []]
            digest = ((entry.get("download_info") or {}).get("archive_info") or {}).get("hashes") or {}
        except (KeyError, TypeError, AttributeError) as exc:
            raise StepError("resolve", f"pip's report is not as pip writes it ({type(exc).__name__})") from exc
        report.versions[name] = version
        report.hashes[name] = str(digest.get("sha256") or "").lower()
    return report


def _go_along(source: Source, wanted: t.Mapping[str, Move], tools: Tools, scratch: str) -> dict[str, Move]:
    """Packages that a moved one needs newer: each to the lowest version that fits and may be taken."""
    along: dict[str, Move] = {}
    waiting = dict(wanted)
    for number in range(_ROUNDS):
        report = _ask(source, waiting, tools, os.path.join(scratch, f"alone-{number}"), alone=True)
        if isinstance(report, Ran):
            raise _refused(report)
        newer: dict[str, Move] = {}
        for needs in report.needs.values():
            for name, specifier in _needed(needs):
                there = along.get(name) or wanted.get(name)
                versions = [there.new] if there else [node.version for node in source.named(name) if node.version]
                if not versions or any(pep440.satisfies(version, specifier) is not False for version in versions):
                    continue
                if name in wanted:
                    raise StepError("resolve", f"one of the updates needs {name}{specifier}, {versions[0]} was chosen")
                newer[name] = _lowest(name, versions[0], specifier, tools)
        if not newer:
            break
        along.update(newer)
        waiting = newer
    return along


def _needed(needs: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    """Names and ranges; what only an extra needs is left to pip."""
    for text in needs:
        match = _REQUIREMENT.fullmatch(text)
        if match and "extra" not in (match.group("marker") or "") and match.group("wanted").strip():
            yield pep440.canonical(match.group("name")), match.group("wanted").strip()


def _lowest(name: str, version: str, specifier: str, tools: Tools) -> Move:
    listing = _listing(name, tools)
    key = pep440.parse(version)
    fitting = [
        release
        for release in listing.releases.values()
        if not release.withdrawn
        and not pep440.is_pre_release(release.version)
        and pep440.satisfies(release.version, specifier)
        and key is not None
        and (pep440.parse(release.version) or key) > key
        and tools.may_be_taken(release.published)
    ]
    if not fitting:
        raise StepError("resolve", f"an update needs {name}{specifier}, and there is no such version that may be taken")
    lowest = min(fitting, key=lambda release: pep440.parse(release.version) or ())
    return Move(PYPI, name, version, lowest.version, "needed", published=lowest.published)


def _listing(name: str, tools: Tools) -> Listing:
    listing = tools.listings([name])[name]
    if listing.problem:
        raise StepError("resolve", f"the versions of {name} could not be looked up: {listing.problem}")
    return listing


def _write(source: Source, moves: t.Mapping[str, Move], report: _Report, tools: Tools) -> None:
    path = os.path.join(source.project, source.file)
    pins = []
    for package, move in moves.items():
        hashes = _hashes(package, move.new, report, tools) if source.closed else ()
        via = next((name for name, needs in report.needs.items() if package in dict(_names(needs))), "")
        pins.append(Pin(package, move.old, move.new, hashes, via))
    before = read_bytes(path).decode("utf-8")
    text, found = rewrite(before, pins)
    missing = sorted(set(moves) - found)
    if missing:
        raise StepError(
            "resolve", f"{source.file} does not have the line of {missing[0]} itself: it is in a file that it includes"
        )
    replace_bytes(path, text.encode("utf-8"))
    _write_companion(source, moves)
    again = read_requirements(source.project, source.file)
    for package, move in moves.items():
        if [node.version for node in again.named(package)].count(move.new) < 1 or again.problems:
            raise StepError("resolve", f"{source.file} could not be written with {package} {move.new}")
        if source.file not in move.files:
            move.files.append(source.file)


def companion_of(source: Source) -> Source | None:
    """The file that this one was compiled from: requirements.in beside requirements.txt."""
    stem, ending = os.path.splitext(source.file)
    file = f"{stem}.in"
    if ending == ".in" or not os.path.isfile(os.path.join(source.project, file)):
        return None
    return read_requirements(source.project, file)


def _write_companion(source: Source, moves: t.Mapping[str, Move]) -> None:
    """What it pins goes along; of what it gives a range for, the new version is in it."""
    companion = companion_of(source)
    if companion is None:
        return
    path = os.path.join(companion.project, companion.file)
    pins = [Pin(package, move.old, move.new) for package, move in moves.items() if move.old]
    before = read_bytes(path).decode("utf-8")
    text, found = rewrite(before, pins)
    if text != before:
        replace_bytes(path, text.encode("utf-8"))
        for package in found:
            moves[package].files.append(companion.file)


def _names(needs: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    for text in needs:
        match = _REQUIREMENT.fullmatch(text)
        if match:
            yield pep440.canonical(match.group("name")), text


def _hashes(package: str, version: str, report: _Report, tools: Tools) -> tuple[str, ...]:
    """Of all files of the release, as the index tells them; pip's own file must be among them.

    :raises StepError: when the index tells none, or pip took a file that is not this release's.
    """
    releases = _listing(package, tools).releases
    release = releases.get(version) or next(
        (one for one in releases.values() if pep440.same(one.version, version)), None
    )
    told = release.hashes if release else ()
    chosen = report.hashes.get(package, "")
    if not told and not chosen:
        raise StepError("resolve", f"neither the index nor pip tells the hashes of {package} {version}")
    if told and chosen and chosen not in told:
        raise StepError(
            "resolve", f"pip took a file of {package} {version} that the index does not list: it may be another's"
        )
    return told or (chosen,)
