# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups of a real server stay, which go, and which older one is proved again."""

from __future__ import annotations

import pytest
from support.backups import backups_of, make_old
from support.postgres import PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify import Outcome, verify
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify_plan import Settings

FIRST, SECOND = "20250102T000000Z", "20250103T000000Z"


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def old_ones(backups, *names):
    """Backups of long ago, the first of them proved, and an unproved one of now."""
    for number, name in enumerate(names):
        assert backups.back_up(force=True)["changed"]
        if number == 0:
            assert not backups.verify(older_every="")["failed"]
        make_old(backups, -1, name)
    assert backups.back_up(force=True)["changed"]


def test_what_has_had_its_time_goes_after_a_proof(backups):
    old_ones(backups, FIRST, SECOND)
    foretold = backups.verify(check=True)
    newest = backups.sets()[-1].name
    assert foretold["pruned"] == [FIRST, SECOND]
    assert [one["subject"] for one in foretold["planned"] if one["action"] == "remove"] == [FIRST, SECOND]
    assert foretold["kept"] == [{"backup": newest, "reason": "the newest verified one"}]
    assert FIRST in foretold["diff"]["before"]
    assert FIRST not in foretold["diff"]["after"]
    assert "(stays: the newest verified one)" in foretold["diff"]["after"]
    assert len(backups.sets()) == 3
    answer = backups.verify()
    assert answer["pruned"] == [FIRST, SECOND]
    assert answer["kept"] == foretold["kept"]
    assert answer["figures"]["pruned_backups"] == 2
    assert answer["figures"]["kept_backups"] == 1
    assert backups.partials() == []
    assert [path.name for path in backups.sets()] == [newest]


def test_nothing_is_pruned_without_a_new_proof(backups):
    old_ones(backups, FIRST)
    spoiled = backups.sets()[-1] / "globals.sql"
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    answer = backups.verify()
    assert answer["verdict"] == "failed"
    assert answer["pruned"] == []
    assert len(backups.sets()) == 2


def test_pinned_and_periodic_ones_stay(backups):
    old_ones(backups, FIRST, SECOND)
    assert backups.pin(backup="20250103T000001Z")["msg"] == (
        f"backup: there is no backup '20250103T000001Z' in {backups.path}; did you mean '{SECOND}'?"
    )
    before = backups.tree()
    assert backups.pin(check=True, backup=SECOND)["changed"]
    assert backups.tree() == before
    assert backups.pin(backup=SECOND, reason="an audit")["changed"]
    assert not backups.pin(backup=SECOND, reason="an audit")["changed"]
    answer = backups.verify(keep_yearly=2, older_every="")
    assert answer["pruned"] == []
    reasons = {one["backup"]: one["reason"] for one in answer["kept"]}
    assert reasons[FIRST] == "the last of its year (2 of 2 yearly ones)"
    assert reasons[SECOND] == "pinned: an audit"
    released = backups.pin(backup=SECOND, state="absent")
    assert released["changed"]
    assert released["diff"] == {"before": "pinned\n", "after": "not pinned\n"}
    assert backups.verify(force=True)["pruned"] == [FIRST, SECOND]


def test_an_older_one_is_proved_weekly_and_its_failure_is_a_finding(backups):
    old_ones(backups, FIRST, SECOND)
    for name in (FIRST, SECOND):
        backups.pin(backup=name)
    settings = Settings(
        path=str(backups.path),
        scratch_path=str(backups.scratch),
        bin_dir=backups.server.bin_dir,
        nice=0,
        seed="which one",
    )
    outcome = Outcome()
    foretold = verify(settings, True, outcome)
    chosen = outcome.planned[1]["subject"]
    assert chosen in (FIRST, SECOND)
    assert outcome.planned[1]["reason"] == "no older backup was ever verified again"
    spoiled = next(path for path in backups.sets() if path.name == chosen) / "globals.sql"
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    outcome = Outcome()
    result = verify(settings, False, outcome)
    assert foretold.verdict == "ok"
    assert result.verdict in ("findings", "ok"), result
    finding = next(one for one in result.findings if one.id == "backup-older-refuted")
    assert (finding.subject, finding.severity) == (chosen, "high")
    assert "globals.sql has" in finding.message
    states = {backup.name: backup for backup in backup_sets.read_sets(str(backups.path))}
    assert states[chosen].refuted["as"] == "older"
    assert not states[chosen].is_verified
    assert states[backups.sets()[-1].name].verified["as"] == "newest"
    # It is not looked for again before a week is over.
    assert not backups.verify()["changed"]
    other = FIRST if chosen == SECOND else SECOND
    assert (states[other].verified or {}).get("as") in (None, "newest")
