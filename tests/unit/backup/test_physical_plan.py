# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kind of physical backup is due, what pgBackRest's answers mean, and how far a recovery is to go."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_backrest import (
    Backrest,
    BackrestFailed,
    _messages,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_plan import (
    Schedule,
    choose,
    whole_days,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_repository import report_from
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_side import (
    RecoveryFailed,
    trouble_in,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_stanza import (
    PhysicalBackup,
    stanza_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_target import Target

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.timezone.utc)
HOUR, DAY = 3600, 86400


def backup(kind: str, hours: float, **more: t.Any) -> PhysicalBackup:
    moment = NOW - datetime.timedelta(hours=hours)
    label = f"{moment:%Y%m%d-%H%M%S}{kind[0].upper()}"
    return PhysicalBackup(label, kind, moment, moment, 1000, 100, 1, **more)


@pytest.mark.parametrize(
    ("backups", "schedule", "force", "kind"),
    [
        ([], Schedule(), False, "full"),
        ([backup("full", 1)], Schedule(), False, "incr"),
        ([backup("full", 0.5)], Schedule(), False, None),
        ([backup("full", 0.5)], Schedule(), True, "incr"),
        ([backup("full", 23)], Schedule(), False, "diff"),
        ([backup("full", 23)], Schedule(diff_every=0), False, "incr"),
        ([backup("full", 23)], Schedule(diff_every=0, incr_every=0), False, None),
        ([backup("full", 23)], Schedule(diff_every=0, incr_every=0), True, "incr"),
        # A differential one counts as an incremental one, an incremental one not as a differential one.
        ([backup("full", 30), backup("diff", 0.5)], Schedule(), False, None),
        ([backup("full", 30), backup("incr", 0.5)], Schedule(), False, "diff"),
        ([backup("full", 160), backup("diff", 0.5)], Schedule(), False, "full"),
        ([backup("full", 150), backup("diff", 0.5)], Schedule(), False, None),
        ([backup("full", 0.2, notes={"steward-refuted": "then: gone"})], Schedule(), False, "full"),
        ([backup("full", 0.2, has_page_errors=True)], Schedule(), False, "full"),
        ([backup("full", -5)], Schedule(), False, "full"),
        ([backup("full", 0.5), backup("incr", -5)], Schedule(), False, None),
    ],
)
def test_the_kind_that_is_due(backups: list[PhysicalBackup], schedule: Schedule, force: bool, kind: str | None) -> None:
    due = choose(backups, schedule, force, NOW)
    assert (due.kind if due else None) == kind
    assert due is None or due.why


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"full_every": 0}, "full_every is empty"),
        ({"diff_every": 8 * DAY}, "diff_every is longer than full_every"),
        ({"incr_every": 2 * DAY}, "incr_every is longer than diff_every"),
        ({"diff_every": 0, "incr_every": 8 * DAY}, "incr_every is longer than full_every"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Schedule(**wrong)


def test_retention_is_rounded_up_to_whole_days() -> None:
    assert [whole_days(seconds) for seconds in (1, DAY, DAY + 1, 30 * DAY)] == [1, 1, 2, 30]


def test_a_note_that_cannot_be_read_is_no_proof() -> None:
    proved = backup("full", 1, notes={"steward-verified": "2026-11-23T05:13:39Z", "steward-restore-seconds": "4.5"})
    assert proved.verified == datetime.datetime(2026, 11, 23, 5, 13, 39, tzinfo=datetime.timezone.utc)
    assert proved.restore_seconds == 4.5
    other = backup("full", 1, notes={"steward-verified": "yes", "steward-restore-seconds": "fast"})
    assert (other.verified, other.restore_seconds) == (None, None)


def _info(code: int = 0, **more: t.Any) -> list[dict[str, t.Any]]:
    def entry(label: str, kind: str, database: int, repo: int, stop: int) -> dict[str, t.Any]:
        return {
            "label": label, "type": kind, "timestamp": {"start": stop - 5, "stop": stop}, "error": False,
            "info": {"size": 3000, "repository": {"delta": 300}}, "database": {"id": database, "repo-key": repo},
            "lsn": {"start": "0/2000028", "stop": "0/2000100"}, "reference": None, "annotation": {"a": "b"},
        }  # fmt: skip

    return [
        {
            "name": "main",
            "status": {"code": code, "message": "other", "lock": {"backup": {"held": True}}},
            "repo": [{"key": 1, "status": {"code": code, "message": "other"}}],
            "db": [
                {"id": 1, "repo-key": 1, "system-id": 11, "version": "14"},
                {"id": 2, "repo-key": 1, "system-id": 22, "version": "15"},
            ],
            "archive": [
                {"database": {"id": 1, "repo-key": 1}, "min": "1", "max": "0000000100000009000000FF"},
                {"database": {"id": 2, "repo-key": 1}, "min": "1", "max": "000000010000000000000005"},
                {"database": {"id": 2, "repo-key": 2}, "min": "1", "max": "000000010000000000000007"},
            ],
            "backup": [
                entry("old", "full", 1, 1, 100),
                entry("new", "full", 2, 1, 200),
                entry("elsewhere", "full", 2, 2, 300),
            ],
            **more,
        }
    ]


def test_only_backups_of_the_present_server_in_this_repository_count() -> None:
    stanza = stanza_from(_info(), 1)
    assert stanza.exists
    assert stanza.labels() == ["new"]
    assert (stanza.system_identifier, stanza.version) == ("22", "15")
    assert stanza.archive_max == "000000010000000000000005"
    assert stanza.is_busy
    newest = stanza.newest
    assert newest is not None
    assert (newest.lsn_start, newest.chain, newest.notes) == ("0/2000028", {"new"}, {"a": "b"})


def test_a_stanza_that_is_not_there_or_not_sound() -> None:
    assert not stanza_from([], 1).exists
    assert not stanza_from(_info(1), 1).exists
    assert stanza_from(_info(99), 1).wrong == "pgbackrest info says 'other' of the repository"
    assert stanza_from(_info(2, backup=[]), 1).newest is None


_ANSWER = """P00   INFO: verify command begin 2.45: --stanza=main
P00 DETAIL: archiveId: 15-1, wal start: 000000010000000000000001, wal stop: 000000010000000000000003
P00 DETAIL: archiveId: 15-1, wal start: 000000010000000000000005, wal stop: 000000010000000000000006
P00 DETAIL: archiveId: 15-1, wal start: 000000020000000000000006, wal stop: 000000020000000000000007
P00   INFO: stanza: main
            status: error
stanza: main
status: error
  archiveId: 15-1, total WAL checked: 7, total valid WAL: 6
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
  backup: 20261123-051339F, status: invalid, total files checked: 900, total valid files: 899
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
  backup: 20261124-051339F, status: valid, total files checked: 900, total valid files: 900
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
P00   INFO: verify command end: completed successfully
"""


def test_what_a_verification_of_the_repository_says() -> None:
    report = report_from(_ANSWER)
    assert not report.is_ok
    assert list(report.wrong) == ["20261123-051339F"]
    assert "checksum invalid: 1" in report.wrong["20261123-051339F"]
    assert report.bad_wal == 1
    # A new timeline is no gap.
    assert report.gaps == (("000000010000000000000003", "000000010000000000000005"),)
    assert report.spoils({"20261123-051339F"})
    assert not report.spoils({"20261124-051339F"})
    told = {finding.id for finding in report.findings({"20261124-051339F"})}
    assert told == {"backup-repository", "archive-damaged", "archive-gap"}


@pytest.mark.parametrize("text", ["", "P00   INFO: verify command begin", "stanza: main\n"])
def test_an_answer_that_says_nothing_is_not_clean(text: str) -> None:
    with pytest.raises(PostgresError, match="cannot be read"):
        report_from(text)


def test_messages_with_their_hints_are_one_line_each() -> None:
    text = (
        "P00   WARN: something small\nP00  ERROR: [055]: unable to open it\n            HINT: is it there?\n"
        "P00   INFO: end\nother words\n"
    )
    assert _messages(text) == [("WARN", "something small"), ("ERROR", "unable to open it HINT: is it there?")]
    assert BackrestFailed("restore", 26, "x").is_damage
    assert not BackrestFailed("restore", 49, "x").is_damage


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"stanza": "a b"}, "stanza is 'a b'"), ({"repo": 0}, "repo is 0")],
)
def test_wrong_places_are_named(wrong: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Backrest(**{"stanza": "main", **wrong})


def test_the_archive_command_names_the_configuration_where_there_is_one(tmp_path: t.Any) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text("")
    assert Backrest("main").archive_command() == "pgbackrest --stanza=main archive-push %p"
    assert Backrest("main", str(config)).archive_command() == (
        f"pgbackrest --config={config} --stanza=main archive-push %p"
    )


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("time", "2026-11-23T05:13:39Z", "2026-11-23 05:13:39+00"),
        ("time", "2026-11-23 05:13:39.123456+00:00", "2026-11-23 05:13:39.123456+00"),
        ("xid", "12345", "12345"),
        ("lsn", "0/5000148", "0/5000148"),
        ("name", "before the migration", "before the migration"),
    ],
)
def test_targets_are_written_for_both(kind: str, value: str, written: str) -> None:
    target = Target(kind, value)
    assert target.options() == [f"--type={kind}", f"--target={written}", "--target-action=promote"]
    assert target.settings()[f"recovery_target_{kind}"] == written
    assert Target(kind, value, inclusive=False).settings()["recovery_target_inclusive"] == "off"


def test_targets_without_a_value() -> None:
    assert Target().options() == ["--type=default"]
    assert Target().settings() == {}
    assert Target("immediate").settings()["recovery_target"] == "immediate"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("time", "2026-11-23T05:13:39"),  # of which zone?
        ("time", "2026-11-23T05:13:39+01:00"),
        ("time", ""),
        ("xid", "-1"),
        ("lsn", "5000148"),
        ("name", "a\nb"),
        ("name", "x" * 64),
        ("latest", "1"),
        ("immediate", "1"),
    ],
)
def test_targets_that_cannot_be_meant(kind: str, value: str) -> None:
    with pytest.raises(InputError, match="target is"):
        Target(kind, value)


def test_a_segment_that_cannot_be_fetched_is_not_always_the_fault_of_the_repository() -> None:
    """To the server, it is the end of the archive."""
    log = "2026-11-23 LOG:  starting\nERROR: [{}]: unable to get it{}\n2026-11-23 LOG:  redo done at 0/5000148\n"
    copy = ":\n       repo1: 15-1/0000000100000000/000000010000000000000002-48.gz [{}] {}"
    full = trouble_in(log.format("042", copy.format("FileWriteError", "unable to write '/x'")))
    assert full == "pgbackrest archive-get: unable to write '/x'"
    assert trouble_in(log.format("049", "")) == "pgbackrest archive-get: unable to get it"
    assert trouble_in(log.format("042", copy.format("ChecksumError", "another one"))) == ""
    assert trouble_in("LOG:  redo done at 0/5000148") == ""
    no_checkpoint = "FATAL: could not locate required checkpoint record"
    assert RecoveryFailed(no_checkpoint, full).is_hosts_fault
    assert not RecoveryFailed(no_checkpoint).is_hosts_fault
    assert RecoveryFailed('FATAL: could not access file "x"').is_hosts_fault
