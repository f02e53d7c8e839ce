# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers taken out of the traffic, as far as the others can carry it, and let in again; what was set is remembered.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

How a server was set is on the disk before it is changed. So a killed run is taken up by the next one, and a server that
somebody else had taken out of the traffic stays out of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
import typing as t

from .._core.durations import format_duration
from .._core.files import sync_directory, write_all
from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .model import Balancer, BalancerError, Member, Standing, digest_of

DRAINED, RETURNED, READY = "drained", "returned", "ready"
PUT_BACK, END = "return", "end"
_POLL = 0.2
#: So often in a row a server must be seen without a connection: one may be just between two.
_LOOKS = 3
_LOCK_PATIENCE = 30
_PATIENCE_WITH_OTHERS = 3

#: One server at one balancer.
Place = t.Tuple[Balancer, Member]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is asked for."""

    state: str
    balancers: tuple[Balancer, ...]
    members: tuple[Member, ...]
    #: So many other servers of each pool must be up and get requests.
    min_ready: int
    timeout: float
    on_timeout: str
    state_dir: str


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result shape."""

    changed: bool = False
    servers: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    diff: dict[str, str] = dataclasses.field(default_factory=dict)


class _Refused(Exception):
    """It was not done; the verdict and why."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


class Memory:
    """How a server was set before we took it out of the traffic of a balancer: there while it is out, else not."""

    def __init__(self, directory: str, balancer: Balancer, member: Member) -> None:
        self._directory = directory
        self._told = [balancer.name, member.pool, member.server]
        self._path = os.path.join(directory, f"{digest_of(*self._told)}.json")

    def read(self) -> str:
        """Nothing when it was not us; :raises BalancerError: when it cannot be read."""
        try:
            with open(self._path, encoding="utf-8") as file:
                return str(json.load(file)["settings"])
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise BalancerError(f"{self._path}, which says how a server was set, cannot be read: {exc}") from None

    def keep(self, settings: str) -> None:
        new = f"{self._path}.new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            write_all(file, json.dumps({"server": self._told, "settings": settings}).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(new, self._path)
        sync_directory(self._directory)

    def forget(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
            sync_directory(self._directory)


def balance(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Have the servers as they are asked for, at every balancer, and prove it; or none of them, and say why."""
    run = _Run(settings, outcome)
    try:
        return run.run(check_mode)
    except _Refused as exc:
        return run.not_done(exc.verdict, str(exc))
    except (BalancerError, Busy) as exc:
        return run.not_done("unknown", str(exc))
    except OSError as exc:
        return run.not_done("failed", f"{exc.filename or settings.state_dir}: {exc.strerror or exc}")


class _Run:
    """One call."""

    def __init__(self, settings: Settings, outcome: Outcome) -> None:
        self._settings = settings
        self._outcome = outcome
        self._findings: list[Finding] = []
        self._places: list[Place] = [(one, member) for one in settings.balancers for member in settings.members]

    def run(self, check_mode: bool) -> Result:
        with contextlib.ExitStack() as stack:
            if not check_mode:
                os.makedirs(self._settings.state_dir, mode=0o700, exist_ok=True)
                for name in sorted({digest_of(one.name) for one in self._settings.balancers}):
                    # Two at once would each count on the server that the other takes away.
                    stack.enter_context(lock(os.path.join(self._settings.state_dir, f"{name}.lock"), _LOCK_PATIENCE))
            before = [self._standing(*place) for place in self._places]
            if self._settings.state == DRAINED:
                return self._drain(before, check_mode, stack)
            return self._let_in(before, check_mode, stack)

    # -- out of the traffic --------------------------------------------------------------------------------------------

    def _drain(self, before: t.Sequence[Standing], check_mode: bool, stack: contextlib.ExitStack) -> Result:
        waiting = [place for place, standing in zip(self._places, before) if standing.may_get_requests]
        # What gets no requests anyhow takes nothing away.
        if any(standing.may_get_requests and standing.is_up is not False for standing in before):
            self._refuse_too_few()
        self._tell(before, "drain")
        self._outcome.changed = bool(waiting)
        if check_mode:
            return self._told(f"{len(waiting)} would be taken out of the traffic")
        changed: list[Place] = []
        try:
            for (balancer, member), standing in zip(self._places, before):
                # What somebody else has taken out is not remembered, and so never let in by us.
                if standing.is_admitted:
                    self._memory(balancer, member).keep(standing.settings)
                if standing.may_get_requests:
                    changed.append((balancer, member))
                    balancer.drain(member)
            # The others may have gone down meanwhile.
            if changed and any(standing.is_up is not False for standing in before):
                self._refuse_too_few()
            # Nobody else has to wait while this one waits for its connections to end.
            stack.close()
            self._wait_until_idle()
        except (_Refused, BalancerError):
            self._put_back(changed)
            raise
        return self._told("out of the traffic, without a connection")

    def _refuse_too_few(self) -> None:
        """:raises _Refused: when the other servers of a pool could not carry the traffic."""
        deadline = time.monotonic() + min(_PATIENCE_WITH_OTHERS, self._settings.timeout)
        while True:
            problem = self._too_few()
            if not problem:
                return
            # One check that was lost is no reason to call a server down.
            if time.monotonic() >= deadline:
                raise _Refused("failed", f"{problem}; nothing is left changed")
            time.sleep(_POLL)

    def _too_few(self) -> str:
        ours = {member.told for member in self._settings.members}
        wanted = self._settings.min_ready
        for balancer in self._settings.balancers:
            for pool in sorted({member.pool for member in self._settings.members}):
                there = balancer.standings(pool)
                others = {name: one for name, one in there.items() if Member(pool, name).told not in ours}
                ready = [name for name, one in others.items() if one.serves]
                if len(ready) >= wanted:
                    continue
                told = ", ".join(f"{name}: {one.told}" for name, one in sorted(others.items())) or "there are no others"
                blind = sorted(name for name, one in others.items() if one.is_admitted and one.is_up is None)
                why = f"; nobody looks whether {', '.join(blind)} is well" if blind else ""
                found = f"{len(ready)} other servers of {pool} are up at {balancer.name}"
                return f"{found}, and {wanted} must be ({told}){why}"
        return ""

    def _wait_until_idle(self) -> None:
        """:raises _Refused: when connections do not end in time, and may not be ended."""
        deadline = time.monotonic() + self._settings.timeout
        ended, looks = False, 0
        while True:
            busy, now = [], [self._standing(*place) for place in self._places]
            for (balancer, member), standing in zip(self._places, now):
                if standing.is_admitted:
                    raise _Refused("failed", f"somebody let {member.told} into the traffic of {balancer.name} again")
                if standing.connections:
                    busy.append(f"{member.told} has {standing.connections} connections at {balancer.name}")
                elif standing.still:
                    busy.append(f"{member.told} may get requests: {standing.still}")
            looks = 0 if busy else looks + 1
            if looks >= _LOOKS:
                return
            if time.monotonic() >= deadline and busy:
                if ended or self._settings.on_timeout != END:
                    patience = format_duration(self._settings.timeout)
                    raise _Refused("failed", f"{'; '.join(busy)} after {patience}; it gets requests again")
                for balancer, member in self._places:
                    balancer.end(member)
                ended, deadline = True, time.monotonic() + self._settings.timeout
                message = f"{'; '.join(busy)}, which were ended"
                action = "give them more time, or see who holds them"
                self._findings.append(Finding("sessions-ended", "medium", busy[0].split()[0], message, action=action))
            time.sleep(_POLL)

    def _put_back(self, places: t.Sequence[Place]) -> None:
        """What this call changed is as it was. One that cannot be put back is told, and the next run puts it back."""
        for balancer, member in reversed(places):
            memory = self._memory(balancer, member)
            try:
                kept = memory.read()
                if kept and not self._standing(balancer, member).is_admitted:
                    balancer.restore(member, kept)
                memory.forget()
            except BalancerError as exc:
                action = "let it into the traffic, or run again with the state returned"
                message = f"it is still out of the traffic: {exc}"
                self._findings.append(Finding("left-drained", "critical", member.told, message, action=action))
        self._outcome.changed = any(finding.id == "left-drained" for finding in self._findings)

    # -- into the traffic ----------------------------------------------------------------------------------------------

    def _let_in(self, before: t.Sequence[Standing], check_mode: bool, stack: contextlib.ExitStack) -> Result:
        wanted: list[Place] = []
        for (balancer, member), standing in zip(self._places, before):
            ours = bool(self._memory(balancer, member).read())
            if self._settings.state == READY or ours or standing.is_admitted:
                wanted.append((balancer, member))
                continue
            message = f"it was out of the traffic of {balancer.name} before ({standing.told}), and stays so"
            action = "let it in when whoever took it out agrees"
            self._findings.append(Finding("was-out-before", "medium", member.told, message, action=action))
        waiting = [
            place
            for place, standing in zip(self._places, before)
            if place in wanted and not (standing.is_admitted and standing.is_settled)
        ]
        self._tell(before, "ready", wanted)
        self._outcome.changed = bool(waiting)
        if check_mode:
            return self._told(f"{len(waiting)} would be let into the traffic")
        for balancer, member in waiting:
            kept = self._memory(balancer, member).read()
            if kept and self._settings.state == RETURNED:
                balancer.restore(member, kept)
            else:
                balancer.admit(member)
        stack.close()
        self._wait_until_up(wanted)
        for balancer, member in wanted:
            self._memory(balancer, member).forget()
        return self._told("as it was in the traffic" if self._settings.state == RETURNED else "in the traffic, and up")

    def _wait_until_up(self, places: t.Sequence[Place]) -> None:
        """:raises _Refused: naming what is not up in time; it stays let in, for the balancer sends it nothing then."""
        deadline = time.monotonic() + self._settings.timeout
        while True:
            wrong = []
            for balancer, member in places:
                standing = self._standing(balancer, member)
                if standing.is_admitted and standing.is_up is None:
                    raise _Refused(
                        "unknown", f"nobody looks whether {member.told} is well: {balancer.name} has no check"
                    )
                if not standing.serves:
                    wrong.append(f"{member.told} is {standing.told} at {balancer.name}")
            if not wrong:
                return
            if time.monotonic() >= deadline:
                raise _Refused(
                    "failed", f"{'; '.join(wrong)}, {format_duration(self._settings.timeout)} after it was let in"
                )
            time.sleep(_POLL)

    # -- both ----------------------------------------------------------------------------------------------------------

    def _standing(self, balancer: Balancer, member: Member) -> Standing:
        found = balancer.standings(member.pool)
        if member.server not in found:
            known = ", ".join(sorted(found))
            raise BalancerError(f"{balancer.name} has no server {member.server!r} in {member.pool!r}, but {known}")
        return found[member.server]

    def _memory(self, balancer: Balancer, member: Member) -> Memory:
        return Memory(self._settings.state_dir, balancer, member)

    def _tell(self, before: t.Sequence[Standing], after: str, only: t.Sequence[Place] | None = None) -> None:
        lines: tuple[list[str], list[str]] = ([], [])
        for place, standing in zip(self._places, before):
            balancer, member = place
            told = {"balancer": balancer.name, "pool": member.pool, "server": member.server}
            then = after if only is None or place in only else standing.settings
            self._outcome.servers.append({**told, "before": standing.settings, "after": then, "status": standing.told})
            for side, word in zip(lines, (standing.settings, then)):
                side.append(f"{balancer.name}: {member.told} {standing.shown.get(word, word)}\n")
        self._outcome.diff = {"before": "".join(lines[0]), "after": "".join(lines[1])}

    def _told(self, what: str) -> Result:
        names = ", ".join(member.told for member in self._settings.members)
        count = len(self._places)
        figures = {"servers": len(self._settings.members), "balancers": len(self._settings.balancers)}
        return ok_or_findings(f"{names}: {what}", self._findings, figures, looked=count, of=count)

    def not_done(self, verdict: str, reason: str) -> Result:
        names = ", ".join(member.told for member in self._settings.members)
        what = "not taken out of" if self._settings.state == DRAINED else "not seen in"
        return Result(verdict, f"{names}: {what} the traffic", reason, tuple(self._findings), of=len(self._places))
