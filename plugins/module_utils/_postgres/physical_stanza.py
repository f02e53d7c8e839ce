# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest tells of a stanza: its backups, how far its archive goes, and our notes beside the backups.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import typing as t

from .._core.clock import parse_time
from .._core.suggest import InputError
from .connection import PostgresError
from .physical_backrest import Backrest

VERIFIED = "steward-verified"
REFUTED = "steward-refuted"
RESTORE_SECONDS = "steward-restore-seconds"

#: There is no stanza, or nothing in it yet: it can be made.
_NO_STANZA = (1, 3)
_FINE = (0, 2)  # as it should be; there is no backup yet

KINDS = ("full", "diff", "incr")


@dataclasses.dataclass(frozen=True)
class PhysicalBackup:
    """One backup in a repository."""

    label: str
    kind: str
    started: datetime.datetime
    stopped: datetime.datetime
    bytes: int  # of the cluster, as it is restored
    repo_bytes: int  # what this backup added to the repository
    database: int  # which of the servers that the stanza has had: one for each major version
    has_page_errors: bool = False
    lsn_start: str = ""
    references: tuple[str, ...] = ()
    notes: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def chain(self) -> set[str]:
        """The labels of all backups that this one needs, and its own."""
        return {self.label, *self.references}

    @property
    def verified(self) -> datetime.datetime | None:
        """When a restore proved it. What somebody else wrote there is no proof."""
        try:
            return parse_time(self.notes.get(VERIFIED, ""))
        except InputError:
            return None

    @property
    def refuted(self) -> str:
        return self.notes.get(REFUTED, "")

    @property
    def restore_seconds(self) -> float | None:
        try:
            return float(self.notes[RESTORE_SECONDS])
        except (KeyError, ValueError):
            return None


@dataclasses.dataclass(frozen=True)
class Stanza:
    """A stanza in one repository; its backups are those of the present server, oldest first."""

    exists: bool
    wrong: str = ""
    backups: tuple[PhysicalBackup, ...] = ()
    system_identifier: str = ""
    version: str = ""
    archive_max: str = ""
    is_busy: bool = False

    @property
    def newest(self) -> PhysicalBackup | None:
        return self.backups[-1] if self.backups else None

    def labels(self) -> list[str]:
        return [backup.label for backup in self.backups]


def read_stanza(backrest: Backrest) -> Stanza:
    """:raises PostgresError: when pgBackRest cannot tell."""
    text = backrest.run_short("info", "--output=json", f"--repo={backrest.repo}").text
    try:
        entries = json.loads(text)
        return stanza_from([entry for entry in entries if entry["name"] == backrest.stanza], backrest.repo)
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise PostgresError(f"the answer of pgbackrest info cannot be read ({type(exc).__name__}: {exc})") from exc


def stanza_from(entries: t.Sequence[t.Mapping[str, t.Any]], repo: int) -> Stanza:
    if not entries:
        return Stanza(False)
    (entry,) = entries
    states = [one["status"] for one in entry.get("repo", []) if one["key"] == repo] or [entry["status"]]
    code = int(states[0]["code"])
    if code in _NO_STANZA:
        return Stanza(False)
    servers = [one for one in entry["db"] if one.get("repo-key", repo) == repo]
    if code not in _FINE or not servers:
        return Stanza(True, f"pgbackrest info says {states[0]['message']!r} of the repository")
    present = max(servers, key=lambda one: int(one["id"]))
    archives = [one for one in entry["archive"] if _belongs(one["database"], present["id"], repo) and one["max"]]
    held = entry["status"].get("lock", {}).get("backup", {}).get("held", False)
    backups = [_backup(one) for one in entry["backup"] if _belongs(one["database"], present["id"], repo)]
    return Stanza(
        True,
        "",
        tuple(sorted(backups, key=lambda one: one.stopped)),
        str(present["system-id"]),
        str(present["version"]),
        max((str(one["max"]) for one in archives), default=""),
        bool(held),
    )


def _belongs(place: t.Mapping[str, t.Any], database: int, repo: int) -> bool:
    return bool(place["id"] == database and place.get("repo-key", repo) == repo)


def _backup(entry: t.Mapping[str, t.Any]) -> PhysicalBackup:
    moments = entry["timestamp"]
    return PhysicalBackup(
        label=entry["label"],
        kind=entry["type"],
        started=_moment(moments["start"]),
        stopped=_moment(moments["stop"]),
        bytes=int(entry["info"]["size"]),
        repo_bytes=int(entry["info"]["repository"]["delta"]),
        database=int(entry["database"]["id"]),
        has_page_errors=bool(entry.get("error")),
        lsn_start=str((entry.get("lsn") or {}).get("start") or ""),
        references=tuple(entry.get("reference") or ()),
        notes={str(name): str(value) for name, value in (entry.get("annotation") or {}).items()},
    )


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def note(backrest: Backrest, label: str, notes: t.Mapping[str, str]) -> None:
    """Write notes beside a backup, and see that they are there; an empty text takes one away.

    :raises PostgresError: when they are not there afterwards.
    """
    options = [f"--annotation={name}={value}" for name, value in notes.items()]
    backrest.run_short("annotate", f"--set={label}", f"--repo={backrest.repo}", *options)
    written = [one.notes for one in read_stanza(backrest).backups if one.label == label]
    wanted = {name: value for name, value in notes.items() if value}
    if not written or any(written[0].get(name) != value for name, value in wanted.items()):
        raise PostgresError(f"the notes beside backup {label} are not there after they were written")
