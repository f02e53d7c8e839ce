# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advisories and registries that fail, in all the ways in which scanners say "clean" without having looked.

The projects are sound and nothing is newer, so that an audit that could look says `ok`. With a fault it must say
`unknown` and why. `make faults` prints the table.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import typing as t

import pytest
from support.dependencies import clean_environment, parameters, sound, write_sound
from support.registries import FAULTS, Registries

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._packages.arguments import settings_from
from ansible_collections.steward.maintenance.plugins.module_utils._packages.auditing import Outcome, audit

pytestmark = pytest.mark.packages

_DEAD = "http://127.0.0.1:9"
_ADVISORIES = {"pypi": "osv", "npm": "bulk"}
_REGISTRY = {"pypi": "simple", "npm": "packument"}
_OFFLINE = {"pypi": "--no-index", "npm": "offline=true"}

#: Ecosystem, what fails, and how.
Row = tuple[str, str, str]


def _rows() -> list[Row]:
    rows: list[Row] = []
    for ecosystem in ("pypi", "npm"):
        rows += [(ecosystem, _ADVISORIES[ecosystem], fault) for fault in (*FAULTS, "refused") if fault != "torn"]
        rows.append((ecosystem, "stamp", "stale"))
    rows += [("npm", part, fault) for part, fault in _registry_faults()]
    # A mirror may be young, and the cache before it old.
    rows += [("pypi", "cache", "stale"), ("npm", "cache", "stale")]
    return [*rows, *(("pypi", "batch", fault) for fault in ("500", "truncated", "hollow", "silent"))]


def _registry_faults() -> list[tuple[str, str]]:
    # A registry's page of last week is the same page; only advisories have to be new.
    failing = [("registry", fault) for fault in (*FAULTS, "refused") if fault != "stale"]
    return [*failing, ("one package", "403"), ("one package", "404"), ("setting", "offline")]


def _audit_indexes(directory: pathlib.Path) -> dict[Row, tuple[Result, int]]:
    """Python projects whose indexes fail, each in its own way, and a sound one among them: all in one audit."""
    rows = [*_registry_faults(), ("registry", "none")]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Registries(sound(), slow_seconds=60)) for _row in rows]
        advisories = stack.enter_context(Registries(sound()))
        for number, registries in enumerate(servers):
            _break(directory / str(number), "pypi", *rows[number], registries)
        projects = [directory / str(number) for number in range(len(rows))]
        params = parameters(
            directory, *projects, ecosystems=["pypi"], answer_timeout="8s", jobs=4, osv_url=advisories.osv_url
        )
        outcome = Outcome()
        audit(settings_from(params), False, utc_now(), outcome)
        found: dict[Row, tuple[Result, int]] = {}
        for number, told in enumerate(outcome.projects):
            verdict, reason = ("ok", "") if told["looked_at"] else ("unknown", "; ".join(told["problems"]))
            result = Result(verdict, "one of many", reason, looked=int(told["looked_at"]), of=1)
            found[("pypi", *rows[number])] = result, sum(servers[number].asked.values())
        return found


def _audit(directory: pathlib.Path, row: Row | None, ecosystem: str) -> tuple[Result, int]:
    """One audit with this fault, and how many questions the stand-ins were asked."""
    _ecosystem, part, fault = row or ("", "", "")
    catalogue = sound()
    with Registries(catalogue) as registries:
        given: dict[str, t.Any] = {"osv_url": registries.osv_url}
        _break(directory / "app", ecosystem, part, fault, registries)
        if (part, fault) == ("osv", "refused"):
            given["osv_url"] = f"{_DEAD}/v1/query"
        elif part == "stamp":
            catalogue["stamp"] = {"modified": "2026-01-01T00:00:00Z"}
            given["stamps"] = {ecosystem: f"{registries.url}/stamp"}
        elif part == "cache":
            registries.faults[_ADVISORIES[ecosystem]] = fault
            catalogue["stamp"] = {"modified": utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")}
            given["stamps"] = {ecosystem: f"{registries.url}/stamp"}
        given["answer_timeout"] = "2s" if row else "30s"
        params = parameters(directory, directory / "app", ecosystems=[ecosystem], jobs=1, **given)
        # A registry is asked for newer versions only where that is what fails.
        params["updates"] = part not in ("osv", "bulk", "stamp", "batch", "cache")
        result = audit(settings_from(params), False, utc_now(), Outcome())
        return result, sum(registries.asked.values())


def _break(project: pathlib.Path, ecosystem: str, part: str, fault: str, registries: Registries) -> None:
    """A project whose stand-ins fail in this way."""
    write_sound(project, ecosystem, registries, *([_OFFLINE[ecosystem]] if fault == "offline" else []))
    failing = {"registry": _REGISTRY[ecosystem], "one package": _REGISTRY[ecosystem]}.get(part, part)
    if part == "one package":
        registries.only[failing] = {"pypi": "jinja2", "npm": "express"}[ecosystem]
    if fault == "refused" and part != "osv":
        file = project / {"pypi": "requirements.txt", "npm": ".npmrc"}[ecosystem]
        file.write_text(file.read_text(encoding="utf-8").replace(registries.url, _DEAD), encoding="utf-8")
    elif fault not in ("", "none", "offline", "refused") and part not in ("stamp", "cache"):
        registries.faults[failing] = fault


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[Row | None, tuple[Result, int]]]:
    """Every row, several at a time; and the same without a fault."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(clean_environment())
    rows: list[tuple[Row | None, str]] = [(row, row[0]) for row in _rows()]
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = {
                row: pool.submit(_audit, tmp_path_factory.mktemp("row"), row, ecosystem) for row, ecosystem in rows
            }
            indexes = pool.submit(_audit_indexes, tmp_path_factory.mktemp("indexes"))
            sounds = {
                (ecosystem, "", "none"): pool.submit(_audit, tmp_path_factory.mktemp("sound"), None, ecosystem)
                for ecosystem in ("pypi", "npm")
            }
            alone = {row: future.result() for row, future in {**sounds, **futures}.items()}
            yield {**alone, **indexes.result()}
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_no_fault_gives_ok(results: dict[Row, tuple[Result, int]], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\n|: audit of dependencies, what fails, how:  verdict, questions asked, and why :|", end="")
        for (ecosystem, part, fault), (result, asked) in results.items():
            told = f"{ecosystem:4} {part or '-':11} {fault:9} {result.verdict:7} {asked:3}  {result.reason[:100]}"
            print(f"\n|: {told} :|", end="", flush=True)
    wrong = {
        row: result.verdict
        for row, (result, _asked) in results.items()
        if row[2] != "none" and (result.verdict != "unknown" or not result.reason or result.looked)
    }
    assert not wrong
    assert len(results) > 45


def test_a_sound_project_among_those_that_fail_is_looked_at(results: dict[Row, tuple[Result, int]]) -> None:
    assert results[("pypi", "registry", "none")][0].verdict == "ok"


@pytest.mark.parametrize("ecosystem", ["pypi", "npm"])
def test_without_a_fault_the_same_project_is_ok(results: dict[Row, tuple[Result, int]], ecosystem: str) -> None:
    result, asked = results[(ecosystem, "", "none")]
    assert (result.verdict, result.reason) == ("ok", "")
    assert (result.looked, result.of) == (1, 1)
    assert asked > 2


def test_the_faults_happened(results: dict[Row, tuple[Result, int]]) -> None:
    """Where something still listens, it was asked: a row in which nobody asked would prove nothing."""
    silent = [
        row for row, (_result, asked) in results.items() if row[2] not in ("refused", "offline", "none") and not asked
    ]
    assert not silent
