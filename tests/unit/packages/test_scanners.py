# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scanners are believed as far as the shape of their report goes, whatever their exit status says."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._packages import npm, pip_audit
from ansible_collections.steward.maintenance.plugins.module_utils._packages.looks import Advisory
from ansible_collections.steward.maintenance.plugins.module_utils._packages.osv import severity_of
from ansible_collections.steward.maintenance.plugins.module_utils._packages.running import Ran

BIRD = ("pyyaml", "5.3")
SUNG = {"name": "pyyaml", "version": "5.3", "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.4"], "aliases": ["CVE-1"]}]}
FLASK = {"name": "Flask", "version": "2.0", "vulns": []}
SKIPPED = {"name": "flask", "skip_reason": "Dependency not found on PyPI and could not be audited: flask (2.0)"}
ASKED = [("flask", "2.0.0")]


def ran(report: t.Any, status: int = 0, errors: str = "") -> Ran:
    return Ran(status, report if isinstance(report, str) else json.dumps(report), errors)


def report(*entries: t.Any) -> dict[str, t.Any]:
    return {"dependencies": list(entries), "fixes": []}


def test_a_whole_report_of_pip_audit() -> None:
    look = pip_audit.judge(ran(report(SUNG, FLASK), 1), ASKED, BIRD)
    assert look.found == {("flask", "2.0.0"): []}
    assert not look.missed


def test_an_older_pip_audit_prints_a_bare_list() -> None:
    assert not pip_audit.judge(ran([SUNG, FLASK], 1), ASKED, BIRD).missed


def test_vulnerabilities_have_all_their_names() -> None:
    look = pip_audit.judge(ran(report(SUNG), 1), [BIRD], BIRD)
    (advisory,) = look.found[BIRD]
    assert (advisory.id, advisory.ids, advisory.fixes) == ("CVE-1", ("PYSEC-1", "CVE-1"), ("5.4",))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ran("", 1, "Traceback\n  File\nServiceError: 500"), "ServiceError: 500"),
        (ran("No known vulnerabilities found", 0), "gave no report"),
        (ran(json.dumps(report(SUNG, FLASK))[:-5], 0), "gave no report"),
        (ran({"dependencies": {}}, 0), "gave no report"),
        (ran({}, 0), "gave no report"),
        (ran("null", 0), "gave no report"),
        (ran(report(SUNG, FLASK), 2, "usage: pip-audit"), "ended with 2"),
        (ran(report(), 0), "did not find the known vulnerability"),
        (ran(report(FLASK), 0), "did not find the known vulnerability"),
        (ran(report({**SUNG, "vulns": []}, FLASK), 0), "did not find the known vulnerability"),
        (ran(report({"name": "pyyaml", "skip_reason": "404"}, FLASK), 0), "it skipped it: 404"),
        (ran(report({**SUNG, "version": "6.0"}, FLASK), 1), "did not find the known vulnerability"),
        (ran(report(SUNG), 1), "does not mention flask 2.0.0"),
        (ran(report(SUNG, SKIPPED), 1), "skipped flask 2.0.0: Dependency not found"),
        (ran(report(SUNG, {**FLASK, "version": "3.0"}), 1), "does not mention"),
        (ran(report(SUNG, {**FLASK, "vulns": [{"fix_versions": []}]}), 1), "without their names"),
        (ran(report(SUNG, {"name": "flask", "version": "2.0"}), 1), "skipped flask"),
        (Ran(-1, "", "", "pip-audit did not end within 1 s"), "did not end"),
    ],
)
def test_pip_audit_that_did_not_look(answer: Ran, reason: str) -> None:
    look = pip_audit.judge(answer, ASKED, BIRD)
    assert not look.found
    assert reason in look.missed[ASKED[0]]


def test_errors_are_told_without_secrets() -> None:
    look = pip_audit.judge(ran("", 1, "error: https://user:hush@index.example.org failed"), ASKED, BIRD)
    assert "hush" not in look.missed[ASKED[0]]


# -- npm -------------------------------------------------------------------------------------------------------------

PLACES = {"p0": ("lodash", "4.17.4"), "p1": ("lodash", "4.17.21"), "p2": ("minimist", "0.0.8")}
NPM_BIRD = ("minimist", "0.0.8")
NPM_ASKED = [("lodash", "4.17.4"), ("lodash", "4.17.21")]


def via(vulnerable: str, url: str = "https://github.com/advisories/GHSA-aaaa-bbbb-cccc") -> dict[str, t.Any]:
    return {"source": 1, "name": "x", "url": url, "title": "bad", "severity": "moderate", "range": vulnerable}


def npm_report(total: int = 3, **vulnerabilities: t.Any) -> dict[str, t.Any]:
    counts = {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0, "total": len(vulnerabilities)}
    return {
        "auditReportVersion": 2,
        "vulnerabilities": vulnerabilities,
        "metadata": {"vulnerabilities": counts, "dependencies": {"total": total}},
    }


def entry(*nodes: str, vias: t.Sequence[t.Any] = ()) -> dict[str, t.Any]:
    return {"severity": "moderate", "via": list(vias or [via("<1.0.0")]), "nodes": list(nodes)}


SINGING = entry("node_modules/p2")


def test_a_whole_report_of_npm() -> None:
    vias = [via("<4.17.19"), via("<4.17.30", "https://github.com/advisories/GHSA-dddd-eeee-ffff")]
    told = npm_report(minimist=SINGING, lodash=entry("node_modules/p0", "node_modules/p1", vias=vias))
    look = npm.judge_audit(ran(told, 1), PLACES, NPM_ASKED, NPM_BIRD)
    assert not look.missed
    assert [one.id for one in look.found[("lodash", "4.17.4")]] == ["GHSA-aaaa-bbbb-cccc", "GHSA-dddd-eeee-ffff"]
    assert [one.id for one in look.found[("lodash", "4.17.21")]] == ["GHSA-dddd-eeee-ffff"]
    assert look.found[("lodash", "4.17.4")][0].severity == "medium"


def test_a_range_that_cannot_be_read_hides_nothing() -> None:
    told = npm_report(minimist=SINGING, lodash=entry("node_modules/p0", vias=[via("see the advisory")]))
    look = npm.judge_audit(ran(told, 1), PLACES, NPM_ASKED, NPM_BIRD)
    assert len(look.found[("lodash", "4.17.4")]) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ran(npm_report(), 0), "did not find the known vulnerability of minimist 0.0.8"),
        (ran(npm_report(total=0), 0), "looked at 0 packages, 3 were in the lock"),
        (ran(npm_report(total=2, minimist=SINGING), 1), "looked at 2 packages"),
        (ran({"error": {"code": "ENOLOCK", "summary": "no lock"}}, 1), "ENOLOCK no lock"),
        (ran({"message": "500 Internal Server Error", "statusCode": 500}, 1), "500 Internal Server Error"),
        (ran({**npm_report(minimist=SINGING), "auditReportVersion": 1}, 1), "gave no report"),
        (ran({"auditReportVersion": 2}, 0), "without its parts"),
        (ran({**npm_report(), "vulnerabilities": []}, 0), "without its parts"),
        (ran(json.dumps(npm_report(minimist=SINGING))[:-1], 1), "gave no report"),
        (ran("", 1, "npm error code ECONNREFUSED"), "ECONNREFUSED"),
        (ran(npm_report(minimist=entry("node_modules/elsewhere")), 1), "which was not asked for"),
        (ran(npm_report(minimist={**SINGING, "via": ["other"]}), 1), "without an advisory"),
        (Ran(-1, "", "", "npm did not end within 1 s"), "did not end"),
    ],
)
def test_npm_audit_that_did_not_look(answer: Ran, reason: str) -> None:
    look = npm.judge_audit(answer, PLACES, NPM_ASKED, NPM_BIRD)
    assert not look.found
    assert reason in look.missed[NPM_ASKED[0]]


def test_npm_outdated_that_leaves_something_out() -> None:
    places = {"p0": ("lodash", "^4"), "p1": ("gone", "^1")}
    versions = npm.Versions()
    told = {"p0:lodash@^4": {"wanted": "4.17.21", "latest": "5.0.0"}}
    npm.judge_outdated(ran(told, 1), places, versions)
    assert versions.wanted == {("lodash", "^4"): ("4.17.21", "5.0.0")}
    assert "does not give gone" in versions.missed[("gone", "^1")]


@pytest.mark.parametrize(
    "answer", [ran({}, 0), ran({"error": {"code": "E500"}}, 1), ran("", 1), ran("[]", 0), Ran(-1, "", "", "too slow")]
)
def test_npm_outdated_that_did_not_look(answer: Ran) -> None:
    versions = npm.Versions()
    npm.judge_outdated(answer, {"p0": ("lodash", "^4")}, versions)
    assert not versions.wanted
    assert versions.missed[("lodash", "^4")]


# -- OSV -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"database_specific": {"severity": "MODERATE"}}, "medium"),
        ({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}, "critical"),
        # A vector that comes to nothing does not make a critical one harmless.
        (
            {
                "database_specific": {"severity": "CRITICAL"},
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"}],
            },
            "critical",
        ),
        ({"severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}]}, ""),
        ({"affected": [{"severity": [{"score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}]}]}, "high"),
        ({}, ""),
    ],
)
def test_severity_of_a_record(record: dict[str, t.Any], expected: str) -> None:
    assert severity_of(record) == expected


def test_the_best_known_name_of_an_advisory() -> None:
    assert Advisory(("PYSEC-2", "GHSA-x", "CVE-9", "CVE-3")).id == "CVE-3"
    assert Advisory(("npm:12", "GHSA-x")).id == "GHSA-x"
