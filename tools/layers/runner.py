# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run layers, some at a time, and tell a person what happens."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import time
import typing as t

from . import lock_tools, scratch, system, venvs
from .catalogue import Layer
from .places import LOGS, ROOT, environment

_HEARTBEAT_SECONDS = 60
_COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|deselected)\b")

#: A line of a log that a person is to see although all is well; pytest's dots may follow it.
_TOLD = re.compile(r"^\|: (.*?) +:\|", re.MULTILINE)


@dataclasses.dataclass
class Outcome:
    """How a layer ended. What was skipped was not looked at, so it counts as failed."""

    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    note: str = ""


@dataclasses.dataclass
class _Running:
    layer: Layer
    process: subprocess.Popen[bytes]
    log: pathlib.Path
    started: float


def run(layers: t.Sequence[Layer], lanes: int) -> dict[str, Outcome]:
    """Run each layer once, `lanes` of them at a time; a failing one stops no other.

    One more runs while none of them measures time: a layer waits for servers, locks and clocks now and then.
    """
    with scratch.in_memory() as memory:
        return _run(layers, lanes, memory)


def _run(layers: t.Sequence[Layer], lanes: int, memory: t.Mapping[str, str]) -> dict[str, Outcome]:
    LOGS.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    waiting, running, outcomes = list(layers), [], {}
    chosen = {layer.name for layer in layers}
    told = begun

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - begun), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {text}", flush=True)

    def end(layer: Layer, outcome: Outcome) -> None:
        outcomes[layer.name] = outcome
        word = "failed" if outcome.failed else "ok    "
        say(f"{word} {layer.name}: {_counted(outcome)}")

    try:
        while waiting or running:
            while layer := _next(_fitting(waiting, [item.layer for item in running], lanes), chosen, outcomes):
                waiting.remove(layer)
                started = _start(layer, memory if layer.in_memory else {})
                if isinstance(started, Outcome):
                    end(layer, started)
                else:
                    say(f"start  {layer.name}")
                    running.append(started)
            for item in list(running):
                late = time.monotonic() - item.started > item.layer.timeout
                if late:
                    _stop(item)
                if item.process.poll() is not None:
                    running.remove(item)
                    end(item.layer, _outcome(item, late))
            if running and time.monotonic() - told > _HEARTBEAT_SECONDS:
                told = time.monotonic()
                say("       at work: " + ", ".join(item.layer.name for item in running))
            time.sleep(0.2)
    finally:
        for item in running:
            _stop(item)
    return outcomes


def _fitting(waiting: t.Sequence[Layer], running: t.Sequence[Layer], lanes: int) -> list[Layer]:
    """The layers for which there is room beside those that run."""
    if len(running) < lanes:
        return list(waiting)
    if len(running) > lanes or any(layer.measures_time for layer in running):
        return []
    return [layer for layer in waiting if not layer.measures_time]


def _next(waiting: t.Sequence[Layer], chosen: t.Collection[str], over: t.Collection[str]) -> Layer | None:
    """The first layer whose forerunner, if it was chosen at all, is over."""
    ready = (layer for layer in waiting if layer.after not in chosen or layer.after in over)
    return next(ready, None)


def _start(layer: Layer, memory: t.Mapping[str, str]) -> _Running | Outcome:
    try:
        venv = venvs.ensure(layer.venv)
        env = {**environment(venv), **memory, **layer.env}
        if system.NPM in layer.needs:
            env = lock_tools.first_in_path(env)
        if layer.wheel_postgres:
            env["STEWARD_PG_BIN"] = str(venvs.postgres_18(venv))
    except venvs.VenvError as exc:
        return Outcome(failed=1, note=f"not run: {exc}")
    log = LOGS / f"{layer.name}.log"
    with log.open("wb") as handle:
        try:
            process = subprocess.Popen(
                layer.command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that a layer is stopped with all that it started
            )
        except OSError as exc:
            return Outcome(failed=1, note=f"not run: {exc}")
    return _Running(layer, process, log, time.monotonic())


def _stop(item: _Running) -> None:
    """Ask the layer to end, so that it can remove its containers and servers; insist after a while."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(item.process.pid, sign)
            item.process.wait(30)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def _outcome(item: _Running, late: bool) -> Outcome:
    text = item.log.read_text(errors="replace")
    outcome = count(text, item.process.returncode)
    outcome.seconds = time.monotonic() - item.started
    if late:
        outcome.failed += 1
        outcome.note = f"stopped after {item.layer.timeout // 60} minutes"
    return outcome


def count(text: str, status: int) -> Outcome:
    """Read the counts from the last line of a log that has any; the exit status has the last word."""
    counts: dict[str, int] = {}
    for line in reversed(text.splitlines()):
        found = _COUNTS.findall(line)
        if any(word in ("passed", "failed", "error", "errors") for _number, word in found):
            counts = {word: int(number) for number, word in found}
            break
    not_looked = sum(counts.get(word, 0) for word in ("skipped", "xfailed", "xpassed", "deselected"))
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0) + not_looked
    notes = [f"{not_looked} of the failed were not run"] if not_looked else []
    if status != 0 and failed == 0:
        failed = 1
        notes.append(f"ended with status {status}")
    if status == 0 and not counts:
        return Outcome(passed=1)
    return Outcome(counts.get("passed", 0), failed, note="; ".join(notes))


def _counted(outcome: Outcome) -> str:
    text = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.seconds:.0f} s"
    return f"{text} ({outcome.note})" if outcome.note else text


def conclude(outcomes: t.Mapping[str, Outcome]) -> int:
    """Show what layers that passed have to tell, the ends of the other logs, the table, and last of all the one line;
    return the exit status."""
    for name, outcome in outcomes.items():
        log = LOGS / f"{name}.log"
        told = _TOLD.findall(log.read_text(errors="replace")) if not outcome.failed and log.exists() else []
        if told:
            print(f"\n--- {name} " + "-" * 40)
            print("\n".join(told))
        if outcome.failed and outcome.seconds and log.exists():
            print(f"\n--- the end of {log.relative_to(ROOT)} " + "-" * 40)
            print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
    print(f"\n{'layer':<26} {'passed':>7} {'failed':>7} {'seconds':>8}")
    for name, outcome in outcomes.items():
        line = f"{name:<26} {outcome.passed:>7} {outcome.failed:>7} {outcome.seconds:>8.0f}  {outcome.note}"
        print(line.rstrip())
    passed = sum(outcome.passed for outcome in outcomes.values())
    failed = sum(outcome.failed for outcome in outcomes.values())
    print(f"\n{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0
