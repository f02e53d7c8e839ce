# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hard cases of backups that are about what is missing, not about what breaks."""

from __future__ import annotations

import datetime
import os
import pathlib
import shutil
import signal
import time

import pytest
from support.backups import AgeKey, backups_of, fit_manifest_to_files, make_old
from support.modules import run_module
from support.postgres import PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.retention import Policy
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify import Outcome, _Run
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.verify_plan import Settings

KILLS = 20
OLD_ONES = 12


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        running.run_sql("CREATE ROLE app LOGIN PASSWORD 'words'")
        running.run_sql("CREATE DATABASE shop OWNER app")
        running.run_sql("CREATE EXTENSION hstore; CREATE TABLE t AS SELECT hstore('a', g::text) AS v, g FROM "
                        "generate_series(1, 2000) g", "shop")  # fmt: skip
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


def programs_without(server, extension, place):
    """A copy of the installation, made of links, that lacks one extension; PostgreSQL looks beside its programs."""
    real = pathlib.Path(server.bin_dir).resolve()
    prefix = real.parents[3]
    below = real.relative_to(prefix)
    shutil.copytree(str(real), str(place / below))
    (place / below).parent.joinpath("lib").symlink_to(real.parent / "lib")
    share = pathlib.Path(server.program("pg_config", "--sharedir").strip())
    copy = place / share.relative_to(prefix)
    (copy / "extension").mkdir(parents=True)
    for path in share.iterdir():
        if path.name != "extension":
            (copy / path.name).symlink_to(path)
    for path in (share / "extension").iterdir():
        if not path.name.startswith(extension):
            (copy / "extension" / path.name).symlink_to(path)
    return str(place / below)


def test_an_extension_that_this_host_lacks_is_unknown_and_named(server, backups, tmp_path):
    """The backup is not to blame, so it is not refuted; and nobody takes it for verified."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    backups.back_up(databases=["shop"])
    answer = backups.verify(bin_dir=programs_without(server, "hstore", tmp_path / "usr"))
    assert answer["verdict"] == "unknown", answer
    assert "database 'shop' cannot be restored on this host" in answer["reason"]
    assert "hstore" in answer["reason"]
    assert not (backups.sets()[0] / "refuted.json").exists()
    assert not (backups.sets()[0] / "verified.json").exists()
    assert not backups.verify()["failed"]


def test_a_role_that_the_globals_lack(backups):
    """A dump names owners: without their roles it cannot come back, and a restore shows it."""
    backups.back_up(databases=["shop"])
    path = backups.sets()[0] / "globals.sql"
    kept = [
        line for line in path.read_text().splitlines() if not line.startswith(("CREATE ROLE app", "ALTER ROLE app"))
    ]
    path.write_text("\n".join(kept) + "\n")
    fit_manifest_to_files(backups)
    answer = backups.verify()
    assert answer["verdict"] == "failed"
    assert "roles are missing after the globals were replayed: app" in answer["reason"]


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
def test_globals_that_were_forgotten(backups, tmp_path, encrypted):
    key = AgeKey(tmp_path)
    backups.back_up(databases=["shop"], recipients=[key.public] if encrypted else [])
    name = "globals.sql.age" if encrypted else "globals.sql"
    (backups.sets()[0] / name).unlink()
    fit_manifest_to_files(backups)
    answer = backups.verify(identity_file=str(key.path))
    assert answer["verdict"] == "failed"
    assert f"{name} is not among the files of the manifest" in answer["reason"]
    assert list(backups.scratch.iterdir()) == []


def test_programs_of_another_version_are_refused_before_anything_is_written(server, backups, tmp_path):
    """An older pg_dump refuses a newer server and leaves an empty file; so it is not even tried."""
    for name in ("pg_dump", "pg_dumpall", "pg_restore"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) 12.9"\n')
        program.chmod(0o755)
    answer = backups.back_up(bin_dir=str(tmp_path))
    assert answer["verdict"] == "failed"
    assert f"pg_dump of PostgreSQL {server.major} was not found" in answer["reason"]
    assert f"{tmp_path}/pg_dump (version 12)" in answer["reason"]
    assert not backups.path.exists()


def test_seven_bad_days_cost_no_good_backup(backups):
    """The last proved one is far beyond retention, and all that came after it is bad: it stays, day after day."""
    backups.back_up(databases=["postgres"])
    assert not backups.verify()["failed"]
    good = make_old(backups, 0, "20250101T000000Z")
    for day in range(1, 8):
        backups.back_up(databases=["postgres"], force=True)
        spoiled = backups.sets()[-1] / "globals.sql"
        spoiled.write_bytes(spoiled.read_bytes()[: -1 - day])
        answer = backups.verify(older_every="")
        assert answer["verdict"] == "failed"
        assert answer["pruned"] == []
    assert len(backups.sets()) == 8
    assert backup_sets.read_sets(str(backups.path))[0].is_verified
    # Only a new proof lets it go.
    backups.back_up(databases=["postgres"], force=True)
    assert good in backups.verify(older_every="")["pruned"]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "Europe/Paris"])
def test_the_name_is_the_moment_in_utc_wherever_the_host_is(backups, zone):
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    answer = run_module("postgres_backup", backups.backup_arguments(databases=["postgres"]), env={"TZ": zone})
    assert not answer["failed"], answer
    after = datetime.datetime.now(datetime.timezone.utc)
    (found,) = backup_sets.read_sets(str(backups.path))
    assert before <= backup_sets.moment_of(found.name) <= after
    assert found.started == backup_sets.moment_of(found.name)


def test_killed_while_removing_old_backups(backups):
    """At random moments of the removal alone: what bears a final name is whole, and the newest proved one is there."""
    backups.back_up(databases=["postgres"])
    assert not backups.verify()["failed"]
    newest = backups.sets()[0]
    settings = Settings(path=str(backups.path), retention=Policy(86400))
    began = time.monotonic()
    make_many(newest)
    _Run(settings, Outcome())._prune()
    length = time.monotonic() - began
    for number in range(KILLS):
        make_many(newest)
        child = os.fork()
        if child == 0:
            try:
                _Run(settings, Outcome())._prune()
            finally:
                os._exit(0)
        time.sleep(length * number / KILLS)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sets = backup_sets.read_sets(str(backups.path))
        assert sets[-1].path == str(newest)
        assert sets[-1].is_verified
        assert [wrong for one in sets for wrong in backup_sets.damaged_files(one, by_hash=True)] == []
        _Run(settings, Outcome())._prune()
        assert backups.sets() == [newest]
        assert backups.partials() == []


def make_many(newest):
    """Copies of a proved backup, all of them long ago."""
    for day in range(OLD_ONES):
        name = f"2025{1 + day // 28:02}{1 + day % 28:02}T000000Z"
        copy = newest.parent / name
        shutil.copytree(str(newest), str(copy))
        original = backup_sets.read_manifest(str(copy))
        body = {key: value for key, value in original.items() if key != "digest"}
        body["started"] = backup_sets.moment_of(name).strftime("%Y-%m-%dT%H:%M:%SZ")
        backup_sets.write_manifest(str(copy), body)
