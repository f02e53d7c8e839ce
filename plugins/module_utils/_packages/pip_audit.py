# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip-audit, asked once for all projects, and believed only as far as its report shows that it looked.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Its exit status is 1 for findings and for most failures alike, and it says "No known vulnerabilities found" after it
skipped every package. So each pair that was asked for must be in the report, without a reason for skipping it, and the
canary must be in it with a vulnerability.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import re
import typing as t

from . import pep440
from .looks import Advisory, Look, Pair
from .running import Ran, as_json, find_program, run, shortened

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9!.+_-]+")
#: pip-audit asks for one package after the other: a part of them for each process, but none for a handful.
_LEAST_IN_PART = 20
_MOST_TITLE = 160


@dataclasses.dataclass(frozen=True)
class PipAudit:
    """How to run it.

    :param service: osv or pypi.
    :param osv_url: address of the OSV query; empty for pip-audit's own.
    :param canary: a pair that is known to be vulnerable.
    """

    program: str
    service: str
    osv_url: str
    canary: Pair
    timeout: float
    answer_timeout: float
    jobs: int


def audit(pairs: t.Collection[Pair], settings: PipAudit, scratch: str) -> Look:
    """What is known against these packages; what was not looked at is told with the reason."""
    look = Look()
    program = find_program(settings.program)
    if not program:
        look.miss(pairs, f"{settings.program} is not installed here, or not in PATH")
        return look
    asked: dict[str, list[str]] = {}
    for name, version in sorted(pairs):
        if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version) or pep440.parse(version) is None:
            look.miss([(name, version)], f"{version!r} of {name} is no version by PEP 440, so nobody can be asked")
        else:
            asked.setdefault(name, []).append(version)
    parts = _parts(asked, settings.jobs)
    with concurrent.futures.ThreadPoolExecutor(max(1, len(parts))) as pool:
        futures = [
            pool.submit(_one, program, part, settings, os.path.join(scratch, f"pip-audit-{number}"))
            for number, part in enumerate(parts)
        ]
        for future in futures:
            look.take(future.result())
    return look


def _parts(asked: dict[str, list[str]], jobs: int) -> list[dict[str, list[str]]]:
    if not asked:
        return []
    count = max(1, min(jobs, len(asked) // _LEAST_IN_PART))
    names = sorted(asked)
    return [{name: asked[name] for name in names[number::count]} for number in range(count)]


def _one(program: str, part: dict[str, list[str]], settings: PipAudit, place: str) -> Look:
    os.makedirs(place, mode=0o700)
    pairs = [(name, version) for name, versions in part.items() for version in versions]
    wanted = {name: list(versions) for name, versions in part.items()}
    name, version = settings.canary
    known = wanted.setdefault(name, [])
    if not any(pep440.same(version, other) for other in known):
        known.append(version)
    _write_lock(wanted, place)
    command = [program, "--format", "json", "--progress-spinner", "off", "--locked"]
    command += ["--vulnerability-service", settings.service, "--cache-dir", os.path.join(place, "cache")]
    command += ["--timeout", str(max(1, round(settings.answer_timeout)))]
    if settings.osv_url and settings.service == "osv":
        command += ["--osv-url", settings.osv_url]
    command.append(place)
    # A setting in the environment could leave vulnerabilities out without a word.
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PIP_AUDIT_") or (key == "PIP_AUDIT_OSV_URL" and not settings.osv_url)
    }
    return judge(run(command, place, settings.timeout, environment), pairs, settings.canary)


def _write_lock(wanted: dict[str, list[str]], place: str) -> None:
    """A lock by PEP 751: unlike a file of requirements it may hold several versions of a package."""
    with open(os.path.join(place, "pylock.toml"), "w", encoding="utf-8") as handle:
        handle.write('lock-version = "1.0"\ncreated-by = "steward"\n')
        for name, versions in sorted(wanted.items()):
            handle.writelines(f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\n' for version in versions)


def judge(ran: Ran, pairs: t.Collection[Pair], canary: Pair) -> Look:
    """What the report says of each pair, as far as it can be believed."""
    look = Look()
    if ran.problem:
        look.miss(pairs, ran.problem)
        return look
    report = as_json(ran)
    entries = report.get("dependencies") if isinstance(report, dict) else report
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        look.miss(pairs, f"pip-audit gave no report: {ran.told()}")
        return look
    if ran.status not in (0, 1):
        look.miss(pairs, f"pip-audit ended with {ran.status}: {ran.told()}")
        return look
    told: dict[str, list[dict[str, t.Any]]] = {}
    for entry in entries:
        told.setdefault(pep440.canonical(str(entry.get("name") or "")), []).append(entry)
    bird = _entry(told, canary)
    reason = str(bird.get("skip_reason") or "") if bird else ""
    if bird is None or not bird.get("vulns"):
        why = f"it skipped it: {shortened(reason)}" if reason else "so it did not look, or its advisories are not whole"
        look.miss(pairs, f"pip-audit did not find the known vulnerability of {canary[0]} {canary[1]}: {why}")
        return look
    for pair in pairs:
        _judge_pair(look, pair, _entry(told, pair))
    return look


def _entry(told: t.Mapping[str, list[dict[str, t.Any]]], pair: Pair) -> dict[str, t.Any] | None:
    entries = told.get(pair[0], [])
    for entry in entries:
        if pep440.same(str(entry.get("version") or ""), pair[1]):
            return entry
    return next((entry for entry in entries if entry.get("skip_reason")), None)


def _judge_pair(look: Look, pair: Pair, entry: dict[str, t.Any] | None) -> None:
    if entry is None:
        look.miss([pair], f"pip-audit does not mention {pair[0]} {pair[1]}")
        return
    vulns = entry.get("vulns")
    if entry.get("skip_reason") or not isinstance(vulns, list):
        reason = shortened(str(entry.get("skip_reason") or "without a reason"))
        look.miss([pair], f"pip-audit skipped {pair[0]} {pair[1]}: {reason}")
        return
    if not all(isinstance(vuln, dict) and vuln.get("id") for vuln in vulns):
        look.miss([pair], f"pip-audit tells vulnerabilities of {pair[0]} {pair[1]} without their names")
        return
    look.found[pair] = [_advisory(vuln) for vuln in vulns]


def _advisory(vuln: dict[str, t.Any]) -> Advisory:
    ids = tuple(dict.fromkeys(str(name) for name in (vuln["id"], *(vuln.get("aliases") or [])) if name))
    fixes = tuple(str(version) for version in vuln.get("fix_versions") or [])
    title = " ".join(str(vuln.get("description") or "").split())
    return Advisory(ids, fixes=fixes, title=title[:_MOST_TITLE])
