# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archiver's state means: what would be lost, what has to be set."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_archive import (
    Archiver,
    end_of,
    findings,
    lsn,
    names_stanza,
    segment_number,
    why_no_archiving,
)

SEGMENT = 16 * 2**20
WAL = "000000010000000000000005"
RIGHT = "pgbackrest --stanza=main archive-push %p"


def archiver(**more: t.Any) -> Archiver:
    given: dict[str, t.Any] = {
        "mode": "on", "command": RIGHT, "library": "", "timeout": 60, "segment_bytes": SEGMENT, "last_wal": WAL,
        "last_age": 30.0, "failed_wal": "", "failed_age": None, "failed_count": 0, "position": 6 * SEGMENT + 1000,
        "system_identifier": "1", "waiting": 0,
    }  # fmt: skip
    return Archiver(**{**given, **more})


def test_places_in_the_wal() -> None:
    assert lsn("0/5000148") == 5 * SEGMENT + 0x148
    assert lsn("2/0") == 2 << 32
    assert segment_number(WAL, SEGMENT) == 5
    assert segment_number("0000000100000002000000FF", SEGMENT) == 2 * 256 + 255
    assert end_of(WAL, SEGMENT) == 6 * SEGMENT
    assert end_of(f"{WAL}.00000028.backup", SEGMENT) == 6 * SEGMENT
    assert end_of("00000002.history", SEGMENT) is None


@pytest.mark.parametrize(
    ("state", "exposure"),
    [
        ({}, 30.0),
        ({"last_age": 5000.0}, 60.0),  # the server would have ended a segment with something in it
        ({"last_age": 5000.0, "timeout": 0}, 5000.0),
        ({"last_age": 5000.0, "waiting": 2}, 5000.0),
        ({"last_age": 5000.0, "waiting": None}, 5000.0),
        ({"last_age": 5000.0, "failed_age": 3.0, "failed_count": 9}, 5000.0),
        ({"last_age": 5000.0, "timeout": 0, "position": 6 * SEGMENT + 40}, 0.0),  # nothing was written since
        ({"last_age": 5000.0, "position": 6 * SEGMENT, "waiting": 1}, 5000.0),
        ({"last_age": 9.0, "last_wal": "00000002.history", "timeout": 0}, 9.0),
        ({"last_age": None, "last_wal": ""}, None),
    ],
)
def test_what_would_be_lost(state: dict[str, t.Any], exposure: float | None) -> None:
    assert archiver(**state).exposure == exposure


def told(rpo: int, **state: t.Any) -> dict[str, str]:
    return {finding.id: finding.severity for finding in findings(archiver(**state), "db1:5432", rpo)}


def test_findings_of_an_archiver() -> None:
    assert told(300) == {}
    assert told(20) == {"archive-timeout": "medium", "backup-rpo": "high"}
    assert told(0, timeout=0, last_age=9e6) == {}
    assert told(300, timeout=0) == {"archive-timeout": "medium"}
    assert told(300, failed_age=3.0, failed_count=2) == {"archive-failing": "critical"}
    assert told(300, failed_age=99.0, failed_count=2) == {}, "it succeeded since"
    assert told(300, waiting=None) == {"archive-unseen": "low"}
    assert told(300, last_age=None, last_wal="", failed_age=1.0, failed_count=1) == {"archive-failing": "critical"}


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (RIGHT, True),
        ("/usr/bin/pgbackrest --config='/etc/my conf' --stanza main archive-push %p", True),
        ("PGBACKREST_LOG=1 pgbackrest --stanza=main archive-push %p || exit 1", True),
        ("pgbackrest --stanza=main2 archive-push %p", False),
        ("pgbackrest --stanza=main archive-get %f %p", False),
        ("cp %p /srv/main/%f", False),
        ("pgbackrest --stanza=main archive-push '%p", True),  # a quote too many is for the server to find
        ("", False),
    ],
)
def test_the_stanza_that_a_command_names(command: str, named: bool) -> None:
    assert names_stanza(command, "main") is named


def test_what_has_to_be_set_is_told_to_the_letter() -> None:
    off = why_no_archiving(archiver(mode="off"), "main", RIGHT)
    assert "archive_mode = on  and  archive_command = 'pgbackrest --stanza=main archive-push %p'" in off
    assert "restart" in off
    library = why_no_archiving(archiver(library="basic_archive"), "main", RIGHT)
    assert "archive_library = ''" in library
    other = why_no_archiving(archiver(command="cp %p /x/%f"), "main", RIGHT)
    assert f"set archive_command = '{RIGHT}'" in other
    assert "restart" not in other
    assert why_no_archiving(archiver(), "main", RIGHT) == ""
