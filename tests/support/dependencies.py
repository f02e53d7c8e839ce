# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects that ask the stand-ins of support.registries, and the module that audits them."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import sys
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._packages.arguments import (
    PACKAGES_ARGUMENTS,
    settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.auditing import Outcome, audit
from ansible_collections.steward.maintenance.plugins.module_utils._packages.clocks import keep, read_audit

from .modules import run_module
from .registries import Registries, Table, advisory, canaries, python_package, wheel_hash

NOW = datetime.datetime.now(datetime.timezone.utc)
YOUNG = (NOW - datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
PIP_AUDIT = str(pathlib.Path(sys.executable).parent / "pip-audit")


def clean_environment() -> dict[str, str]:
    """The machine's own settings of pip, npm and proxies left out, and the path that whoever starts a module sets."""
    return clean_environment_of(os.environ)


def clean_environment_of(environment: t.Mapping[str, str]) -> dict[str, str]:
    pattern = r"(PIP_|npm_config_|UV_|POETRY_|YARN_|.*_proxy$|PYTHONPATH$)"
    kept = {name: value for name, value in environment.items() if not re.match(pattern, name, re.IGNORECASE)}
    return {**kept, "PIP_CONFIG_FILE": "/dev/null", "npm_config_userconfig": "/nonexistent/npmrc"}


def sound() -> Table:
    """A catalogue in which nothing is wrong with what projects use, and nothing is newer."""
    catalogue = canaries()
    catalogue["python"]["flask"] = python_package("3.0.0", needs=["jinja2>=3"])
    catalogue["python"]["jinja2"] = python_package("3.1.0")
    catalogue["node"]["express"] = {"4.0.0": {"dependencies": {"qs": "^6.0.0"}}}
    catalogue["node"]["qs"] = {"6.0.0": {}}
    return catalogue


def vulnerable() -> Table:
    """Vulnerabilities of both ecosystems, each of another kind."""
    catalogue = sound()
    catalogue["python"]["flask"] = {
        **python_package("2.0.0", "2.3.0", needs=["jinja2>=2"], python=">=3.7"),
        **python_package("3.0.0", needs=["jinja2>=3"], python=">=3.8", uploaded=YOUNG,
                         urls={"Changelog": "https://flask.example.org/changes"}),
        **python_package("9.0.0", python=">=99"),
        **python_package("9.9.0", yanked="broken"),
    }  # fmt: skip
    catalogue["python"]["jinja2"] = python_package("2.0", "3.1.0")
    catalogue["node"]["express"] = {"4.0.0": {"dependencies": {"qs": "^6.0.0"}, "engines": {"node": ">=4"}},
                                    "4.1.0": {}, "5.0.0": {"engines": {"node": ">=99"}, "uploaded": YOUNG}}  # fmt: skip
    catalogue["node"]["qs"] = {"6.0.0": {}, "6.0.5": {}, "7.0.0-beta.1": {}}
    catalogue["advisories"] += [
        advisory("PYSEC-2026-1", "jinja2", ["2.0"], aliases=["CVE-2026-1"], fixed=["3.1.0"], vector=CRITICAL),
        advisory("PYSEC-2026-2", "jinja2", ["2.0"], title="nobody said how bad it is"),
        advisory("PYSEC-2026-9", "jinja2", ["2.0"], withdrawn="2026-02-01T00:00:00Z", severity="LOW"),
        advisory("GHSA-aaaa-bbbb-cccc", "qs", ["6.0.0"], ecosystem="npm", aliases=["CVE-2026-3"], range="<6.0.4",
                 severity="moderate", title="denial of service"),
    ]  # fmt: skip
    return catalogue


def by_id(answer: t.Mapping[str, t.Any], id: str) -> dict[str, t.Any]:
    (found,) = [one for one in answer["vulnerabilities"] if id in one["aliases"]]
    return t.cast("dict[str, t.Any]", found)


def write_requirements(
    project: pathlib.Path, catalogue: Table, versions: t.Mapping[str, str], registries: Registries, *options: str
) -> None:
    """A file with hashes, as pip-compile writes it, that asks the stand-in."""
    project.mkdir(parents=True, exist_ok=True)
    lines = [f"--index-url {registries.index_url}", *options]
    for name, version in versions.items():
        digest = wheel_hash(name, version, catalogue["python"].get(name, {}).get(version, {}))
        lines += [f"{name}=={version} \\", f"    --hash=sha256:{digest}", "    # via -r requirements.in"]
    (project / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_lock(
    project: pathlib.Path,
    asked: t.Mapping[str, str],
    packages: t.Mapping[str, Table],
    registries: Registries,
    *settings: str,
) -> None:
    """package.json, package-lock.json and an .npmrc that leads to the stand-in; `packages` by their path."""
    project.mkdir(parents=True, exist_ok=True)
    manifest = {"name": project.name, "version": "1.0.0", "dependencies": dict(asked)}
    lock = {"name": project.name, "version": "1.0.0", "lockfileVersion": 3, "requires": True,
            "packages": {"": manifest, **packages}}  # fmt: skip
    (project / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    (project / "package-lock.json").write_text(json.dumps(lock, indent=2), encoding="utf-8")
    lines = [f"registry={registries.npm_url}", *settings]
    (project / ".npmrc").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_sound(project: pathlib.Path, ecosystem: str, registries: Registries, *settings: str) -> None:
    if ecosystem == "pypi":
        write_requirements(project, registries.catalogue, {"flask": "3.0.0", "jinja2": "3.1.0"}, registries, *settings)
    else:
        packages = {
            "node_modules/express": {"version": "4.0.0", "dependencies": {"qs": "^6.0.0"}},
            "node_modules/qs": {"version": "6.0.0"},
        }
        write_lock(project, {"express": "^4.0.0"}, packages, registries, *settings)


def parameters(directory: pathlib.Path, *projects: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    """All arguments of the module, with its defaults."""
    defaults = {name: option.get("default") for name, option in PACKAGES_ARGUMENTS.items()}
    given = {"projects": [str(path) for path in projects], "pip_audit": PIP_AUDIT, "python": sys.executable}
    return {**defaults, **given, "state_file": str(directory / "state" / "dependencies.json"), **more}


def audit_here(directory: pathlib.Path, *projects: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    """What the module would answer, without the second that Ansible takes to start it."""
    before = dict(os.environ)
    env = more.pop("env", {})
    os.environ.clear()
    os.environ.update({**clean_environment_of(before), **env})
    try:
        outcome = Outcome()
        settings = settings_from(parameters(directory, *projects, **more))
        result = audit(settings, False, utc_now(), outcome)
    finally:
        os.environ.clear()
        os.environ.update(before)
    answer = {**result.to_dict(), **outcome.beside()}
    if answer["projects"]:
        # As the role does after each audit.
        kept, _changed = keep(settings.state_file, *read_audit(answer, settings.places.ecosystems), check=False)
        assert kept.verdict == "ok", kept.reason
    return answer


def run_audit(directory: pathlib.Path, *projects: pathlib.Path, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
    """The answer of the module, in a process of its own."""
    env = {**more.pop("env", {})}
    arguments = parameters(directory, *projects, **more)
    return run_module("dependency_info", arguments, check=check, env={**clean_environment(), **env}, timeout=120)
