# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accept list: vulnerabilities that somebody answers for, for a while, and the entries that no longer hold.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

One list for npm, pip and the packages of the system. An entry without an end, an owner or a reason is refused.
"""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import re
import typing as t

from .result import Finding
from .suggest import InputError, did_you_mean, refuse_unknown

#: What an entry may be about: packages of Python, of Node, of the system.
PYPI, NPM, SYSTEM = "pypi", "npm", "system"
_KEYS = ("id", "reason", "owner", "until", "scope")
_SCOPE = ("ecosystem", "package", "project", "host")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_DAY = 86400


@dataclasses.dataclass(frozen=True)
class Subject:
    """What an entry may fit: one vulnerability of one package in one project."""

    ids: tuple[str, ...]
    ecosystem: str
    package: str
    project: str
    host: str


@dataclasses.dataclass
class Entry:
    """One line of the list. `until` is the last day on which it holds (UTC)."""

    number: int
    id: str
    reason: str
    owner: str
    until: datetime.date
    scope: dict[str, str]
    used: bool = False

    def fits(self, subject: Subject) -> bool:
        if self.id.lower() not in {name.lower() for name in subject.ids}:
            return False
        return all(fnmatch.fnmatchcase(getattr(subject, key), pattern) for key, pattern in self.scope.items())

    def is_expired(self, today: datetime.date) -> bool:
        return today > self.until

    def concerns(self, ecosystems: t.Collection[str], host: str) -> bool:
        """Whether an audit of these ecosystems on this host could use it at all."""
        here = fnmatch.fnmatchcase(host, self.scope.get("host", "*"))
        return here and any(fnmatch.fnmatchcase(name, self.scope.get("ecosystem", "*")) for name in ecosystems)

    def told(self) -> str:
        scope = ", ".join(f"{key} {self.scope[key]}" for key in _SCOPE if key in self.scope)
        return f"{self.id} ({scope})" if scope else self.id


def answered_for(entries: t.Iterable[Entry]) -> list[dict[str, str]]:
    """Who answers for what was accepted this time, for the evidence."""
    return [
        {"id": entry.id, "owner": entry.owner, "reason": entry.reason, "until": str(entry.until)}
        for entry in entries
        if entry.used
    ]


def read_accepted(entries: t.Any) -> list[Entry]:
    """:raises InputError: naming the entry, the key, the value and what would be right."""
    if not isinstance(entries, list):
        raise InputError(f"accepted is {type(entries).__name__}, must be a list of entries")
    found = [_read(number, entry) for number, entry in enumerate(entries, 1)]
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for entry in found:
        key = (entry.id.lower(), tuple(sorted(entry.scope.items())))
        if key in seen:
            raise InputError(f"accepted entry {entry.number}: {entry.told()} is there already, as entry {seen[key]}")
        seen[key] = entry.number
    return found


def _read(number: int, entry: t.Any) -> Entry:
    where = f"accepted entry {number}"
    if not isinstance(entry, dict):
        raise InputError(f"{where} is {entry!r}: write id, reason, owner and until")
    refuse_unknown(f"{where}: unknown key %s", entry, _KEYS)
    texts = {}
    for key in ("id", "reason", "owner"):
        value = entry.get(key)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{where}: {key} is {value!r}, must be a text that is not empty")
        texts[key] = value.strip()
    scope = entry.get("scope")
    scope = {} if scope is None else scope
    if not isinstance(scope, dict):
        raise InputError(f"{where}: scope is {scope!r}, must have some of the keys {', '.join(_SCOPE)}")
    refuse_unknown(f"{where}: unknown key %s in scope", scope, _SCOPE)
    for key, value in scope.items():
        if not isinstance(value, str) or not value:
            raise InputError(f"{where}: scope.{key} is {value!r}, must be a name or a pattern such as 'web-*'")
    ecosystem = scope.get("ecosystem")
    if ecosystem is not None and ecosystem not in (PYPI, NPM, SYSTEM):
        hint = did_you_mean(ecosystem, (PYPI, NPM, SYSTEM))
        raise InputError(f"{where}: scope.ecosystem is {ecosystem!r}; {hint}")
    return Entry(number, texts["id"], texts["reason"], texts["owner"], _day(where, entry.get("until")), dict(scope))


def _day(where: str, value: t.Any) -> datetime.date:
    right = f"{where}: until is {str(value)!r}, must be the last day on which it holds, like 2027-01-31"
    # YAML makes a date of it, JSON a text.
    match = _DATE.fullmatch(str(value))
    if not match:
        raise InputError(right)
    try:
        return datetime.date(*(int(part) for part in match.groups()))
    except ValueError:
        raise InputError(f"{right} (there is no such day)") from None


def acceptance(entries: t.Iterable[Entry], subject: Subject, today: datetime.date) -> tuple[Entry | None, Entry | None]:
    """The entry that accepts it today, and one that did until it expired. Both count as used."""
    holding: Entry | None = None
    expired: Entry | None = None
    for entry in entries:
        if entry.fits(subject):
            entry.used = True
            if entry.is_expired(today):
                expired = expired or entry
            else:
                holding = holding or entry
    return holding, None if holding else expired


def judge_entries(
    entries: t.Iterable[Entry], today: datetime.date, ecosystems: t.Collection[str], host: str, was_whole: bool
) -> list[Finding]:
    """What is wrong with the list itself.

    :param was_whole: whether everything was looked at. If not, nobody knows which entries are used.
    """
    findings = []
    for entry in entries:
        if not entry.concerns(ecosystems, host):
            continue
        told = entry.told()
        if entry.used and entry.is_expired(today):
            over = (today - entry.until).days
            message = (
                f"it held until {entry.until}, and the vulnerability is still there ({entry.owner}: {entry.reason})"
            )
            action = "fix it, or have its owner decide again until when"
            findings.append(Finding("accept-expired", "high", told, message, over * _DAY, str(entry.until), action))
        elif not entry.used and was_whole:
            message = f"nothing that was found fits it ({entry.owner}: {entry.reason})"
            findings.append(Finding("accept-unused", "low", told, message, action="take it off the list"))
    return findings
