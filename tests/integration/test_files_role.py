# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role backup's entries for files in plays, as a user writes them; the secret key shows nowhere, even at -vvv."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
import yaml
from support.canary import secrets_in
from support.offsite import new_bucket
from support.plays import Play
from support.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, S3Server, without_credentials
from support.trees import see

pytest_plugins = ("support.trees_fixtures",)
pytestmark = pytest.mark.s3


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return new_bucket(s3)


@pytest.fixture
def play(bucket: Bucket, tmp_path: pathlib.Path) -> Play:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    for name in ("a", "deep/b", "c.tmp"):
        (tree / name).write_text(name)
    play = Play(tmp_path)
    play.environment = {**without_credentials(), **{name: value for name, value in play.environment.items()
                        if name not in os.environ or not name.startswith("AWS_")}}  # fmt: skip
    (tmp_path / "secrets.yml").write_text(yaml.safe_dump({"vault_secret": SECRET_KEY}))
    play.variables.update(
        backup_files_trees=[{"name": "uploads", "path": str(tree), "exclude": ["*.tmp"]}],
        backup_files_targets=[
            {"bucket": bucket.name, "endpoint_url": bucket.server.url, "access_key": ACCESS_KEY,
             "secret_key": "{{ vault_secret }}"},
            {"directory": str(tmp_path / "disk")},
        ],
        backup_files_os_user="",
        backup_files_restore_tree="uploads",
        backup_files_restore_destination=str(tmp_path / "back"),
    )  # fmt: skip
    return play


def entries(*names: str) -> list[dict[str, t.Any]]:
    tasks: list[dict[str, t.Any]] = []
    for name in names:
        tasks.append({"ansible.builtin.include_role": {"name": "steward.maintenance.backup", "tasks_from": name}})
        told = "{{ backup_result.verdict }} {{ backup_result.changed }} {{ backup_result.figures }}"
        words = f"RESULT {name} {told}"
        tasks.append({"ansible.builtin.debug": {"msg": words}})
    return tasks


def test_each_entry_in_its_turn(play: Play, bucket: Bucket, tmp_path: pathlib.Path) -> None:
    secrets = ("-vvv", f"--extra-vars=@{tmp_path / 'secrets.yml'}")
    status, told = play.run(*secrets, tasks=entries("files", "files_verify", "files_restore"))
    assert status == 0, told
    assert "RESULT files ok True" in told
    assert "'sent_files': 4" in told, "two files to two places"
    assert "RESULT files_verify ok False" in told
    assert "RESULT files_restore ok True" in told
    assert not secrets_in(told.encode())
    assert {"steward/db1/uploads/current/a", "steward/db1/uploads/current/deep/b"} <= set(bucket.listing())
    assert (tmp_path / "disk/steward/db1/uploads/current/deep/b").read_text() == "deep/b"
    (tmp_path / "tree" / "c.tmp").unlink()
    assert see(tmp_path / "back") == see(tmp_path / "tree")
    status, told = play.run(*secrets, tasks=entries("files"), vars={"backup_files_restore_target": 1})
    assert status == 0, told
    assert "RESULT files ok False" in told


def test_slips_are_refused(play: Play, bucket: Bucket) -> None:
    play.variables["vault_secret"] = SECRET_KEY
    status, told = play.run(tasks=entries("files"), vars={"backup_files_retenton": "1d"})
    assert status != 0
    assert "unknown variable backup_files_retenton" in told
    status, told = play.run(tasks=entries("files"), vars={"backup_files_targets": []})
    assert status != 0
    assert "backup_files_targets is empty" in told
    status, told = play.run(tasks=entries("files"), vars={"backup_files_trees": []})
    assert status != 0
    assert "trees is empty" in told
    assert bucket.listing() == []
