# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pgbackrest verify`` finds in a repository: which backups it spoils, and which segments of WAL are missing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

It ends with status 0 whatever it found, and says nothing of a segment that is missing; but its details name each
unbroken range of segments.
"""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t

from .._core.result import Finding
from .connection import PostgresError, one_line
from .physical_backrest import Backrest

_STATUS = re.compile(r"^\s*status: (\w+)", re.MULTILINE)
_BACKUP = re.compile(
    r"^\s*backup: (\S+), status: ([^,]+), .*?\n((?:\s+(?:missing|checksum|size|other).*\n?)?)", re.MULTILINE
)
_ARCHIVE = re.compile(r"^\s*archiveId: (\S+), total WAL checked: (\d+), total valid WAL: (\d+)", re.MULTILINE)
_RANGE = re.compile(r"archiveId: (\S+), wal start: ([0-9A-F]{24}), wal stop: ([0-9A-F]{24})")
_DAMAGED_FILE = re.compile(r"(?:INFO|WARN): (.*'[^']+'.*)$", re.MULTILINE)
_USABLE = ("valid", "in-progress")
_MOST_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Report:
    """:param wrong: the backups that are not valid, and what is wrong with each.
    :param bad_wal: segments that are there and not what was archived.
    :param gaps: the last segment before and the first one behind each gap.
    """

    text: str
    is_ok: bool
    wrong: t.Mapping[str, str]
    bad_wal: int
    gaps: tuple[tuple[str, str], ...]
    seconds: float = 0.0

    def spoils(self, chain: t.AbstractSet[str]) -> str:
        """What is wrong with one of these backups, or an empty text."""
        return "; ".join(f"backup {label} is {what}" for label, what in self.wrong.items() if label in chain)

    @property
    def gap_words(self) -> str:
        return "; ".join(f"nothing is between {before} and {behind}" for before, behind in self.gaps[:_MOST_NAMED])

    def findings(self, chain: t.AbstractSet[str]) -> list[Finding]:
        """What is wrong beside the chain that is to be proved: that one fails by itself."""
        found = []
        for label, what in self.wrong.items():
            if label not in chain:
                message = f"pgbackrest verify finds it {what}"
                action = "look at the repository's disk, and do not count on this backup nor on those that need it"
                found.append(Finding("backup-repository", "high", label, message, action=action))
        if self.bad_wal:
            message = f"{self.bad_wal} segments of WAL in the archive are not what was archived"
            action = "make a full backup: no moment behind such a segment can be recovered to from an older one"
            found.append(Finding("archive-damaged", "high", "archive", message, self.bad_wal, 0, action))
        if self.gaps:
            message = f"segments of WAL are missing: {self.gap_words}"
            action = "make a full backup: a recovery from an older one ends at the gap, without an error"
            found.append(Finding("archive-gap", "high", "archive", message, len(self.gaps), 0, action))
        if not self.is_ok and not self.wrong and not self.bad_wal:
            message = f"pgbackrest verify says that the repository is not sound: {one_line(self.text[-500:])}"
            found.append(
                Finding("backup-repository", "high", "repository", message, action="run pgbackrest verify by hand")
            )
        return found


def verify_repository(backrest: Backrest, nice: int = 0) -> Report:
    """:raises PostgresError: when pgBackRest could not look, or does not say what it found."""
    began = time.monotonic()
    text = backrest.told("verify", f"--repo={backrest.repo}", "--output=text", "--verbose", nice=nice).text
    return dataclasses.replace(report_from(text), seconds=round(time.monotonic() - began, 3))


def report_from(text: str) -> Report:
    """:raises PostgresError: when it says nothing that can be read."""
    # The log has the same answer once more: what is printed as the answer stands last, behind the last line of the log.
    answer = text[text.rfind("\nstanza: ") + 1 :] if "\nstanza: " in text else text
    status = _STATUS.search(answer)
    if not status or not answer.startswith("stanza: "):
        raise PostgresError(f"the answer of pgbackrest verify cannot be read: {one_line(text[-500:])}")
    wrong = {
        label: state + (f" ({one_line(details)})" if details.strip() else "")
        for label, state, details in _BACKUP.findall(answer)
        if state not in _USABLE
    }
    bad_wal = sum(int(checked) - int(valid) for _archive, checked, valid in _ARCHIVE.findall(answer))
    return Report(text, status.group(1) == "ok", wrong, bad_wal, tuple(_gaps(text)))


def _gaps(text: str) -> list[tuple[str, str]]:
    """Ranges of one timeline that do not join; a new timeline begins a range of its own."""
    ranges = list(dict.fromkeys(_RANGE.findall(text)))
    return [
        (before[2], behind[1])
        for before, behind in zip(ranges, ranges[1:])
        if before[0] == behind[0] and before[2][:8] == behind[1][:8]
    ]
