# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an update wants to move, and what all ways of moving it share.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core.masking import mask_secrets
from .changes import update_class
from .looks import Listing
from .running import Ran, find_program, run

_MOST_LINES = 30
_MOST_TOLD = 4000
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class StepError(Exception):
    """A step of an update that did not succeed.

    :param step: resolve, install, audit, test, commit or publish.
    :param output: the end of what its program said.
    """

    def __init__(self, step: str, reason: str, output: str = "") -> None:
        super().__init__(reason)
        self.step = step
        self.output = output


@dataclasses.dataclass
class Move:
    """One package that goes from one version to another.

    :param why: `fix`, `routine`, or `needed` where another move asks for it.
    """

    ecosystem: str
    package: str
    old: str
    new: str
    why: str
    fixes: tuple[str, ...] = ()
    files: list[str] = dataclasses.field(default_factory=list)
    needs: tuple[str, str] = ("", "")
    needs_met: bool | None = True
    published: str = ""
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def change(self) -> str:
        if not self.old or not self.new:
            return "removed" if self.old else "new"
        return update_class(self.ecosystem, self.old, self.new)

    def told(self) -> dict[str, t.Any]:
        return {
            "ecosystem": self.ecosystem,
            "package": self.package,
            "from": self.old,
            "to": self.new,
            "class": self.change,
            "why": self.why,
            "fixes": list(self.fixes),
            "files": sorted(self.files),
            "needs_before": self.needs[0],
            "needs": self.needs[1],
            "needs_met": self.needs_met,
            "published": self.published,
            "links": self.links,
            "notes": self.notes,
        }

    def line(self) -> str:
        return f"{self.package} {self.old or '(not there)'} -> {self.new or '(gone)'}"


@dataclasses.dataclass(frozen=True)
class Tools:
    """The programs that resolve and install.

    :param listings: what indexes tell of packages, by name; for Python.
    :param may_be_taken: whether what came out at a moment is old enough to come along.
    :param before: the moment before which what comes along came out; empty where a fix does not wait.
    :param cooldown: the same in seconds.
    """

    python: str
    npm: str
    pnpm: str
    yarn: str
    uv: str
    poetry: str
    timeout: float
    answer_timeout: float
    run_scripts: bool
    listings: t.Callable[[t.Sequence[str]], dict[str, Listing]]
    may_be_taken: t.Callable[[str], bool]
    before: str = ""
    cooldown: int = 0


def must_be_usable(
    program: str, name: str, file: str, timeout: float, floor: tuple[int, ...], below: tuple[int, ...] = ()
) -> None:
    """:raises StepError: when the tool that writes a lock is not there, or not of a version that writes it as it is."""
    wanted = ".".join(str(number) for number in floor) + (f", below {below[0]}" if below else " or newer")
    if not find_program(program):
        told = f"{file} is written by {name}, and {program} is not installed here, or not in PATH"
        raise StepError("resolve", f"{told}: install {name} {wanted}")
    # Away from the project: its settings may name another program that it would start instead.
    ran = run([program, "--version"], "/", timeout, dict(os.environ))
    match = _VERSION.search(ran.output)
    if ran.problem or ran.status != 0 or not match:
        raise StepError("resolve", f"{program} does not tell its version: {ran.problem or ran.told()}")
    numbers = tuple(int(number) for number in match.group().split("."))
    if numbers < floor or (below and numbers >= below):
        told = f"{file} is written by {name} {wanted}, and {program} is {match.group()}"
        raise StepError("resolve", f"{told}: install {name} {wanted}")


def end_of(*texts: str) -> str:
    """The last lines of what a program said, without what looks like a secret."""
    lines = [line.rstrip() for text in texts for line in text.splitlines() if line.strip()]
    return str(mask_secrets("\n".join(lines[-_MOST_LINES:])))[-_MOST_TOLD:]


def must_end_well(ran: Ran, step: str, what: str) -> None:
    """:raises StepError: when it did not."""
    if ran.problem or ran.status != 0:
        raise StepError(step, f"{what}: {ran.problem or ran.told()}", end_of(ran.output, ran.errors))


def read_bytes(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read()


def replace_bytes(path: str, data: bytes) -> None:
    """In place, with its rights: it is a file of our own clone."""
    with open(path, "r+b") as handle:
        handle.write(data)
        handle.truncate()
        handle.flush()
        os.fsync(handle.fileno())
