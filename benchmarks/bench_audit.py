# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dependencies of many projects: one call of our module beside `pip-audit` and `npm audit`, one project after another.

    python benchmarks/bench_audit.py [--projects 200] [--rounds 1]

Half of the projects are Python (requirements with hashes), half Node (package-lock.json). Both sides ask the same
stand-ins on loopback in the same run, and must find the same vulnerabilities in the same projects; ours looks for newer
versions as well. The loop takes minutes and ours seconds, so each round has ours before it and behind it, and the
slower of the two counts. Prints `bar NAME VALUE LIMIT ok|short`, and ends with exit status 1 when it is short.
See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
from bars import Bars, NotWorked, ends_cleanly_when_told, ratio, say, tell  # noqa: E402
from support.dependencies import PIP_AUDIT, clean_environment, parameters, write_lock, write_requirements  # noqa: E402
from support.modules import run_with_start  # noqa: E402
from support.registries import Registries, Table, advisory, canaries, python_package  # noqa: E402

#: What the bar is judged on; another number is for trying things out.
STANDARD_PROJECTS = 200
LIMIT = 0.5
OURS, THEIRS = "dependency_info", "pip-audit and npm audit in a loop"

_LONGEST = 3600
_POOL = 150  # packages of an ecosystem that projects choose from
_VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
_VULNERABLE = 10  # every tenth package, in its oldest version
_EACH = 20  # packages of a project

#: A project, a package and an advisory.
Found = set[tuple[str, str, str]]


def catalogue() -> Table:
    made = canaries()
    for number in range(_POOL):
        made["python"][f"py-{number:03}"] = python_package(*_VERSIONS, python=">=3.8")
        made["node"][f"js-{number:03}"] = {version: {} for version in _VERSIONS}
        if number % _VULNERABLE == 0:
            made["advisories"] += [
                advisory(f"GHSA-pppp-aaaa-{number:04}", f"py-{number:03}", ["1.0.0"], fixed=["1.1.0"], severity="HIGH"),
                advisory(f"GHSA-nnnn-aaaa-{number:04}", f"js-{number:03}", ["1.0.0"], ecosystem="npm", range="<1.1.0",
                         severity="high"),
            ]  # fmt: skip
    return made


def serve() -> int:
    """The stand-ins in a process of their own, so that neither side shares its processor time with them."""
    with Registries(catalogue()) as registries:
        print(registries.url, flush=True)
        sys.stdin.read()
    return 0


class Address(Registries):
    """Stand-ins that another process serves."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.catalogue = catalogue()

    @property
    def url(self) -> str:
        return self._url


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: pathlib.Path, registries: Registries) -> None:
        self.options = options
        self.scratch = scratch
        self.registries = registries
        self.number = 0
        self.python = [scratch / "projects" / f"python-{number:03}" for number in range(options.projects // 2)]
        self.node = [
            scratch / "projects" / f"node-{number:03}" for number in range(options.projects - len(self.python))
        ]

    def grow(self) -> None:
        chosen = random.Random(5)  # noqa: S311 - the same projects in every run
        for project in self.python:
            names = chosen.sample(range(_POOL), _EACH)
            versions = {f"py-{number:03}": chosen.choice(_VERSIONS) for number in sorted(names)}
            write_requirements(project, self.registries.catalogue, versions, self.registries)
        for project in self.node:
            names = chosen.sample(range(_POOL), _EACH)
            versions = {f"js-{number:03}": chosen.choice(_VERSIONS) for number in sorted(names)}
            packages = {f"node_modules/{name}": {"version": version} for name, version in versions.items()}
            write_lock(project, {name: f"^{version}" for name, version in versions.items()}, packages, self.registries)

    def ours(self) -> tuple[float, Found]:
        self.number += 1
        place = self.scratch / f"run-{self.number}"
        arguments = parameters(place, *self.python, *self.node, osv_url=self.registries.osv_url)
        begin = time.monotonic()
        answer = run_with_start("dependency_info", arguments, env=clean_environment(), timeout=_LONGEST)
        seconds = time.monotonic() - begin
        if answer.get("verdict") != "findings":
            raise NotWorked(f"{OURS} did not work: {answer.get('msg') or answer}"[:3000])
        if answer["coverage"] != {"looked": self.options.projects, "of": self.options.projects}:
            raise NotWorked(f"{OURS} looked at {answer['coverage']} projects")
        if not answer["updates"]:
            raise NotWorked(f"{OURS} found nothing newer")
        return seconds, {
            (place["path"], one["package"], one["aliases"][0])
            for one in answer["vulnerabilities"]
            for place in one["projects"]
        }

    def theirs(self) -> tuple[float, Found]:
        found: Found = set()
        begin = time.monotonic()
        for project in self.python:
            command = [PIP_AUDIT, "--requirement", "requirements.txt", "--disable-pip", "--format", "json"]
            command += ["--progress-spinner", "off", "--vulnerability-service", "osv"]
            told = self._run([*command, "--osv-url", self.registries.osv_url], project)
            for entry in told["dependencies"]:
                found |= {(str(project), entry["name"], vuln["id"]) for vuln in entry["vulns"]}
        for project in self.node:
            told = self._run(["npm", "audit", "--json"], project)
            for name, entry in told["vulnerabilities"].items():
                vias = [via["url"].rpartition("/")[2] for via in entry["via"] if isinstance(via, dict)]
                found |= {(str(project), name, id) for id in vias}
        return time.monotonic() - begin, found

    def _run(self, command: list[str], project: pathlib.Path) -> t.Any:
        caches = {"npm_config_cache": str(self.scratch / "npm-cache"), "XDG_CACHE_HOME": str(self.scratch / "cache")}
        done = subprocess.run(
            command, cwd=project, env={**clean_environment(), **caches}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=_LONGEST,
        )  # fmt: skip
        if done.returncode not in (0, 1):
            raise NotWorked(f"{command[0]} ended with {done.returncode}: {done.stderr}"[-3000:])
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise NotWorked(f"{command[0]} gave no report: {done.stdout} {done.stderr}"[-3000:]) from None

    def run(self) -> int:
        self.grow()
        findings: dict[str, Found] = {}

        def timed(name: str, side: t.Callable[[], tuple[float, Found]]) -> t.Callable[[], float]:
            def once() -> float:
                seconds, findings[name] = side()
                if len(findings) == 2 and findings[OURS] != findings[THEIRS]:
                    differing = sorted(findings[OURS] ^ findings[THEIRS])
                    raise NotWorked(f"the sides found different vulnerabilities: {differing[:5]}")
                return seconds

            return once

        ours, theirs = timed(OURS, self.ours), timed(THEIRS, self.theirs)
        seconds: dict[str, list[float]] = {OURS: [], THEIRS: []}
        for _round in range(self.options.rounds):
            before = ours()
            seconds[THEIRS].append(theirs())
            seconds[OURS].append(max(before, ours()))
        if not findings[OURS]:
            raise NotWorked("there was nothing to be found")
        say(f"{len(findings[OURS])} vulnerabilities in {self.options.projects} projects, found by both")
        tell(f"audit of {self.options.projects} projects", seconds)
        value = ratio(seconds[OURS], seconds[THEIRS])
        if self.options.projects != STANDARD_PROJECTS:
            say(f"audit_ratio {value:.3g} (not the standard number: no bar)")
            return 0
        bars = Bars()
        bars.judge("audit_ratio", value, LIMIT)
        return bars.status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=STANDARD_PROJECTS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve()
    ends_cleanly_when_told()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="steward-bench-audit-", dir="/var/tmp"))
    server = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        return Bench(options, scratch, Address(server.stdout.readline().strip())).run()
    except NotWorked as exc:
        say(f"no result: {exc}")
        return 1
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
