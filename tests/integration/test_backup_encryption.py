# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted and signed backups of a real server: what opens them, what does not, and what is never seen in clear."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest
from support.backups import AgeKey, backups_of, signing_key
from support.modules import run_module
from support.postgres import PrivatePostgres

#: Looked for on the disk: it does not compress, and it is in every row.
MARK = b"a secret of the customer"


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        for name in ("shop", "crm"):
            running.run_sql(f"CREATE DATABASE {name}")
            running.run_sql(
                f"CREATE TABLE t AS SELECT g AS id, '{MARK.decode()}' AS v FROM generate_series(1, 40000) g", name
            )
        running.run_sql("SELECT lo_from_bytea(0, 'large')", "shop")
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


@pytest.fixture
def key(tmp_path):
    return AgeKey(tmp_path)


def seen_in_clear(backups):
    """Files that hold the mark; what disappears meanwhile was only just renamed."""
    found = []
    for place, _directories, names in os.walk(str(backups.path)):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                path = pathlib.Path(place, name)
                if MARK in path.read_bytes():
                    found.append(str(path))
    return found


def test_round_trip_with_a_key(backups, key, tmp_path):
    other = AgeKey(tmp_path, "other.txt")
    made = backups.back_up(recipients=[other.public, key.public], content_checksums=True)
    assert not made["failed"], made
    manifest = backups.manifest()
    assert manifest["encryption"] == {"tool": "age", "recipients": [other.public, key.public]}
    assert manifest["format"] == 2
    clear = [entry["path"] for entry in manifest["files"] if not entry["path"].endswith(".age")]
    assert clear == []
    unknown = backups.verify()
    assert unknown["verdict"] == "unknown"
    assert "is encrypted, and no identity_file was given" in unknown["reason"]
    assert "its files are as its manifest says" in unknown["reason"]
    assert not (backups.sets()[0] / "verified.json").exists()
    for one in (key, other):
        proved = backups.verify(identity_file=str(one.path), force=True)
        assert not proved["failed"], proved
        assert proved["figures"]["compared_checksums"] == 2
    assert list(backups.scratch.iterdir()) == []


def test_a_key_that_does_not_fit_says_nothing_of_the_backup(backups, key, tmp_path):
    backups.back_up(recipients=[key.public], databases=["crm"])
    stranger = AgeKey(tmp_path, "stranger.txt")
    for path, expected in ((stranger.path, "does not open it"), (tmp_path / "nowhere", "cannot be read")):
        answer = backups.verify(identity_file=str(path))
        assert answer["verdict"] == "unknown"
        assert expected in answer["reason"]
        assert str(path) in answer["reason"]
    assert not (backups.sets()[0] / "refuted.json").exists()
    assert list(backups.scratch.iterdir()) == []


def test_clear_text_is_never_on_the_disk(backups, key):
    """Looked at all the time while it is written. The clear backup shows that the look would find it."""
    process = backups.start_backup(recipients=[key.public], compression="none")
    found = []
    while process.poll() is None:
        found += seen_in_clear(backups)
    stdout, _stderr = process.communicate()
    assert b'"verdict": "ok"' in stdout, stdout
    assert found + seen_in_clear(backups) == []
    assert backups.back_up(compression="none", force=True)["changed"]
    assert len(seen_in_clear(backups)) == 2


def test_private_keys_are_refused_and_not_shown(backups, key):
    answer = backups.back_up(recipients=[key.public, key.private])
    assert answer["verdict"] == "failed"
    assert answer["reason"].startswith("recipients: entry 2 is a private key (which is not shown here)")
    assert key.private not in str(answer)
    assert not backups.path.exists()


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("age1" + "q" * 58, "recipients: entry 1 (age1qqqqqqqqqqqq...) is refused: age ended with status 1"),
        ("me@example.com", "recipients: entry 1 begins with 'me@example.com': give public keys"),
        ("-o/etc/passwd", "recipients: entry 1 begins with"),
    ],
)
def test_what_is_no_public_key_is_refused_before_anything_is_touched(backups, recipient, expected):
    answer = backups.back_up(recipients=[recipient])
    assert answer["verdict"] == "failed"
    # The value itself is masked: it could be anything.
    assert expected.split("'")[0] in answer["reason"] or "********" in answer["reason"]
    assert not backups.path.exists()


def test_the_private_key_is_in_no_command_line(backups, key, tmp_path):
    """Each age that is started says what it was given; it may be over before anybody could look."""
    backups.back_up(recipients=[key.public], databases=["shop"])
    told, speaking = tmp_path / "told", tmp_path / "bin" / "age"
    speaking.parent.mkdir()
    speaking.write_text(f'#!/bin/sh\necho "$@" >>{told}\nexec {shutil.which("age")} "$@"\n')
    speaking.chmod(0o755)

    env = {"PATH": f"{speaking.parent}:{os.environ['PATH']}"}
    answer = run_module("postgres_backup_verify", backups.verify_arguments(identity_file=str(key.path)), env=env)

    assert not answer["failed"], answer
    commands = told.read_text().splitlines()
    assert len(commands) >= 2, "the dump and the globals"
    assert all(str(key.path) in command for command in commands)
    assert key.private not in told.read_text()


def test_a_signed_backup(backups, tmp_path):
    private, public = signing_key(tmp_path)
    _other, stranger = signing_key(tmp_path, "stranger")
    assert not backups.back_up(databases=["crm"], signing_key=private)["failed"]
    assert not backups.verify(public_key=public)["failed"]
    refuted = backups.verify(public_key=stranger, force=True)
    assert refuted["verdict"] == "failed"
    assert "is not that of the holder of" in refuted["reason"]
    shutil.copy(backups.sets()[0] / "manifest.sig", tmp_path / "of-the-first")
    # An unsigned one is refuted, and so is one with the signature of another.
    backups.back_up(databases=["crm"], force=True)
    assert "is not signed: manifest.sig is missing" in backups.verify(public_key=public)["reason"]
    shutil.copy(tmp_path / "of-the-first", backups.sets()[1] / "manifest.sig")
    assert "is not that of the holder of" in backups.verify(public_key=public)["reason"]


def test_a_key_that_cannot_sign_is_refused_before_anything_is_touched(backups, tmp_path):
    private, public = signing_key(tmp_path)
    locked = tmp_path / "locked.key"
    protect = ["openssl", "pkey", "-aes256", "-passout", "pass:words", "-in", private, "-out", str(locked)]
    subprocess.run(protect, check=True)
    for path, expected in (
        (public, "is not a private key without a passphrase"),
        (str(locked), "is not a private key without a passphrase"),
        (str(tmp_path / "nowhere"), "cannot be read"),
    ):
        answer = backups.back_up(signing_key=path)
        assert answer["verdict"] == "failed"
        assert answer["reason"].startswith(f"signing_key: {path}")
        assert expected in answer["reason"]
        assert not backups.path.exists()
