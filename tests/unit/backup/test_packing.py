# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What compresses, encrypts and signs, with the real programs and without a server."""

from __future__ import annotations

import base64
import os
import pathlib
import shutil
import subprocess
import time

import pytest
from support.postgres import wait_for

from ansible_collections.steward.maintenance.plugins.module_utils._core.sealing import check_recipients
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import (
    compression,
    encryption,
    packing,
    signatures,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.compression import (
    Compression,
    choose_compression,
    decompress_directory,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.encryption import (
    NoKey,
    find_key,
    find_seal,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.following import Follower
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.packing import LARGE, DirectoryCompressor
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.processes import ProgramFailed
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.server_settings import _below

ZSTD = shutil.which("zstd")
PUBLIC = "age1" + "q" * 58
SSH = "ssh-ed25519 " + "A" * 68


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "identity"
    subprocess.run(["age-keygen", "-o", str(path)], check=True, stderr=subprocess.DEVNULL)
    told = subprocess.run(["age-keygen", "-y", str(path)], check=True, stdout=subprocess.PIPE)
    return str(path), told.stdout.decode().strip()


# -- compression -------------------------------------------------------------------------------------------------


def test_an_old_pg_dump_has_the_program_zstd_beside_it(monkeypatch):
    assert choose_compression("/usr/bin/pg_dump", 15, "auto") == Compression("zstd", ZSTD)
    assert choose_compression("/usr/bin/pg_dump", 15, "zstd").argument == "--compress=0"
    assert choose_compression("/usr/bin/pg_dump", 13, "gzip") == Compression("gzip")
    with pytest.raises(
        PostgresError, match="compression lz4 is not possible: /usr/bin/pg_dump is older than version 16"
    ):
        choose_compression("/usr/bin/pg_dump", 15, "lz4")
    monkeypatch.setattr(compression.shutil, "which", lambda _name: None)
    assert choose_compression("/usr/bin/pg_dump", 15, "auto") == Compression("gzip")
    with pytest.raises(PostgresError, match="and the program zstd is not in PATH; use auto, gzip or none"):
        choose_compression("/usr/bin/pg_dump", 15, "zstd")


def test_files_are_compressed_as_soon_as_they_are_closed(tmp_path):
    directory = tmp_path / "dump"
    directory.mkdir()
    compressor = DirectoryCompressor(ZSTD, str(directory))
    try:
        (directory / "1.dat").write_bytes(b"one" * 1000)
        deadline = time.monotonic() + 10
        while not (directory / "1.dat.zst").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (directory / "1.dat.zst").exists()
        with (directory / "2.dat").open("wb") as handle:
            handle.write(b"two")
            handle.flush()
            (directory / "toc.dat").write_bytes(b"contents")
            (directory / "blobs.toc").write_bytes(b"1 blob_1.dat\n")
            time.sleep(0.5)
            assert (directory / "2.dat").exists()
        compressor.finish(2)
    finally:
        compressor.stop()
    assert sorted(os.listdir(str(directory))) == ["1.dat.zst", "2.dat.zst", "blobs.toc", "toc.dat"]
    decompress_directory(ZSTD, str(directory), str(tmp_path / "clear"), 2)
    clear = {path.name: path.read_bytes() for path in (tmp_path / "clear").iterdir()}
    assert clear == {"1.dat": b"one" * 1000, "2.dat": b"two", "blobs.toc": b"1 blob_1.dat\n", "toc.dat": b"contents"}


def test_without_word_of_closed_files_all_is_done_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_watch", lambda _directory: -1)
    compressor = DirectoryCompressor(ZSTD, str(tmp_path))
    for number in range(3):
        (tmp_path / f"{number}.dat").write_bytes(b"x" * number)
    compressor.finish(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.dat.zst", "1.dat.zst", "2.dat.zst"]


def test_a_file_that_cannot_be_compressed_is_told(tmp_path):
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho No space left on device >&2\nexit 1\n")
    failing.chmod(0o755)
    directory = tmp_path / "dump"
    directory.mkdir()
    compressor = DirectoryCompressor(str(failing), str(directory))
    try:
        (directory / "1.dat").write_bytes(b"one")
        with pytest.raises(ProgramFailed, match="failing ended with status 1: No space left on device"):
            compressor.finish(1)
    finally:
        compressor.stop()


def test_a_large_file_is_compressed_while_it_grows_and_takes_next_to_no_place(tmp_path):
    directory = tmp_path / "dump"
    directory.mkdir()
    compressor = DirectoryCompressor(ZSTD, str(directory))
    parts = [bytes([number]) * 1000 + os.urandom(1000) for number in range(60)]
    growing, packed = directory / "1.dat", directory / "1.dat.zst"
    try:
        with growing.open("wb") as handle:
            for part in parts:
                handle.write(part * 1000)
            handle.flush()
            wait_for(lambda: packed.exists() and os.stat(str(growing)).st_blocks * 512 < LARGE * 3, "it is followed")
            compressor.look()
            assert growing.stat().st_size == 120_000_000
            handle.write(b"the end")
        wait_for(lambda: not growing.exists(), "it is compressed")
        compressor.finish(1)
    finally:
        compressor.stop()
    assert os.listdir(str(directory)) == ["1.dat.zst"]
    clear = subprocess.run([ZSTD, "-dc", str(packed)], stdout=subprocess.PIPE, check=True).stdout
    assert clear == b"".join(part * 1000 for part in parts) + b"the end"


def test_a_large_file_whose_end_nobody_told_is_compressed_at_the_end(tmp_path, monkeypatch):
    heard = packing._events
    monkeypatch.setattr(packing, "_events", lambda watch: [one for one in heard(watch) if one[0] & 0x100])
    compressor = DirectoryCompressor(ZSTD, str(tmp_path))
    try:
        with (tmp_path / "1.dat").open("wb") as handle:
            handle.write(b"word" * (LARGE // 4))
            handle.flush()
            wait_for((tmp_path / "1.dat.zst").exists, "it is followed")
            handle.write(b"the end")
        compressor.finish(1)
    finally:
        compressor.stop()
    assert os.listdir(str(tmp_path)) == ["1.dat.zst"]
    clear = subprocess.run([ZSTD, "-dc", str(tmp_path / "1.dat.zst")], stdout=subprocess.PIPE, check=True).stdout
    assert clear == b"word" * (LARGE // 4) + b"the end"


def test_a_large_file_that_cannot_be_compressed_is_told_while_pg_dump_writes(tmp_path):
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\nhead -c 100000 >/dev/null\necho No space left on device >&2\nexit 1\n")
    failing.chmod(0o755)
    directory = tmp_path / "dump"
    directory.mkdir()
    compressor = DirectoryCompressor(str(failing), str(directory))

    def failed():
        try:
            compressor.look()
        except ProgramFailed as exc:
            return str(exc) == "failing ended with status 1: No space left on device"
        return False

    try:
        with (directory / "1.dat").open("wb") as handle:
            handle.write(b"x" * (LARGE + 1))
            handle.flush()
            wait_for(failed, "it is told")
    finally:
        compressor.stop()
    assert (directory / "1.dat").exists()


def test_a_follower_that_is_stopped_removes_nothing(tmp_path):
    path = tmp_path / "1.dat"
    path.write_bytes(b"word" * 1000)
    follower = Follower(ZSTD, str(path))
    follower.stop()
    assert follower.error is None
    assert path.read_bytes() == b"word" * 1000


def test_a_file_that_became_shorter_is_told(tmp_path):
    path = tmp_path / "1.dat"
    path.write_bytes(os.urandom(40_000_000))
    packed = tmp_path / "1.dat.zst"
    follower = Follower(ZSTD, str(path))
    wait_for(lambda: packed.exists() and packed.stat().st_size > 1_000_000, "it is followed")
    os.truncate(str(path), 10)
    follower.close()
    follower.join()
    assert "1.dat became shorter while it was compressed" in str(follower.error)
    assert path.exists()


# -- encryption --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "private", ["AGE-SECRET-KEY-1" + "Q" * 58, "-----BEGIN OPENSSH PRIVATE" + " KEY-----\nabc", "age-secret-key-1x"]
)
def test_private_keys_are_refused_without_showing_them(private):
    with pytest.raises(InputError, match="recipients: entry 2 is a private key") as raised:
        check_recipients([PUBLIC, private])
    assert private not in str(raised.value)
    assert private[-8:] not in str(raised.value)


def test_public_keys_are_told_from_other_words():
    check_recipients([PUBLIC, SSH, f"{SSH} somebody@here", "ssh-rsa " + "A" * 100])
    for wrong in ("", "-r", "age1short", "pgp", f"{PUBLIC}\n{PUBLIC}"):
        with pytest.raises(InputError, match="recipients: entry 1 begins with"):
            check_recipients([wrong])
    with pytest.raises(InputError, match="entry 1 is there twice"):
        check_recipients([PUBLIC, SSH, PUBLIC])


def test_what_is_sealed_is_opened_by_its_key_alone(tmp_path, key):
    path, public = key
    find_seal([public]).write(b"\xff secret", str(tmp_path / "sealed"))
    assert b"secret" not in (tmp_path / "sealed").read_bytes()
    assert find_key(path).read(str(tmp_path / "sealed")) == b"\xff secret"
    stranger = tmp_path / "stranger"
    subprocess.run(["age-keygen", "-o", str(stranger)], check=True, stderr=subprocess.DEVNULL)
    with pytest.raises(NoKey, match="stranger does not open it"):
        find_key(str(stranger)).read(str(tmp_path / "sealed"))
    data = (tmp_path / "sealed").read_bytes()
    (tmp_path / "sealed").write_bytes(data[:-1])
    with pytest.raises(ProgramFailed):
        find_key(path).read(str(tmp_path / "sealed"))


def test_an_ssh_key_is_a_recipient_too(tmp_path):
    """Where there is an ssh-keygen; the keys of age are tested everywhere."""
    program = shutil.which("ssh-keygen")
    if program is None:
        return
    subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")], check=True)
    find_seal([(tmp_path / "id.pub").read_text().strip()]).write(b"words", str(tmp_path / "sealed"))
    assert find_key(str(tmp_path / "id")).read(str(tmp_path / "sealed")) == b"words"


def test_a_key_with_a_passphrase_is_refused_for_nobody_can_type_it(tmp_path, key):
    path, public = key
    subprocess.run(["age", "-r", public, "-o", str(tmp_path / "wrapped"), path], check=True)
    with pytest.raises(NoKey, match="wrapped is protected by a passphrase"):
        find_key(str(tmp_path / "wrapped"))
    head = b"openssh-key-v1\0\0\0\0\x0aaes256-ctr\0\0\0\x06bcrypt\0\0\0\x18"
    words = "OPENSSH PRIVATE" + " KEY-----"
    text = f"-----BEGIN {words}\n{base64.b64encode(head * 3).decode()}\n-----END {words}\n"
    (tmp_path / "ssh").write_text(text)
    with pytest.raises(NoKey, match="ssh is protected by a passphrase"):
        find_key(str(tmp_path / "ssh"))


def test_a_checksum_that_is_wrong_is_refused_by_age_itself():
    with pytest.raises(InputError, match=r"recipients: entry 1 \(age1qqqqqqqqqqqq\.\.\.\) is refused: age ended"):
        find_seal([PUBLIC])


def test_a_missing_program_is_named(monkeypatch, key):
    path, public = key
    monkeypatch.setattr(encryption.shutil, "which", lambda _name: None)
    with pytest.raises(PostgresError, match=r"recipients needs the program age.*install the package age"):
        find_seal([public])
    with pytest.raises(NoKey, match="identity_file needs the program age"):
        find_key(path)
    assert find_seal([]) is None
    assert find_key("") is None


# -- signatures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [["RSA"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]], ids=["rsa", "ec"])
def test_a_signature_is_of_one_key_and_one_manifest(tmp_path, kind):
    private, public = str(tmp_path / "private"), str(tmp_path / "public")
    subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", private], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    (tmp_path / "manifest.json").write_text("{}\n")
    signatures.check_signing_key(private)
    signatures.check_public_key(public)
    assert "is not signed" in signatures.wrong_signature(str(tmp_path), public)
    signatures.sign(str(tmp_path), private)
    assert signatures.wrong_signature(str(tmp_path), public) == ""
    (tmp_path / "manifest.json").write_text("{} \n")
    assert "or not of this manifest" in signatures.wrong_signature(str(tmp_path), public)
    with pytest.raises(InputError, match=r"public_key: .* is not a public key in PEM form"):
        signatures.check_public_key(private)


# -- the server's files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/postgresql/pg_hba.conf", "etc/postgresql/pg_hba.conf"),
        ("//a/../../b", "b"),
        ("/../../x", "x"),
        ("c", "c"),
    ],
)
def test_a_path_of_the_server_stays_in_the_backup(path, expected):
    assert _below(path) == expected
    assert pathlib.Path("/backup", _below(path)).resolve().parts[:2] == ("/", "backup")
