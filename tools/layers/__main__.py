# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of bin/test."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import typing as t

from . import lock_tools, runner, system, venvs
from .catalogue import Layer, layers
from .places import ROOT, environment, link_collection


def main() -> int:
    known = layers()
    names = {name for layer in known for name in (layer.name, layer.group)}
    parser = argparse.ArgumentParser(prog="bin/test", description="Run the tests, layer by layer.")
    parser.add_argument(
        "layers", nargs="*", metavar="LAYER", help="a layer or a group of layers; all when none is named"
    )
    parser.add_argument("--list", action="store_true", help="name the layers by group, and stop")
    # With more than there are processors it is over sooner, and now and then a test that measures time fails: while no
    # such test runs, the runner takes one more.
    jobs = min(3, os.cpu_count() or 1)
    parser.add_argument("--jobs", type=int, default=jobs, help="layers at a time (default %(default)s)")
    parser.add_argument("--exec", nargs=argparse.REMAINDER, help="run a command in the environment of the tests")
    given = parser.parse_args()
    if given.list:
        for layer in known:
            print(f"{layer.group:<12} {layer.name}")
        return 0
    unknown = [name for name in given.layers if name not in names]
    if unknown:
        parser.error(f"no layer {', '.join(unknown)}; there are: {', '.join(sorted(names))}")
    # A stopped run stops its layers, and they their servers and containers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A shell that starts us in the background has us ignore these two, and every server under test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    link_collection()
    os.chdir(ROOT)
    try:
        if given.exec:
            return subprocess.run(given.exec, env=_alone(), check=False).returncode
        return _run(_chosen(known, given.layers), max(1, given.jobs))
    except (system.MissingPackagesError, venvs.VenvError) as exc:
        print(f"bin/test: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def _alone() -> dict[str, str]:
    """The environment for one command, which need not be about locks."""
    env = environment(venvs.ensure("test"))
    try:
        return lock_tools.first_in_path(env) if system.NPM.is_met else env
    except venvs.VenvError as exc:
        print(f"bin/test: {exc}", file=sys.stderr)
        return env


def _chosen(known: t.Sequence[Layer], words: t.Sequence[str]) -> list[Layer]:
    return [layer for layer in known if not words or layer.name in words or layer.group in words]


def _run(chosen: list[Layer], jobs: int) -> int:
    system.provide(need for layer in chosen for need in layer.needs)
    return runner.conclude(runner.run(chosen, jobs))


if __name__ == "__main__":
    sys.exit(main())
