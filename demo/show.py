# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration itself: set up, maintain, maintain again, tell."""

from __future__ import annotations

import pathlib
import re
import shutil
import time

from . import environment, runs, seed, summary
from .layout import DemoError, Layout
from .teardown import take_down

#: The lines of Ansible's output that tell a person how far it is.
_DOING = re.compile(r"^TASK \[.*Activity \| Do (\S+)\] \**$|^(demo-\S+: .*)$")


def say(topic: str, text: str) -> None:
    print(f"  {topic:<12} {text}", flush=True)


def start(layout: Layout, cache: pathlib.Path) -> int:
    """Set up only; the main job is left to the user."""
    _set_up(layout, cache)
    print(f"\nIn this shell:  . {layout.environment_file}")
    print(f"Then:           ansible-playbook {runs.PLAYBOOK} --check --diff")
    return 0


def _set_up(layout: Layout, cache: pathlib.Path) -> environment.Demonstration:
    if layout.state.exists():
        take_down(layout)
    try:
        demonstration = environment.start(layout, cache, say)
    except BaseException:
        # Nothing half started stays behind; what went wrong is in the message.
        take_down(layout)
        raise
    for name, tables, rows, size in seed.size(demonstration.server):
        say("database", f"{name}: {tables} tables, {rows:,} rows, {summary.human_bytes(size)}")
    return demonstration


def run(layout: Layout, cache: pathlib.Path) -> int:
    """Everything.

    :raises DemoError: when a run fails, or the second one still changes something.
    """
    started = time.monotonic()
    width = max(80, min(140, shutil.get_terminal_size().columns))
    demonstration = _set_up(layout, cache)
    before = seed.condition(demonstration.server)
    say(
        "neglect",
        f"{before.dead_rows:,} dead rows, {before.invalid_indexes} invalid index, an index bloated to "
        f"{summary.human_bytes(before.bloated_index_bytes)}, {before.never_analyzed} tables never analyzed",
    )

    with runs.Watch(demonstration.application_url) as watch:
        print(f"\nFirst run: ansible-playbook {runs.PLAYBOOK}", flush=True)
        _run(demonstration, "first-run")
        done = summary.read_records(layout.records)
        after = seed.condition(demonstration.server)
        print("\nSecond run: the same command", flush=True)
        second = _run(demonstration, "second-run")
    if second.changed:
        where = ", ".join(second.changed)
        raise DemoError(f"the second run still changed something on {where}; its log is {second.log}")
    say("changed=0", f"on {', '.join(second.hosts)}: nothing is due, nothing was touched")

    print(f"\nWhat the first run did\n\n{summary.activities_table(done, width)}")
    print(f"\nWhat that changed\n\n{summary.effects_table(before, after, done, width)}\n")
    say(
        "application",
        f"asked {watch.asked} times for /health/db meanwhile: {len(watch.problems)} failures, "
        f"slowest answer {watch.slowest * 1000:.0f} ms",
    )
    for problem in watch.problems[:3]:
        say("", problem)
    say("total", f"{time.monotonic() - started:.0f} s")
    say("report", str(layout.report))
    print(f"\nGo on by hand:  . {layout.environment_file}")
    print(f"                ansible-playbook {runs.PLAYBOOK} --check --diff -e cycle_force=true")
    print("Remove it all:  bin/demo clean")
    return 0


def _run(demonstration: environment.Demonstration, name: str) -> runs.Run:
    """One run with its progress shown.

    :raises DemoError: when it does not end well, or did not reach every host.
    """

    started = time.monotonic()

    def see(line: str) -> None:
        found = _DOING.match(line)
        if found:
            print(f"    {time.monotonic() - started:5.1f} s  {found[1] or found[2]}", flush=True)

    done = runs.run(demonstration, name, see=see)
    if done.status or not done.hosts:
        raise DemoError(f"the run ended with status {done.status}. The end of {done.log}:\n\n{done.tail()}")
    say("finished", f"in {done.seconds:.1f} s; everything Ansible said is in {done.log}")
    return done
