# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that has imported the modules already, and forks for each run of one.

Thousands of runs of modules are most of what the tests cost, and half of a short one is Python's start and its imports.
Each run is a process of its own all the same, with the environment and the directory of the moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import typing as t

_SERVER = """
import importlib, json, os, sys, tempfile, time
from ansible.module_utils import basic

basic._ANSIBLE_PROFILE = "legacy"  # asked for by ansible-core 2.19 and newer, ignored by older ones
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    asked = json.loads(line)
    module = importlib.import_module(asked["module"])
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        pid = os.fork()
        if pid == 0:
            os.chdir(asked["directory"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            time.tzset()
            for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (stdout.fileno(), 1), (stderr.fileno(), 2)):
                os.dup2(source, target)
            answers.close()
            basic._ANSIBLE_ARGS = asked["arguments"].encode()
            break
        print(json.dumps({"pid": pid}), file=answers, flush=True)
        status = os.waitpid(pid, 0)[1]
        texts = {}
        for name, file in (("stdout", stdout), ("stderr", stderr)):
            file.seek(0)
            texts[name] = file.read().decode("utf-8", "backslashreplace")
        texts["returncode"] = os.WEXITSTATUS(status) or -os.WTERMSIG(status)
        print(json.dumps(texts), file=answers, flush=True)
else:
    sys.exit()
module.main()
"""


class _WarmPython:
    def __init__(self, environment: t.Mapping[str, str]) -> None:
        # Tests look at all temporary files for secrets: what it is told goes through pipes alone.
        python = {key: value for key, value in environment.items() if key.startswith("PYTHON")}
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **python},
            text=True,
        )

    def run(self, module: str, arguments: str, environment: t.Mapping[str, str], timeout: float) -> dict[str, t.Any]:
        asked = {
            "module": module,
            "arguments": arguments,
            "environment": dict(environment),
            "directory": os.getcwd(),
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        pid = self._answer(60)["pid"]
        try:
            return self._answer(timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise

    def _answer(self, timeout: float) -> dict[str, t.Any]:
        stdout = self._server.stdout
        assert stdout is not None
        if not select.select([stdout], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a module", timeout)
        line = stdout.readline()
        assert line, "the Python that runs modules has ended"
        return dict(json.loads(line))

    def close(self) -> None:
        for pipe in (self._server.stdin, self._server.stdout):
            if pipe:
                pipe.close()  # so that it ends
        self._server.wait()

    __del__ = close


#: One for each thread: what threads run at a time is to run at a time.
_OURS = threading.local()


def run(module: str, arguments: str, environment: t.Mapping[str, str], timeout: float) -> dict[str, t.Any]:
    """Run a module to its end: its `returncode`, `stdout` and `stderr`.

    :raises subprocess.TimeoutExpired: after so many seconds; then it is killed.
    """
    if not hasattr(_OURS, "python"):
        _OURS.python = _WarmPython(environment)
    try:
        return dict(_OURS.python.run(module, arguments, environment, timeout))
    except BaseException:
        # An answer that nobody read would be taken for the next one's.
        _OURS.python.close()
        del _OURS.python
        raise
