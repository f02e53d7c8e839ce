# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was locked can be installed, is what comes out of it, and passes the tests of the project.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Each project is installed from its locks into an environment of its own, made for this and removed with it: by hashes
where there are any (`pip install --require-hashes`, `npm ci`, `uv sync --frozen`, and what the other tools have of that
kind). What is installed is read back from the metadata that the tools leave there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shlex
import time
import typing as t

from .._core.masking import mask_secrets
from . import judging, moving_poetry
from .changes import NPM
from .discover import Places, read_project
from .environments import read_environment
from .locks_node import HIDDEN
from .model import Project, Source, SourceError
from .moving import StepError, Tools, end_of, must_end_well
from .proving_node import install_node, others_installed
from .running import run

_MOST_TOLD = 3


@dataclasses.dataclass
class Tested:
    """How the tests ended. `output` is all that they printed."""

    command: str
    seconds: float
    output: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.output).hexdigest()

    def told(self) -> dict[str, t.Any]:
        return {
            "command": mask_secrets(self.command),
            "duration_seconds": round(self.seconds, 3),
            "output_bytes": len(self.output),
            "output_sha256": self.digest,
        }


def install(place: str, project: Project, tools: Tools, scratch: str) -> str:
    """Install all that the locks of a project name; the path of the Python environment, empty without one.

    :param place: where the project is checked out.

    :raises StepError: when it cannot be installed, or something else comes out of it.
    """
    os.makedirs(scratch, mode=0o700)
    python = [source for source in project.sources if source.ecosystem != NPM and source.kind != "environment"]
    environment = _install_python(python, tools, scratch) if python else ""
    for source in project.sources:
        if source.ecosystem == NPM and source.kind == "lock":
            install_node(source, tools, scratch, _plain(scratch))
    _compare(place, project, environment)
    return environment


def _install_python(sources: t.Sequence[Source], tools: Tools, scratch: str) -> str:
    place = os.path.join(scratch, "environment")
    # Without pip: that of the Python outside installs into it, so that nothing is in it but what the project asks for.
    ran = run([tools.python, "-m", "venv", "--without-pip", place], scratch, tools.timeout, _plain(scratch))
    must_end_well(ran, "install", "an environment cannot be made")
    inner = os.path.join(place, "bin", "python")
    for source in sources:
        if source.kind == "lock":
            _sync(source, tools, place, scratch)
            continue
        command = [tools.python, "-m", "pip", "--python", inner, "--disable-pip-version-check", "--no-input", "install"]
        command += ["--quiet", "--retries", "1", "--timeout", str(max(1, round(tools.answer_timeout)))]
        command += ["--cache-dir", os.path.join(scratch, "pip-cache")]
        command += [] if tools.run_scripts else ["--only-binary", ":all:"]
        command += ["--require-hashes"] if source.closed else []
        command += ["--requirement", os.path.join(source.project, source.file)]
        ran = run(command, source.project, tools.timeout, _plain(scratch))
        must_end_well(ran, "install", f"pip cannot install {source.file}")
    return place


def _sync(source: Source, tools: Tools, place: str, scratch: str) -> None:
    if source.file == "poetry.lock":
        # It takes the environment that is active, and the lock as it is; what is there besides stays.
        command = [tools.poetry, "install", "--no-root", "--all-groups", "--no-interaction", "--no-ansi"]
        path = os.pathsep.join([os.path.join(place, "bin"), os.environ.get("PATH", os.defpath)])
        environment = {**_plain(scratch), **moving_poetry.settings(tools, scratch), "VIRTUAL_ENV": place, "PATH": path}
        ran = run(command, source.project, tools.timeout, environment)
        must_end_well(ran, "install", "poetry cannot install poetry.lock")
        return
    if source.file != "uv.lock":
        raise StepError("install", f"{source.file} cannot be installed by this module")
    command = [tools.uv, "sync", "--frozen", "--inexact", "--all-groups", "--no-progress", "--color", "never"]
    command += ["--cache-dir", os.path.join(scratch, "uv-cache"), "--python", tools.python]
    if not tools.run_scripts:
        # The project itself may be built: its code runs in its tests anyway.
        for name in sorted({node.name for node in source.nodes.values() if not node.own}):
            command += ["--no-build-package", name]
    environment = {**_plain(scratch), "UV_PROJECT_ENVIRONMENT": place, "UV_NO_PYTHON_DOWNLOADS": "1"}
    must_end_well(run(command, source.project, tools.timeout, environment), "install", "uv cannot install uv.lock")


def _plain(scratch: str) -> dict[str, str]:
    environment = {**os.environ, "TMPDIR": scratch, "PIP_NO_COLOR": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
    for name in ("PIP_NO_BINARY", "PYTHONPATH", "PYTHONHOME"):
        environment.pop(name, None)
    return environment


def _compare(place: str, project: Project, environment: str) -> None:
    """:raises StepError: when what was installed is not what was locked."""
    installed = []
    try:
        if environment:
            installed.append(read_environment(os.path.dirname(environment), os.path.basename(environment)))
        here = read_project(place, Places((), (), (NPM,)))
    except SourceError as exc:
        raise StepError("install", f"what was installed cannot be read: {exc}") from exc
    installed += [source for source in here.sources if source.file == HIDDEN]
    found = [judging.drifted(project, source) for source in installed]
    try:
        found += [others_installed(place, source) for source in project.sources if source.kind == "lock"]
    except SourceError as exc:
        raise StepError("install", f"what was installed cannot be read: {exc}") from exc
    for others in found:
        if others:
            told = ", ".join(others[:_MOST_TOLD])
            raise StepError("install", f"what was installed is not what was locked: {told}")


def test(project: str, command: str, environment: str, timeout: float, scratch: str) -> Tested:
    """Run the tests of the project, in its own environment.

    :raises StepError: when they fail or do not end.
    """
    # The module's own path would hide what the project has installed.
    settings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    places = [os.path.join(environment, "bin")] if environment else []
    if environment:
        settings["VIRTUAL_ENV"] = environment
    places += [os.path.join(project, "node_modules", ".bin"), settings.get("PATH", os.defpath)]
    # What tests leave in their cache is nobody's.
    settings.update(PATH=os.pathsep.join(places), TMPDIR=scratch, PYTHONDONTWRITEBYTECODE="1")
    log = os.path.join(scratch, "tests.log")
    began = time.monotonic()
    ran = run(["/bin/sh", "-c", f"exec >{shlex.quote(log)} 2>&1\n{command}"], project, timeout, {**settings})
    seconds = time.monotonic() - began
    output = b""
    with contextlib.suppress(FileNotFoundError), open(log, "rb") as handle:
        output = handle.read()
    tested = Tested(command, seconds, output)
    if ran.problem or ran.status != 0:
        told = ran.problem or f"status {ran.status}"
        raise FailedTests(f"the tests ended badly ({told.replace('sh did', 'they did')})", tested)
    return tested


class FailedTests(StepError):
    """The tests of the project did not pass."""

    def __init__(self, reason: str, tested: Tested) -> None:
        super().__init__("test", reason, end_of(tested.output.decode("utf-8", "replace")))
        self.tested = tested
