# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that runs its module as Ansible always does, and tells now and then how far it is.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

Beside the module, a thread of the worker asks the server by postgres_progress_info, over a copy of the connection. It
is an extra: whatever goes wrong with it, the module and its result are as if it were not there.
"""

from __future__ import annotations

import contextvars
import copy
import os
import threading
import typing as t

from ansible import constants as C  # noqa: N812 - the name that ansible-core itself uses
from ansible import context
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import parse_duration
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import LOGIN_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.progress import line

Data = t.Mapping[str, t.Any]

#: The default of the modules' option `progress`.
DEFAULT = "30s"

_LONGEST_PAUSE = 10  # of the first one: from 30 s up to 5 min
#: Hosts at work at the same time share the screen: all together they get one line in so many seconds.
_SECONDS_A_LINE = 3.0
#: What a look that is under way at the end of the module may still take; it is bounded by the server's timeouts too.
_LAST_LOOK_SECONDS = 15.0
_CONNECT_SECONDS = 5


class ProgressAction(NormalAction):
    """The action of a module whose work can be long; `progress` says how often a line is shown."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        teller = Teller(self, variables)
        first = self._first_pause(variables)
        if first:
            teller.start(first)
        try:
            return t.cast("dict[str, t.Any]", super().run(tmp, task_vars))
        finally:
            teller.stop()

    def _first_pause(self, variables: Data) -> float:
        """Seconds until the first line; 0 when there is to be none."""
        # In check mode nothing takes long; with async the module is left alone at once; no_log means what it says.
        if self._task.check_mode or self._task.async_val or self._task.no_log:
            return 0.0
        chosen = first_pause(self._task.args.get("progress", DEFAULT))
        forks = int(context.CLIARGS.get("forks") or C.DEFAULT_FORKS)
        return crowded_pause(chosen, variables, forks) if chosen else 0.0

    def ask(self, variables: dict[str, t.Any]) -> str:
        """One line about the run of this task; empty when there is nothing to tell."""
        messenger = _beside(self)
        given = {name: self._task.args[name] for name in LOGIN_ARGUMENTS if name in self._task.args}
        try:
            answer = messenger._execute_module(
                module_name="steward.maintenance.postgres_progress_info",
                module_args=dict(given, connect_timeout=_CONNECT_SECONDS),
                task_vars=variables,
            )
        finally:
            messenger._remove_tmp_path(messenger._connection._shell.tmpdir)
        run = run_of(self._task.args, self._task.action, answer.get("runs") or [])
        return line(run) if run else ""


class Teller:
    """The thread that shows the lines."""

    def __init__(self, action: ProgressAction, variables: dict[str, t.Any]) -> None:
        self._action = action
        self._variables = variables
        self._is_over = threading.Event()
        self._showing = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, first: float) -> None:
        # ansible-core keeps the state of templating in the context, which a new thread does not inherit by itself.
        inherited = contextvars.copy_context()
        self._thread = threading.Thread(target=inherited.run, args=(self._tell, first), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From here on nothing is shown; waits for a look that is under way, but not for one that hangs."""
        with self._showing:
            self._is_over.set()
        if self._thread:
            self._thread.join(_LAST_LOOK_SECONDS)

    def _tell(self, first: float) -> None:
        pauses = growing(first)
        while not self._is_over.wait(next(pauses)):
            try:
                told = self._action.ask(self._variables)
            except Exception as exc:  # noqa: BLE001 - nothing about the progress may disturb the work
                self._action._display.vvv(f"the progress could not be read ({type(exc).__name__})")
            else:
                self._show(told)

    def _show(self, told: str) -> None:
        with self._showing:
            if told and not self._is_over.is_set():
                self._action._display.display(f"{self._variables['inventory_hostname']}: {told}")


def first_pause(text: t.Any) -> float:
    """The seconds of `progress`; 0 for "0s", which turns it off, and for what the module is going to refuse."""
    try:
        return 0.0 if str(text).strip() in ("0", "0s") else float(parse_duration(str(text)))
    except InputError:
        return 0.0


def crowded_pause(chosen: float, variables: Data, forks: int) -> float:
    """The pause that was chosen, longer where many hosts are at work, and where AWX keeps each line for good."""
    at_work = min(forks, len(variables.get("ansible_play_batch") or ()))
    pause = max(chosen, _SECONDS_A_LINE * (at_work - 1))
    return pause * 2 if _under_awx(variables) else pause


def growing(first: float) -> t.Iterator[float]:
    """Twice as long each time, up to ten times the first: long work needs no more lines than short work."""
    pause = first
    while True:
        yield pause
        pause = min(pause * 2, first * _LONGEST_PAUSE)


def run_of(arguments: Data, action: str, runs: t.Sequence[Data]) -> Data | None:
    """The run that this task started: of its kind, in its databases, from its machine; the youngest of them."""
    task = "reindex" if action.endswith("reindex") else arguments.get("task", "vacuum")
    databases = arguments.get("databases") or []
    ours = [
        run
        for run in runs
        if run["task"] == task
        and run["here"]
        and run["of"] is not None
        and (not databases or run["database"] in databases)
    ]
    return max(ours, key=lambda run: str(run["since"])) if ours else None


def _beside(action: ProgressAction) -> ProgressAction:
    """A copy of the action that may run another module while the first is under way.

    The temporary directory belongs to the shell object, the state of a password prompt to the become plugin: each
    needs its own. The connection plugins start a program, or open a channel, for each command anyway.
    """
    messenger = copy.copy(action)
    connection = copy.copy(action._connection)
    connection._shell = copy.copy(connection._shell)
    connection._shell.tmpdir = None
    if connection.become:
        connection.set_become_plugin(copy.copy(connection.become))
    messenger._connection = connection
    messenger._cleanup_remote_tmp = False
    return messenger


def _under_awx(variables: Data) -> bool:
    """Whether each line becomes an event in a database: AWX and Tower say so in both places."""
    return any(name.startswith("AWX_") for name in os.environ) or any(
        variables.get(name) for name in ("awx_job_id", "tower_job_id")
    )
