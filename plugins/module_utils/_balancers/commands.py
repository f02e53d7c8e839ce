# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any other load balancer: commands that drain and admit a server, and one that tells how all of them stand.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import typing as t

from .._core.application import ApplicationError, run_command
from .._core.durations import format_duration
from .model import BalancerError, Member, Standing

Argv = t.Tuple[str, ...]
_KEYS = {"server": str, "admitted": bool, "up": bool, "connections": int}


@dataclasses.dataclass(frozen=True)
class Commands:
    """POOL and SERVER in a word stand for the names."""

    draining: tuple[Argv, ...]
    admitting: tuple[Argv, ...]
    looking: Argv
    timeout: float

    @property
    def name(self) -> str:
        return f"what {self.looking[0]} looks at"

    def standings(self, pool: str) -> dict[str, Standing]:
        said = self._look(pool)
        try:
            told = json.loads(said)
            found = {}
            for one in told:
                for key, kind in _KEYS.items():
                    wrong = not isinstance(one[key], kind) or (kind is int and isinstance(one[key], bool))
                    if wrong and not (key == "up" and one[key] is None):
                        raise ValueError(f"{key} is {one[key]!r}")
                admitted = one["admitted"]
                settings = "admitted" if admitted else "drained"
                words = f"{settings}, {'up' if one['up'] else 'not up'}"
                found[one["server"]] = Standing(settings, admitted, one["up"], one["connections"], words)
        except (ValueError, KeyError, TypeError) as exc:
            right = '[{"server": "web1", "admitted": true, "up": true, "connections": 3}]'
            raise BalancerError(f"{self.looking[0]} does not tell how the servers stand, as {right}: {exc}") from None
        if not found:
            raise BalancerError(f"{self.looking[0]} tells of no servers in {pool!r}")
        return found

    def drain(self, member: Member) -> None:
        self._run(self.draining, member)

    def admit(self, member: Member) -> None:
        self._run(self.admitting, member)

    def restore(self, member: Member, settings: str) -> None:
        self._run(self.admitting if settings == "admitted" else self.draining, member)

    def end(self, member: Member) -> None:
        raise BalancerError(f"there is no command that ends what {member.told} is still at")

    def _look(self, pool: str) -> bytes:
        argv = [word.replace("POOL", pool) for word in self.looking]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=self.timeout,
            )
        except OSError as exc:
            raise BalancerError(f"{argv[0]} cannot be started: {exc.strerror or exc}") from None
        except subprocess.TimeoutExpired:
            raise BalancerError(f"{argv[0]} has not ended after {format_duration(self.timeout)}") from None
        if done.returncode:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[-200:]
            raise BalancerError(f"{argv[0]} ended with status {done.returncode}: {said or 'it said nothing'}")
        return done.stdout

    def _run(self, commands: t.Iterable[Argv], member: Member) -> None:
        for argv in commands:
            words = [word.replace("POOL", member.pool).replace("SERVER", member.server) for word in argv]
            try:
                status, said = run_command(words, self.timeout)
            except ApplicationError as exc:
                raise BalancerError(str(exc)) from None
            if status:
                raise BalancerError(f"{words[0]} ended with status {status}: {said or 'it said nothing'}")
