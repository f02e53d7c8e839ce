# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that run the statements of many jobs at once, look who waits for them, and give way.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

One thread, and no waiting for any single connection: the workers are asynchronous, and the control session, which
answers the jobs' questions and looks who waits for us, only ever runs queries that are over in a moment.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import select
import time
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from . import sessions
from .connection import Login, StatementError
from .identity import application_suffix
from .session import LOCK_NOT_AVAILABLE, QUERY_CANCELED, Session
from .statements import (
    BUDGET,
    CANCELLED,
    DONE,
    ERROR,
    GAVE_WAY,
    LOCK,
    STALE,
    Ask,
    Ending,
    Job,
    Request,
    Statement,
)
from .tally import PARTS, Tally
from .watch import Watch
from .worker import NoConnection, Worker

Answer = t.Callable[[t.List[t.Hashable]], t.Mapping[t.Hashable, t.Any]]

#: Questions are gathered for so long while the workers have enough to do, for their next statements wait meanwhile. Up
#: to 14, whoever asks for statistics waits until the collector has written a file with them.
_GATHER_SECONDS = 1.0

#: What no statement waits for is gathered for longer. Up to 14, who asked when the last but one was over has to wait
#: for half a second to learn of the last one.
_GATHER_LONGER_SECONDS = 3.0

#: Jobs are begun ahead for the statements of so many seconds: as long as an answer takes, and a moment.
_AHEAD_SECONDS = 2.5 * _GATHER_SECONDS

#: How often the progress is read and told.
_TELL_SECONDS = 1.0

#: What a statement may take beyond the budget before the server ends it without us: we are dead by then.
_SLACK_SECONDS = 120
_MOST_MILLISECONDS = 2**31 - 1

_LONGEST_WAIT = 1.0


@dataclasses.dataclass(eq=False)
class _Turn:
    """A statement of a job: waiting for its turn, or at work."""

    job: Job
    statement: Statement
    since: float
    worker: Worker | None = None
    cancelled: str = ""  # why we cancelled it
    waiter: sessions.Peer | None = None

    @property
    def seconds(self) -> float:
        began = self.worker.began if self.worker else None
        return time.monotonic() - began if began is not None else 0.0


class Crew:
    """Up to `jobs` connections to one database that work for one session; `findings` is what people should know."""

    def __init__(self, session: Session, login: Login, database: str, jobs: int, tally: Tally | None = None) -> None:
        self.session = session
        self.findings: list[Finding] = []
        self._login = login
        self._database = database
        self._most = max(1, jobs)
        self._tally = tally or Tally(session.task, database)
        self._watch = Watch(session)
        self._workers: list[Worker] = []
        self._busy: dict[Worker, _Turn] = {}
        self._ready: collections.deque[_Turn] = collections.deque()
        self._asked: list[tuple[Job, t.Hashable]] = []
        self._hurried = False  # whether one of them hurries
        self._answer_by = 0.0  # when the first of them has waited long enough
        self._paused: list[tuple[float, Job]] = []
        self._ended: collections.deque[float] = collections.deque()
        self._ahead: set[Job] = set()  # begun, and no statement of it was sent so far
        self._looked = self._told = time.monotonic()
        self._lagging = ""

    def run(self, jobs: t.Iterable[Job], answer: Answer) -> None:
        """Do all jobs, begun in their order.

        :raises StatementError: (connection_lost) when a worker or the control session was lost; the others are ended.
        :raises PostgresError: when not a single worker could connect.
        """
        waiting = iter(jobs)
        try:
            while True:
                all_begun = self._begin_jobs(waiting)
                self._resume_paused()
                self._hand_out()
                if self._asked and self._should_answer():
                    self._answer(answer)
                    continue
                if not (self._busy or self._ready or self._asked or self._paused or self._ahead):
                    if all_begun:
                        return
                    continue  # what was begun ended at once, as when the time is over: the others must as well
                self._wait()
                self._look()
        finally:
            self._close()

    # -- jobs ------------------------------------------------------------------------------------------------

    def _begin_jobs(self, waiting: t.Iterator[Job]) -> bool:
        """No more of them than there will be turns for soon: what a job finds out first grows old.

        :returns: whether there are no more.
        """
        now = time.monotonic()
        while self._ended and self._ended[0] < now - _AHEAD_SECONDS:
            self._ended.popleft()
        while len(self._ahead) < self._most - len(self._busy) + len(self._ended):
            job = next(waiting, None)
            if job is None:
                return True
            self._ahead.add(job)
            self._advance(job, None)
        return False

    def _advance(self, job: Job, value: t.Any) -> None:
        try:
            wanted: Request = job.send(value)
        except StopIteration:
            self._ahead.discard(job)
            self._tally.job_ended()
            return
        now = time.monotonic()
        if isinstance(wanted, Statement):
            self._ready.append(_Turn(job, wanted, now))
        elif isinstance(wanted, Ask):
            by = now + (_GATHER_SECONDS if wanted.hurries else _GATHER_LONGER_SECONDS)
            self._answer_by = min(self._answer_by, by) if self._asked else by
            self._hurried = self._hurried or wanted.hurries
            self._asked.append((job, wanted.key))
        else:
            self._ahead.discard(job)
            self._paused.append((now + wanted.seconds, job))

    def _resume_paused(self) -> None:
        now = time.monotonic()
        over = self.session.budget.left <= 0
        due = [job for until, job in self._paused if over or until <= now]
        self._paused = [(until, job) for until, job in self._paused if not over and until > now]
        for job in due:
            self._advance(job, None)

    def _should_answer(self) -> bool:
        """When a worker with nothing to do may get something by it, or nothing goes on without; else, later."""
        if not self._ready and len(self._busy) < self._most and (self._hurried or not self._busy):
            return True
        return time.monotonic() >= self._answer_by

    def _answer(self, answer: Answer) -> None:
        asked, self._asked, self._hurried = self._asked, [], False
        found = answer(list(dict.fromkeys(key for _job, key in asked)))
        for job, key in asked:
            self._advance(job, found.get(key))

    # -- statements ------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        """Give statements to workers; those that may not begin any more end at once."""
        held: list[_Turn] = []
        while self._ready:
            turn = self._ready.popleft()
            statement, left = turn.statement, max(self.session.budget.left, turn.statement.grace)
            if left <= 0:
                self._end(turn, Ending(BUDGET, held_back=self._lagging))
            elif statement.fresh_for and time.monotonic() - turn.since > statement.fresh_for:
                self._end(turn, Ending(STALE))
            elif len(self._busy) >= self._most or (not statement.grace and self._is_held_back()):
                held.append(turn)
                if len(self._busy) >= self._most and self.session.budget.left > 0:
                    break
            else:
                self._give(turn)
        self._ready.extendleft(reversed(held))

    def _is_held_back(self) -> bool:
        why = self._watch.hold_back()
        if why and not self._lagging:
            self.findings.append(
                Finding(
                    f"postgres.{self.session.task}.held_back", "low", self._database,
                    f"nothing was begun for a while, because {why}",
                    action="let the standby or the archive catch up, or look why it does not; the limits are"
                    " replica_lag_bytes and wal_bytes_per_second",
                )
            )  # fmt: skip
        self._lagging = why
        return bool(why)

    def _give(self, turn: _Turn) -> None:
        worker = next((worker for worker in self._workers if worker not in self._busy), None)
        if worker is None:
            name = application_suffix(self.session.task)
            worker = Worker(self._login, self._database, name, self._setup())
            self._workers.append(worker)
        turn.worker = worker
        self._busy[worker] = turn
        try:
            worker.begin(turn.statement.sql, turn.statement.settings)
        except StatementError as exc:
            self._failed(turn, exc)

    def _setup(self) -> str:
        milliseconds = int(min(_MOST_MILLISECONDS, (self.session.budget.left + _SLACK_SECONDS) * 1000))
        wanted = [
            "SET search_path = ''",
            "SET jit = off",
            self.session.setup,
            f"SET statement_timeout = {milliseconds}",
        ]
        if self.session.looks_after_connection:
            wanted.append("SET client_connection_check_interval = '2s'")
        return "; ".join(wanted)

    def _wait(self) -> None:
        """Until a worker has something for us, or a pause is over, or it is time to look."""
        seconds = self._how_long()
        readers = [worker for worker in self._busy if not worker.wants_to_write]
        writers = [worker for worker in self._busy if worker.wants_to_write]
        if not self._busy:
            time.sleep(seconds)
            return
        readable, writable, _failing = select.select(readers, writers, [], seconds)
        for worker in readable + writable:
            self._step(worker)
        for worker in [worker for worker in self._busy if worker.is_late]:
            self._without(worker, NoConnection(f"{worker.place}: it took too long"))

    def _how_long(self) -> float:
        now = time.monotonic()
        seconds = [_LONGEST_WAIT, max(self.session.budget.left, 0.01)]
        if self._busy:
            seconds.append(self._looked + self._watch.tick - now)
        seconds += [until - now for until, _job in self._paused]
        if self._asked:
            seconds.append(self._answer_by - now)
        return max(0.0, min(seconds))

    def _step(self, worker: Worker) -> None:
        turn = self._busy[worker]
        try:
            if not worker.step():
                return
        except NoConnection as exc:
            self._without(worker, exc)
        except StatementError as exc:
            self._failed(turn, exc)
        else:
            ending = Ending(DONE, turn.seconds, worker.warnings, rows=worker.rows)
            self._free(turn)
            self._hand_out()  # first of all: while we think about what is over, the next one is at work
            self._advance(turn.job, ending)

    def _without(self, worker: Worker, exc: NoConnection) -> None:
        """Go on with fewer workers than were asked for."""
        turn = self._busy.pop(worker)
        self._workers.remove(worker)
        worker.close()
        if not self._workers:
            raise exc
        self._most = len(self._workers)
        turn.worker = None
        self._ready.appendleft(turn)
        id_ = f"postgres.{self.session.task}.workers"
        message = f"connections that could be made at the same time: {self._most}; then: {exc}"
        self.findings = [finding for finding in self.findings if finding.id != id_]
        self.findings.append(Finding(id_, "info", self._database, message))

    def _failed(self, turn: _Turn, exc: StatementError) -> None:
        if exc.connection_lost:
            raise exc
        kind = ERROR
        if exc.sqlstate == LOCK_NOT_AVAILABLE:
            kind = LOCK
        elif exc.sqlstate == QUERY_CANCELED:
            kind = turn.cancelled or CANCELLED
        warnings = turn.worker.warnings if turn.worker else ()
        self._end(turn, Ending(kind, turn.seconds, warnings, exc, turn.waiter))

    def _end(self, turn: _Turn, ending: Ending) -> None:
        self._free(turn, ended=ending.kind not in (LOCK, GAVE_WAY))
        self._advance(turn.job, ending)

    def _free(self, turn: _Turn, ended: bool = True) -> None:
        """Its worker, if it had one, can do something else."""
        if turn.worker:
            del self._busy[turn.worker]
            self._ended.append(time.monotonic())
            self._ahead.discard(turn.job)
            if ended:
                self._tally.statement_ended(turn.statement.weight)

    # -- looking ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Who waits for us, and is the time over? Only statements that take a while are looked at."""
        now = time.monotonic()
        if now - self._looked < self._watch.tick:
            return
        self._looked = now
        long = {worker.pid: turn for worker, turn in self._busy.items() if turn.seconds >= self._watch.tick}
        for turn in long.values():
            if self.session.budget.left <= 0 and turn.seconds >= turn.statement.grace:
                self._cancel(turn, BUDGET)
        if not long:
            return
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            self._tell(long)
        waiting = self._watch.look(self._tally.comment())
        seconds = {worker.pid: turn.seconds for worker, turn in self._busy.items()}
        for pid, peer in self._watch.waits_too_long(waiting, seconds).items():
            if pid in long and long[pid].statement.gives_way:
                self._cancel(long[pid], GAVE_WAY, peer)
        self._end_idle([pid for one in long if one in waiting for pid in waiting[one].blockers])

    def _cancel(self, turn: _Turn, why: str, waiter: sessions.Peer | None = None) -> None:
        """Our own statement. It may just have ended: then it is done, and the cancelling meets nobody."""
        if turn.cancelled or not turn.worker:
            return
        turn.cancelled, turn.waiter = why, waiter
        self.session.query("SELECT pg_catalog.pg_cancel_backend(%s)", (turn.worker.pid,))

    def _tell(self, long: t.Mapping[int, _Turn]) -> None:
        """Read how far the running statements are; the comment says it with the next look."""
        with contextlib.suppress(StatementError):  # what was lost is noticed by the look itself
            rows = self.session.query(self._tally.comment() + PARTS, (list(long),))
            self._tally.running({pid: turn.statement.weight for pid, turn in long.items()}, dict(rows))

    def _end_idle(self, blockers: t.Sequence[int]) -> None:
        """End who holds us up, when people asked for that and the session does nothing but hold its transaction."""
        longer_than = self.session.politeness.terminate_after
        if longer_than is None or not blockers:
            return
        for peer in sessions.end_idle(self.session.conn, blockers, longer_than):
            self.findings.append(terminated(self.session.task, self._database, peer, longer_than))

    def _close(self) -> None:
        """Leave nothing at work behind, however the run ended."""
        pids = [worker.pid for worker in self._busy if worker.pid]
        if pids:
            with contextlib.suppress(StatementError):
                self.session.query("SELECT pg_catalog.pg_cancel_backend(pid) FROM unnest(%s) AS pid", (pids,))
        for worker in self._workers:
            worker.close()
        self._workers, self._busy = [], {}


def terminated(task: str, database: str, peer: sessions.Peer, longer_than: float) -> Finding:
    """Tells that somebody's session was ended."""
    message = f"ended {peer}: it was idle in its transaction for more than {format_duration(longer_than)}, in our way"
    return Finding(
        f"postgres.{task}.terminated", "low", database, message, action="look why it left its transaction open"
    )
