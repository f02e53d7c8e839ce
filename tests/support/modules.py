# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible would: in a process of its own, arguments as JSON, answer as JSON."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

COLLECTIONS = pathlib.Path(__file__).resolve().parent.parent.parent / ".cache" / "collections"

_RUNNER = """
import importlib, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"  # asked for by ansible-core 2.19 and newer, ignored by older ones
importlib.import_module("ansible_collections.steward.maintenance.plugins.modules." + sys.argv[1]).main()
"""


def start_module(
    name: str, args: t.Mapping[str, t.Any], check: bool = False, env: t.Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a module and give it its arguments; for tests that kill it half-way."""
    paths = [str(COLLECTIONS)] + [path for path in sys.path if path]
    process = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(env or {})},
    )
    arguments = {**args, "_ansible_check_mode": check, "_ansible_diff": True}
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    process.stdin.close()
    process.stdin = None  # so that communicate() does not flush what is closed
    return process


def run_module(
    name: str,
    args: t.Mapping[str, t.Any],
    check: bool = False,
    env: t.Mapping[str, str] | None = None,
    timeout: float = 300,
) -> dict[str, t.Any]:
    """Run a module to its end and return its answer; `failed` is always in it."""
    return finish_module(start_module(name, args, check, env), timeout)


def finish_module(process: subprocess.Popen[bytes], timeout: float = 300) -> dict[str, t.Any]:
    """The answer of a module that was started; for tests that do something to it half-way."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.kill()
    try:
        answer = dict(json.loads(stdout.decode()))
    except ValueError:
        told = f"(rc {process.returncode}): {stdout!r} {stderr.decode()}"
        raise AssertionError(f"the module gave no answer {told}") from None
    answer.setdefault("failed", False)
    return answer
