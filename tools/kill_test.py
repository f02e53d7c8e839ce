#!/usr/bin/env python3
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the main job with SIGKILL at random moments; after each kill the next run must put everything right.

    python tools/kill_test.py [--kills 10] [--seed N]

It sets up a demonstration of its own (bin/demo's is not touched), makes all work due again, starts
`ansible-playbook steward.maintenance.run_maintenance` in a session of its own and kills all of it. Then the main job
runs to its end, and everything that was promised is looked at from outside. One line a kill.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo import environment, runs, seed  # noqa: E402
from demo.layout import Layout  # noqa: E402
from demo.teardown import take_down  # noqa: E402

#: Due or not, and a backup even though a young one is there: there has to be something to interrupt.
FORCED = ("-e", "cycle_force=true", "-e", "backup_force=true")
LIMIT_SECONDS = 1200


class Broken(Exception):
    """Something that was promised does not hold after a kill."""


def main(argv: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="repeat a run; printed at the start")
    given = parser.parse_args(argv)
    number = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {number}, {given.kills} kills", flush=True)
    with tempfile.TemporaryDirectory(prefix="steward-kill-", dir="/var/tmp") as place:
        layout = Layout(ROOT, pathlib.Path(place) / "state")
        try:
            demonstration = environment.start(layout, pathlib.Path(place) / "postgresql", lambda *_said: None)
            kill_again_and_again(demonstration, given.kills, random.Random(number))  # noqa: S311 - which moment is no secret
        except Broken as exc:
            print(f"BROKEN: {exc}\nRepeat it with: python tools/kill_test.py --kills {given.kills} --seed {number}")
            return 1
        finally:
            take_down(layout)
    print(f"{given.kills} kills survived")
    return 0


def kill_again_and_again(demonstration: environment.Demonstration, kills: int, dice: random.Random) -> None:
    begun = time.monotonic()
    whole = settle(demonstration, "first")
    for number in range(1, kills + 1):
        if time.monotonic() - begun > LIMIT_SECONDS:
            raise Broken(f"only {number - 1} of {kills} kills in {LIMIT_SECONDS} s")
        moment, interrupted = dice.uniform(0.05, 0.95) * whole, ""
        while not interrupted:
            seed.neglect(demonstration.server)
            interrupted = kill_one(demonstration, moment, number)
            moment *= 1 if interrupted else 0.7
        whole = settle(demonstration, f"after-kill-{number}")
        verify(demonstration)
        told = f"kill {number:2}: after {moment:5.1f} s, during {interrupted}"
        print(f"{told}; the next run took {whole:.1f} s, all is well", flush=True)


def settle(demonstration: environment.Demonstration, name: str) -> float:
    """A run to its end, of everything.

    :raises Broken: when it does not end well.
    """
    done = runs.run(demonstration, name, FORCED)
    if done.status or not done.hosts:
        raise Broken(f"the run {name} ended with status {done.status}:\n{done.tail(40)}")
    return done.seconds


def kill_one(demonstration: environment.Demonstration, moment: float, number: int) -> str:
    """Start the main job, kill all of it after `moment` seconds, and say what it was doing; nothing if it had ended."""
    log = demonstration.layout.logs / f"killed-{number}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            runs.command(*FORCED),
            env=demonstration.environment() | {"ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
            return ""
        kill_tree(process.pid)
        process.wait()
    told = log.read_text(encoding="utf-8", errors="replace")
    tasks = re.findall(r"^TASK \[(.+?)\] \**$", told, re.MULTILINE)
    doing = re.findall(r"Activity \| Do (\S+)\]", told)
    where = tasks[-1].rpartition(" : ")[2] if tasks else "the start of Ansible"
    where = where.removeprefix("Activity | ")
    return f"{doing[-1]}: {where}" if doing and not where.endswith(doing[-1]) else where


def kill_tree(leader: int) -> None:
    """SIGKILL for a process and all that descend from it: Ansible's workers have sessions of their own.

    They are stopped first, so that none of them can start or finish anything while the others are still being found.
    What was started as a daemon (a throwaway server) lives on, as after any kill -9: the next run has to see to it.
    """
    stopped: set[int] = set()
    while fresh := ({leader} | descendants(leader)) - stopped:
        for pid in fresh:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= fresh
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(ancestor: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((directory / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(directory.name))
    found: set[int] = set()
    waiting = [ancestor]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def verify(demonstration: environment.Demonstration) -> None:
    """Everything that must hold once a run has ended well, whatever was killed before it.

    :raises Broken: naming the first thing that does not.
    """
    for look in (chain_is_intact, backups_are_whole, no_index_is_invalid, nothing_is_left_running):
        problem = look(demonstration)
        if problem:
            raise Broken(problem)


def chain_is_intact(demonstration: environment.Demonstration) -> str:
    """Every host's records, read by the collection's own verification."""
    sys.path.insert(0, str(demonstration.layout.collections))
    from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

    paths = list(demonstration.layout.records.glob("*.jsonl"))
    reports = {path.name: open_store(str(path)).verify() for path in paths}
    bad = [f"{name}: {report.problem}" for name, report in reports.items() if not report.intact]
    return "; ".join(bad) if bad else ("" if paths else "there are no records at all")


def backups_are_whole(demonstration: environment.Demonstration) -> str:
    """A final name means that all the manifest lists is there, byte by byte; nothing half done is left beside."""
    found = sorted(path for path in demonstration.layout.backups.iterdir() if path.is_dir())
    partial = [path.name for path in found if path.name.endswith(".partial")]
    if partial:
        return f"left over: {', '.join(partial)}"
    whole = [path for path in found if re.fullmatch(r"\d{8}T\d{6}Z", path.name)]
    if not whole:
        return "there is no backup"
    for path in whole:
        listed = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["files"]
        for entry in listed:
            content = (path / entry["path"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                return f"{path / entry['path']} is not what its manifest says"
    return ""


def no_index_is_invalid(demonstration: environment.Demonstration) -> str:
    for database in seed.DATABASES:
        with contextlib.closing(demonstration.server.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)"
            )
            names = [row[0] for row in cursor.fetchall()]
        if names:
            return f"invalid in {database}: {', '.join(names)}"
    return ""


def nothing_is_left_running(demonstration: environment.Demonstration) -> str:
    """Whatever a run started carries the run's environment; when none runs, nothing may carry it."""
    # A throwaway server that ever ran has its lock file; without one, its directory may yet be somebody's, for an hour.
    leftover = [str(lock.parent) for lock in demonstration.layout.scratch.glob("steward-verify-*/lock")]
    if leftover:
        return f"throwaway servers left over: {', '.join(leftover)}"
    mark = f"STEWARD_DEMO_SCRATCH={demonstration.layout.scratch}".encode()
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (directory / "environ").read_bytes().split(b"\0"):
                command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return f"process {directory.name} still runs: {command}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
