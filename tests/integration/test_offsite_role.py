# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role backup's off-site entries in plays, as a user writes them; the secret key shows nowhere, even at -vvv."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import typing as t

import pytest
import yaml
from support.canary import secrets_in
from support.offsite import new_bucket
from support.plays import Play
from support.postgres import PrivatePostgres
from support.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, S3Server, without_credentials

pytest_plugins = ("support.offsite_fixtures",)
pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def server() -> t.Iterator[PrivatePostgres]:
    with PrivatePostgres() as running:
        running.run_sql("CREATE TABLE t AS SELECT generate_series(1, 100) AS id")
        yield running


@pytest.fixture
def place() -> t.Iterator[pathlib.Path]:
    """Open to the account of the throwaway server, which pytest's tmp_path is not."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="steward-role-"))
    path.chmod(0o755)
    (path / "scratch").mkdir()
    (path / "scratch").chmod(0o1777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return new_bucket(s3)


def play_of(server: PrivatePostgres, bucket: Bucket, place: pathlib.Path) -> Play:
    play = Play(place)
    play.environment = {**without_credentials(), **{name: value for name, value in play.environment.items()
                        if name not in os.environ or not name.startswith("AWS_")}}  # fmt: skip
    # As a vault would have it: the secret is in a file that only the play reads.
    secrets = place / "secrets.yml"
    secrets.write_text(yaml.safe_dump({"vault_secret": SECRET_KEY}))
    play.variables.update(
        backup_login={"host": "127.0.0.1", "port": server.port, "user": server.superuser, "ssl_mode": "disable",
                      "password": server.password},
        backup_os_user="",
        backup_bin_dir=server.bin_dir,
        backup_path=str(place / "backups"),
        backup_scratch_path=str(place / "scratch"),
        backup_offsite_store={"bucket": bucket.name, "endpoint_url": bucket.server.url, "access_key": ACCESS_KEY,
                              "secret_key": "{{ vault_secret }}"},
    )  # fmt: skip
    return play


def entries(*names: str) -> list[dict[str, t.Any]]:
    tasks: list[dict[str, t.Any]] = []
    for name in names:
        tasks.append({"ansible.builtin.include_role": {"name": "steward.maintenance.backup", "tasks_from": name}})
        words = (
            "RESULT " + name + " {{ backup_result.verdict }} {{ backup_result.changed }} {{ backup_result.figures }}"
        )
        tasks.append({"ansible.builtin.debug": {"msg": words}})
    return tasks


def test_each_entry_in_its_turn(server: PrivatePostgres, bucket: Bucket, place: pathlib.Path) -> None:
    play = play_of(server, bucket, place)
    told_all = ("-vvv", f"--extra-vars=@{place / 'secrets.yml'}")
    status, told = play.run(*told_all, tasks=entries("database", "verify", "offsite", "offsite_verify"))
    assert status == 0, told
    assert "RESULT offsite ok True" in told
    assert "'copied_backups': 1" in told
    assert "RESULT offsite_verify" in told
    assert "'recovery_seconds': " in told
    assert not secrets_in(told.encode())
    (backup,) = (place / "backups").glob("[0-9]*Z")
    shutil.rmtree(place / "backups")
    status, told = play.run(*told_all, tasks=entries("fetch", "verify", "offsite"))
    assert status == 0, told
    assert "RESULT fetch ok True" in told
    assert "RESULT offsite ok False" in told
    assert (place / "backups" / backup.name / "verified.json").exists()
    assert not secrets_in(told.encode())


def test_a_misspelt_variable_and_a_missing_bucket_are_refused(
    server: PrivatePostgres, bucket: Bucket, place: pathlib.Path
) -> None:
    play = play_of(server, bucket, place)
    play.variables["vault_secret"] = SECRET_KEY
    status, told = play.run(tasks=entries("offsite"), vars={"backup_offsite_retenton": "1d"})
    assert status != 0
    assert "unknown variable backup_offsite_retenton" in told
    status, told = play.run(tasks=entries("offsite"), vars={"backup_offsite_store": {"endpoint_url": "https://x"}})
    assert status != 0
    assert "missing required arguments: bucket" in told
    assert bucket.listing() == []
