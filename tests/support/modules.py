# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible would: in a process of its own, arguments as JSON, answer as JSON.

What is run to its end is run by a Python that has its imports behind it already.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

from support import warm_python

COLLECTIONS = pathlib.Path(__file__).resolve().parent.parent.parent / ".cache" / "collections"

_MODULES = "ansible_collections.steward.maintenance.plugins.modules."
_RUNNER = """
import importlib, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"  # asked for by ansible-core 2.19 and newer, ignored by older ones
importlib.import_module(sys.argv[1]).main()
"""

#: What Python and its libraries read once, before the first import.
_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "OPENSSL_")


def start_module(
    name: str,
    args: t.Mapping[str, t.Any],
    check: bool = False,
    env: t.Mapping[str, str] | None = None,
    prefix: t.Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start a module and give it its arguments; for tests that kill it half-way.

    :param prefix: a program with its first arguments that starts it.
    """
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", _RUNNER, _MODULES + name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_with(env),
    )
    assert process.stdin is not None
    process.stdin.write(_told(args, check).encode())
    process.stdin.close()
    process.stdin = None  # so that communicate() does not flush what is closed
    return process


def _environment() -> dict[str, str]:
    paths = [str(COLLECTIONS)] + [path for path in sys.path if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _with(env: t.Mapping[str, str] | None) -> dict[str, str]:
    """Who gives the environment of this process, less some of it, does not mean that modules are not found."""
    given = dict(env or {})
    if given.get("PYTHONPATH") == os.environ.get("PYTHONPATH"):
        given.pop("PYTHONPATH", None)
    return {**_environment(), **given}


def _told(args: t.Mapping[str, t.Any], check: bool) -> str:
    return json.dumps({"ANSIBLE_MODULE_ARGS": {**args, "_ansible_check_mode": check, "_ansible_diff": True}})


def run_module(
    name: str,
    args: t.Mapping[str, t.Any],
    check: bool = False,
    env: t.Mapping[str, str] | None = None,
    timeout: float = 300,
) -> dict[str, t.Any]:
    """Run a module to its end and return its answer; `failed` is always in it."""
    ours = _environment()
    environment = _with(env)
    if any(environment[key] != ours.get(key) for key in environment if key.startswith(_READ_AT_START)):
        return run_with_start(name, args, check, env, timeout)
    done = warm_python.run(_MODULES + name, _told(args, check), environment, timeout)
    return _answer(done["returncode"], done["stdout"], done["stderr"])


def run_with_start(
    name: str,
    args: t.Mapping[str, t.Any],
    check: bool = False,
    env: t.Mapping[str, str] | None = None,
    timeout: float = 300,
) -> dict[str, t.Any]:
    """The same with Python's start and all imports, as on a managed host; what is measured, is measured so."""
    return finish_module(start_module(name, args, check, env), timeout)


def finish_module(process: subprocess.Popen[bytes], timeout: float = 300) -> dict[str, t.Any]:
    """The answer of a module that was started; for tests that do something to it half-way."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.kill()
    return _answer(process.returncode, stdout.decode(), stderr.decode())


def _answer(returncode: int, stdout: str, stderr: str) -> dict[str, t.Any]:
    try:
        answer = dict(json.loads(stdout))
    except ValueError:
        raise AssertionError(f"the module gave no answer (rc {returncode}): {stdout!r} {stderr}") from None
    answer.setdefault("failed", False)
    return answer
