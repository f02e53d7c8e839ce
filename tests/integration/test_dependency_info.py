# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of dependencies with the real pip, pip-audit and npm, against stand-ins for what they ask."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from support.dependencies import (
    NOW,
    audit_here,
    by_id,
    clean_environment,
    run_audit,
    sound,
    vulnerable,
    write_lock,
    write_requirements,
    write_sound,
)
from support.modules import run_module
from support.registries import Registries, advisory

pytestmark = pytest.mark.packages

SECRET = "kanarienvogel-3f9a1c7e"  # the canary: see support.canary


def write_both(project: pathlib.Path, registries: Registries) -> None:
    write_requirements(project, registries.catalogue, {"flask": "2.0.0", "jinja2": "2.0"}, registries)
    packages = {
        "node_modules/express": {"version": "4.0.0", "dependencies": {"qs": "^6.0.0"}},
        "node_modules/qs": {"version": "6.0.0"},
    }
    write_lock(project, {"express": "^4.0.0"}, packages, registries, f"//127.0.0.1/:_authToken={SECRET}")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, t.Any]]:
    """One audit of two projects that depend on the same."""
    directory = tmp_path_factory.mktemp("audited")
    with Registries(vulnerable()) as registries:
        for name in ("shop", "billing"):
            write_both(directory / name, registries)
        answer = run_audit(directory, directory / "shop", directory / "billing", osv_url=registries.osv_url)
        yield {**answer, "asked": dict(registries.asked), "directory": directory}


def test_the_verdict_and_the_figures(audited: dict[str, t.Any]) -> None:
    assert (audited["verdict"], audited["reason"], audited["failed"]) == ("findings", "", False)
    assert audited["coverage"] == {"looked": 2, "of": 2}
    figures = audited["figures"]
    assert {key: figures[key] for key in ("packages", "packages_looked_at", "vulnerabilities")} == {
        "packages": 4, "packages_looked_at": 4, "vulnerabilities": 3}  # fmt: skip
    assert [figures[severity] for severity in ("critical", "high", "medium", "low")] == [1, 1, 1, 0]
    assert not audited["changed"]


def test_severity_fix_and_way_of_a_python_package(audited: dict[str, t.Any]) -> None:
    one = by_id(audited, "CVE-2026-1")
    assert (one["severity"], one["fix"], one["fix_class"]) == ("critical", "3.1.0", "major")
    assert [place["path"] for place in one["projects"]] == [
        str(audited["directory"] / name) for name in ("shop", "billing")
    ]
    assert one["projects"][0]["paths"] == [["jinja2 2.0"]]
    (finding,) = [one for one in audited["findings"] if "CVE-2026-1" in one["subject"]]
    assert finding["severity"] == "critical"
    assert "emergency change" in finding["action"]


def test_an_unknown_severity_counts_as_high_and_a_withdrawn_advisory_not_at_all(audited: dict[str, t.Any]) -> None:
    one = by_id(audited, "PYSEC-2026-2")
    assert (one["severity"], one["counted_as"], one["fix"]) == ("unknown", "high", "")
    assert not [one for one in audited["vulnerabilities"] if "PYSEC-2026-9" in one["aliases"]]


def test_severity_fix_and_way_of_a_node_package(audited: dict[str, t.Any]) -> None:
    one = by_id(audited, "CVE-2026-3")
    assert (one["severity"], one["fix"], one["fix_class"]) == ("medium", "6.0.5", "patch")
    assert one["projects"][0]["paths"] == [["express 4.0.0", "qs 6.0.0"]]
    assert one["url"].endswith("GHSA-aaaa-bbbb-cccc")


def test_updates_of_a_python_package(audited: dict[str, t.Any]) -> None:
    (flask,) = [one for one in audited["updates"] if one["package"] == "flask"]
    # A pin wants itself, and what was withdrawn is not the latest.
    assert (flask["installed"], flask["wanted"], flask["class"]) == ("2.0.0", "2.0.0", "major")
    # Which Python the project has is not known, so the one for another Python cannot be ruled out.
    assert (flask["latest"], flask["targets"][-1]["needs_met"]) == ("9.0.0", None)
    assert flask["needs"] == ">=3.7"
    assert len(flask["projects"]) == 2


def test_updates_of_a_node_package(audited: dict[str, t.Any]) -> None:
    (express,) = [one for one in audited["updates"] if one["package"] == "express"]
    assert (express["installed"], express["wanted"], express["latest"]) == ("4.0.0", "4.1.0", "5.0.0")
    minor, major = express["targets"]
    assert (minor["class"], minor["ready"], minor["needs_met"]) == ("minor", True, True)
    assert (major["class"], major["ready"], major["needs"], major["needs_met"]) == ("major", False, ">=99", False)
    assert major["held_until"] > NOW.strftime("%Y-%m-%d")
    assert express["links"]["releases"] == "https://github.com/example/express/releases"
    assert express["needs"] == ">=4"


def test_what_is_shared_is_asked_once(audited: dict[str, t.Any]) -> None:
    asked = audited["asked"]
    # flask, jinja2 and the canary by pip-audit, the canary once more for the age of the answer; one bulk and its age.
    assert asked["osv"] == 4
    assert asked["bulk"] == 2
    assert asked["simple"] == 2
    assert asked["batch"] == 1


def test_secrets_of_the_projects_do_not_show(audited: dict[str, t.Any]) -> None:
    assert SECRET not in json.dumps({key: value for key, value in audited.items() if key != "directory"}, default=str)


def test_the_clock_runs_and_an_audit_alone_writes_nothing(tmp_path: pathlib.Path) -> None:
    state = tmp_path / "state" / "dependencies.json"
    with Registries(vulnerable()) as registries:
        write_requirements(tmp_path / "shop", registries.catalogue, {"jinja2": "2.0"}, registries)
        more: dict[str, t.Any] = {"osv_url": registries.osv_url, "ecosystems": ["pypi"], "updates": False}
        answer = run_audit(tmp_path, tmp_path / "shop", **more)
        assert not state.exists()
        given = {"audit": answer, "state_file": str(state)}
        assert run_module("dependency_clocks", given, check=True)["changed"] is True
        assert not state.exists()
        kept = run_module("dependency_clocks", given)
        assert (kept["verdict"], kept["figures"]) == ("ok", {"clocks": 2, "begun": 2, "ended": 0})
        assert run_module("dependency_clocks", given)["changed"] is False
        assert "it has no 'projects'" in run_module("dependency_clocks", {"audit": {}})["msg"]
        text = state.read_text(encoding="utf-8")
        long_ago = (NOW - datetime.timedelta(days=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
        seen = json.loads(text)
        for entry in seen["seen"]:
            entry["first"] = long_ago
        state.write_text(json.dumps(seen), encoding="utf-8")
        answer = audit_here(tmp_path, tmp_path / "shop", **more)
    assert answer["figures"]["overdue"] == 2
    places = {one["counted_as"]: one["projects"][0] for one in answer["vulnerabilities"]}
    assert places["high"]["first_seen"] == long_ago
    assert 0 < places["high"]["overdue_seconds"] - 86400 < 3600


def test_accepted_expired_and_unused_entries(tmp_path: pathlib.Path) -> None:
    entry = {"reason": "never called", "owner": "Jane Doe"}
    accepted = [
        {**entry, "id": "CVE-2026-1", "until": "2199-01-01", "scope": {"project": "*/shop"}},
        {**entry, "id": "PYSEC-2026-2", "until": "2026-01-01"},
        {**entry, "id": "CVE-2020-1", "until": "2199-01-01"},
        {**entry, "id": "CVE-2020-2", "until": "2199-01-01", "scope": {"ecosystem": "system"}},
    ]
    with Registries(vulnerable()) as registries:
        write_requirements(tmp_path / "shop", registries.catalogue, {"jinja2": "2.0"}, registries)
        more: dict[str, t.Any] = {"osv_url": registries.osv_url, "ecosystems": ["pypi"], "updates": False}
        answer = audit_here(tmp_path, tmp_path / "shop", accepted=accepted, **more)
    told = {one["subject"]: one["id"] for one in answer["findings"]}
    assert told == {
        "pypi jinja2 2.0 PYSEC-2026-2": "dependency-vulnerable",
        "PYSEC-2026-2": "accept-expired",
        "CVE-2020-1": "accept-unused",
    }
    assert (answer["figures"]["accepted"], answer["figures"]["vulnerabilities"]) == (1, 1)


def test_a_file_without_hashes_is_resolved_by_pip(tmp_path: pathlib.Path) -> None:
    with Registries(vulnerable()) as registries:
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop" / "requirements.txt").write_text(
            f"--index-url {registries.index_url}\nflask<3\njinja2<3\n", encoding="utf-8"
        )
        more: dict[str, t.Any] = {"osv_url": registries.osv_url, "ecosystems": ["pypi"]}
        answer = audit_here(tmp_path, tmp_path / "shop", **more)
        registries.faults["simple"] = "500"
        blind = audit_here(tmp_path, tmp_path / "shop", **more)
    assert answer["verdict"] == "findings"
    assert {one["package"] for one in answer["vulnerabilities"]} == {"jinja2"}
    (flask,) = [one for one in answer["updates"] if one["package"] == "flask"]
    assert (flask["installed"], flask["wanted"]) == ("2.3.0", "2.3.0")
    assert (blind["verdict"], blind["coverage"]["looked"]) == ("unknown", 0)
    assert "pip cannot tell what it comes to" in blind["reason"]


def test_what_is_installed_in_an_environment(tmp_path: pathlib.Path) -> None:
    """A real environment, filled by the real pip; the file beside it wants something newer."""
    project = tmp_path / "shop"
    with Registries(vulnerable()) as registries:
        write_requirements(project, registries.catalogue, {"flask": "2.3.0", "jinja2": "2.0"}, registries)
        # The latest release is young. It is ready all the same, because it is the fix.
        registries.catalogue["advisories"].append(
            advisory("PYSEC-2026-4", "flask", ["2.0.0"], fixed=["3.0.0"], severity="LOW")
        )
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(project / ".venv")], check=True)
        command = [sys.executable, "-m", "pip", "--python", str(project / ".venv"), "install", "--quiet"]
        command += ["--index-url", registries.index_url, "flask==2.0.0", "jinja2==2.0"]
        subprocess.run(command, check=True, env=clean_environment())
        more: dict[str, t.Any] = {"osv_url": registries.osv_url, "ecosystems": ["pypi"]}
        answer = audit_here(tmp_path, project, **more)
    assert answer["verdict"] == "findings"
    assert [one["id"] for one in answer["findings"]].count("dependency-drift") == 1
    (flask,) = [one for one in answer["updates"] if one["package"] == "flask"]
    # The environment says which Python it has, so the release for another one is not the latest here.
    assert (flask["installed"], flask["wanted"], flask["latest"]) == ("2.0.0", "2.3.0", "3.0.0")
    assert [(one["version"], one["fixes"], one["ready"], one["needs_met"]) for one in flask["targets"]] == [
        ("2.3.0", [], True, True),
        ("3.0.0", ["PYSEC-2026-4"], True, True),
    ]
    assert flask["links"]["changelog"] == "https://flask.example.org/changes"
    places = by_id(answer, "CVE-2026-1")["projects"][0]
    assert places["files"] == [".venv", "requirements.txt"] or places["files"] == ["requirements.txt", ".venv"]
    assert ["flask 2.0.0", "jinja2 2.0"] in places["paths"]


def test_a_lock_that_npm_wrote_and_what_it_installed(tmp_path: pathlib.Path) -> None:
    """package-lock.json by the real npm, from the stand-in's packages."""
    project = tmp_path / "shop"
    project.mkdir()
    with Registries(vulnerable()) as registries:
        manifest = {"name": "shop", "version": "1.0.0", "dependencies": {"express": "4.0.0"}}
        (project / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        (project / ".npmrc").write_text(f"registry={registries.npm_url}\n", encoding="utf-8")
        registries.catalogue["node"]["qs"] = {"6.0.0": {}}
        command = ["npm", "install", "--package-lock-only", "--no-audit", "--cache", str(tmp_path / "cache")]
        subprocess.run(command, check=True, cwd=project, env=clean_environment(), capture_output=True)
        answer = audit_here(tmp_path, project, osv_url=registries.osv_url, ecosystems=["npm"])
    one = by_id(answer, "CVE-2026-3")
    assert one["projects"][0]["paths"] == [["express 4.0.0", "qs 6.0.0"]]
    # There is no version without it, and that is known.
    assert (one["fix"], one["fix_versions"]) == ("", [])


@pytest.mark.parametrize("fault", ["", "404"])
def test_more_advisories_than_a_page_holds_are_all_found(tmp_path: pathlib.Path, fault: str) -> None:
    """pip-audit takes the first page for the whole. Not every mirror has the question for many packages at once."""
    catalogue = vulnerable()
    # What GitHub withdrew as a duplicate goes on under another name.
    duplicate = advisory("GHSA-dupl-icat-eeee", "jinja2", ["2.0"], severity="LOW", withdrawn="2026-02-01T00:00:00Z")
    catalogue["advisories"].insert(0, duplicate)
    next(one for one in catalogue["advisories"] if one["id"] == "PYSEC-2026-1")["aliases"].append(duplicate["id"])
    with Registries(catalogue) as registries:
        registries.page_size = 1
        registries.faults["batch"] = fault
        write_requirements(tmp_path / "shop", catalogue, {"jinja2": "2.0"}, registries)
        answer = audit_here(tmp_path, tmp_path / "shop", osv_url=registries.osv_url, ecosystems=["pypi"], updates=False)
    told = {one["id"]: one["severity"] for one in answer["vulnerabilities"]}
    assert told == {"CVE-2026-1": "critical", "PYSEC-2026-2": "unknown"}


def test_one_project_that_cannot_be_looked_at_does_not_hide_the_others(tmp_path: pathlib.Path) -> None:
    with Registries(vulnerable()) as registries:
        write_both(tmp_path / "shop", registries)
        (tmp_path / "empty").mkdir()
        more = {"osv_url": registries.osv_url, "updates": False}
        answer = audit_here(tmp_path, tmp_path / "shop", tmp_path / "empty", tmp_path / "gone", **more)
    assert (answer["verdict"], answer["coverage"]) == ("unknown", {"looked": 1, "of": 3})
    assert answer["figures"]["vulnerabilities"] == 3
    assert [project["looked_at"] for project in answer["projects"]] == [True, False, False]
    assert str(tmp_path / "gone") in answer["reason"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"pip_audit": "/nonexistent/pip-audit"}, "/nonexistent/pip-audit is not installed here"),
        ({"npm": "npm-that-is-not-here", "service": "pypi"}, "npm-that-is-not-here is not installed here"),
        ({"python": "/usr/bin/false"}, "does not say which index it uses"),
        ({"canaries": {"pypi": "flask==3.0.0"}}, "did not find the known vulnerability of flask 3.0.0"),
    ],
)
def test_a_missing_tool_or_canary_is_unknown(tmp_path: pathlib.Path, given: dict[str, t.Any], reason: str) -> None:
    ecosystem = "npm" if "npm" in given else "pypi"
    with Registries(sound()) as registries:
        write_sound(tmp_path / "app", ecosystem, registries)
        more = {"osv_url": registries.osv_url, "ecosystems": [ecosystem], "updates": "python" in given}
        answer = audit_here(tmp_path, tmp_path / "app", **more, **given)
    assert answer["verdict"] == "unknown"
    assert reason in answer["reason"]


def test_a_state_that_cannot_be_kept_is_a_failure(tmp_path: pathlib.Path) -> None:
    """Without it no clock would ever run out."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with Registries(sound()) as registries:
        write_sound(tmp_path / "app", "pypi", registries)
        state = str(tmp_path / "file" / "dependencies.json")
        answer = audit_here(tmp_path, tmp_path / "app", osv_url=registries.osv_url, state_file=state)
    assert answer["verdict"] == "failed"
    assert str(tmp_path / "file") in answer["reason"]


def test_settings_that_hide_vulnerabilities_hide_nothing(tmp_path: pathlib.Path) -> None:
    """Settings that make npm and pip-audit look elsewhere, or at less."""
    hiding = ["package-lock=false", "audit=false", "omit[]=dev", "audit-level=none", "global=true"]
    env = {
        "PIP_AUDIT_OUTPUT": str(tmp_path / "elsewhere.json"),
        "PIP_AUDIT_FORMAT": "columns",
        "NODE_ENV": "production",
    }
    with Registries(vulnerable()) as registries:
        write_both(tmp_path / "shop", registries)
        (tmp_path / "shop" / ".npmrc").write_text("\n".join([f"registry={registries.npm_url}", *hiding, ""]))
        answer = audit_here(tmp_path, tmp_path / "shop", osv_url=registries.osv_url, updates=False, env=env)
    assert (answer["verdict"], answer["figures"]["vulnerabilities"]) == ("findings", 3)
    assert not os.path.exists(env["PIP_AUDIT_OUTPUT"])
