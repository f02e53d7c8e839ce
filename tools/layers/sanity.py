# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sanity layer: ansible-test sanity on a copy of what is published, on every Python that this machine has."""

from __future__ import annotations

import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import xml.etree.ElementTree as ET

import yaml

from .places import ROOT, cache, tracked_files

_PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")

# ansible-test downloads a bootstrap of pip from a site of its own; Python's ensurepip brings the same, offline.
_BOOTSTRAP = """import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
"""


def _interpreters(place: pathlib.Path) -> None:
    """Link each Python that really starts into a directory.

    ansible-test believes every name it finds on PATH, and a version manager's shim may have nothing behind it.
    """
    managed = sorted(pathlib.Path.home().glob(".pyenv/versions/*/bin"))
    path = os.pathsep.join([os.environ["PATH"], *map(str, managed)])
    for version in _PYTHONS:
        for directory in path.split(os.pathsep):
            program = pathlib.Path(directory, f"python{version}")
            if not os.access(program, os.X_OK):
                continue
            ask = [str(program), "-c", "import sys; print(sys.executable, end='')"]
            told = subprocess.run(ask, capture_output=True, text=True, check=False)
            if told.returncode == 0 and told.stdout:
                (place / f"python{version}").symlink_to(told.stdout)
                break


def _copy(place: pathlib.Path) -> pathlib.Path:
    """What is published, as Galaxy's importer checks it: ansible-test takes our shell scripts in bin/ for Python.

    It wants a directory of this name, and a link does not do.
    """
    copy = place / "ansible_collections" / "steward" / "maintenance"
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    for name in tracked_files():
        if any(fnmatch.fnmatch(name.partition("/")[0], pattern) for pattern in ignored):
            continue
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return copy


def _environment(home: pathlib.Path, interpreters: pathlib.Path) -> dict[str, str]:
    """A home of its own, kept between runs, because ansible-test keeps its environments below it."""
    from ansible_test._internal.python_requirements import get_venv_packages

    bootstraps = home / ".ansible" / "test" / "cache"
    bootstraps.mkdir(parents=True, exist_ok=True)
    for version in {get_venv_packages(types.SimpleNamespace(version=python))["pip"] for python in _PYTHONS}:
        (bootstraps / f"get_pip_{version.replace('.', '_')}.py").write_text(_BOOTSTRAP)
    venv = pathlib.Path(sys.executable).parent
    path = [str(venv), str(interpreters), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    configured = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config")
    kept = {
        "XDG_CONFIG_HOME": str(configured),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR") or str(pathlib.Path.home() / ".cache" / "pip"),
    }
    return {**os.environ, **kept, "HOME": str(home), "PATH": os.pathsep.join(path)}


def _report(results: pathlib.Path) -> tuple[int, int]:
    """Count the tests that ran, one file each."""
    passed = failed = 0
    for file in results.glob("*.xml"):
        suites = ET.parse(file).getroot()  # noqa: S314 - ansible-test has just written it
        bad = suites.find(".//failure") is not None or suites.find(".//error") is not None
        failed, passed = failed + bad, passed + (not bad)
    return passed, failed


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="steward-sanity-") as scratch:
        interpreters = pathlib.Path(scratch, "bin")
        interpreters.mkdir()
        _interpreters(interpreters)
        copy = _copy(pathlib.Path(scratch))
        # ansible-test pins its tools, so that its cache is good for as long as ansible-core is the same.
        env = _environment(cache() / "ansible-test", interpreters)
        found = sorted((path.name for path in interpreters.iterdir()), key=lambda name: int(name.rpartition(".")[2]))
        print(f"Pythons: {' '.join(found)}", flush=True)
        status = subprocess.run(
            ["ansible-test", "sanity", "--color", "no", "--junit", *sys.argv[1:]],
            cwd=copy,
            env=env,
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
        passed, failed = _report(copy / "tests" / "output" / "junit")
    print(f"{passed} passed, {max(failed, int(status != 0))} failed", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
