# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore reads of a backup: in its place where it can be, else a clear copy that does not stay."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t

import pytest
from support.backups import AgeKey

from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_sets import BackupSet
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.encryption import NoKey
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_opening import Opening
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.scratch import private_space

ROLES = "CREATE ROLE app;\n"


class Packed:
    """A backup of one database with one file, packed as it is said."""

    def __init__(self, place: pathlib.Path, **manifest: t.Any) -> None:
        self.scratch = place / "scratch"
        self.scratch.mkdir()
        self.dump = place / "20261126T050000Z" / "shop"
        self.dump.mkdir(parents=True)
        (self.dump / "toc.dat").write_bytes(b"the table of contents")
        (self.dump / "1.dat").write_bytes(b"rows")
        (self.dump.parent / "globals.sql").write_text(ROLES)
        self.entry = {"name": "shop", "directory": "shop", "bytes": 4096, "archive": "archive.age"}
        self.set = BackupSet(self.dump.parent.name, str(self.dump.parent), {"server": {}, **manifest})

    def opening(self, **given: str) -> Opening:
        return Opening(scratch_path=str(self.scratch), **given)

    def left(self) -> list[str]:
        return [path.name for path in self.scratch.iterdir()]


@pytest.fixture
def by_zstd(tmp_path: pathlib.Path) -> Packed:
    packed = Packed(tmp_path, compressed_by="zstd")
    subprocess.run(["zstd", "--quiet", "--rm", str(packed.dump / "1.dat")], check=True)
    return packed


@pytest.fixture
def key(tmp_path: pathlib.Path) -> AgeKey:
    return AgeKey(tmp_path)


@pytest.fixture
def encrypted(tmp_path: pathlib.Path, key: AgeKey) -> Packed:
    packed = Packed(tmp_path, encryption={"recipients": [key.public]})
    for source, target in (("shop/1.dat", "shop/archive.age"), ("globals.sql", "globals.sql.age")):
        clear = packed.dump.parent / source
        subprocess.run(["age", "-r", key.public, "-o", str(packed.dump.parent / target), str(clear)], check=True)
        clear.unlink()
    return packed


def test_what_pg_restore_can_read_is_read_where_it_lies(tmp_path: pathlib.Path) -> None:
    packed = Packed(tmp_path)
    with packed.opening().dump(packed.set, packed.entry) as source:
        assert source == str(packed.dump)
        assert packed.left() == []
    assert packed.opening().globals(packed.set) == ROLES


def test_what_the_program_zstd_packed_is_unpacked_for_its_rows_only(by_zstd: Packed) -> None:
    with by_zstd.opening().contents(by_zstd.set, by_zstd.entry) as source:
        assert source == str(by_zstd.dump)
    with by_zstd.opening().dump(by_zstd.set, by_zstd.entry) as source:
        assert {path.name: path.read_bytes() for path in pathlib.Path(source).iterdir()} == {
            "toc.dat": b"the table of contents",
            "1.dat": b"rows",
        }
        assert len(by_zstd.left()) == 1
    assert by_zstd.left() == []


def test_a_leaving_of_a_killed_run_is_removed(by_zstd: Packed) -> None:
    with private_space(str(by_zstd.scratch)) as place:
        kept = pathlib.Path(place).name
        (by_zstd.scratch / f"{kept}-again").mkdir()
        (by_zstd.scratch / f"{kept}-again" / "lock").write_text("")
        (by_zstd.scratch / f"{kept}-again" / "clear").write_text("rows")
        with by_zstd.opening().dump(by_zstd.set, by_zstd.entry):
            left = by_zstd.left()
        assert kept in left, "another run is at work in it"
        assert f"{kept}-again" not in left


def test_an_encrypted_one_is_opened_with_its_key_and_nothing_else(
    encrypted: Packed, key: AgeKey, tmp_path: pathlib.Path
) -> None:
    right = encrypted.opening(identity_file=str(key.path))
    right.require(encrypted.set)
    for opened in (right.dump, right.contents):
        with opened(encrypted.set, encrypted.entry) as source:
            assert pathlib.Path(source).read_bytes() == b"rows"
        assert encrypted.left() == []
    assert right.globals(encrypted.set) == ROLES

    with pytest.raises(NoKey, match="no identity_file was given"):
        encrypted.opening().require(encrypted.set)
    wrong = encrypted.opening(identity_file=str(AgeKey(tmp_path, "other.txt").path))
    with pytest.raises(NoKey, match="does not open it"), wrong.dump(encrypted.set, encrypted.entry):
        pass
    assert encrypted.left() == []


def test_there_must_be_room_for_it(by_zstd: Packed) -> None:
    large = {**by_zstd.entry, "bytes": 2**60}
    with pytest.raises(PostgresError, match="not enough space"), by_zstd.opening().dump(by_zstd.set, large):
        pass
    assert by_zstd.left() == []
