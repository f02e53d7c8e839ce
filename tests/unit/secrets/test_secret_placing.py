# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets written into files: only what is meant changes, in one move, and never for more readers than before."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.placing import (
    ENV,
    TEXT,
    USERLIST,
    Placed,
    PlacingError,
)

FIELDS = {
    "username": "shop",
    "password": "aB3",
    "verifier": "SCRAM-SHA-256$4096:c2FsdA==$x:y",
    "password_url": "a%2F",
}


def written(tmp_path: pathlib.Path, before: str, kind: str, fields: dict[str, str] = FIELDS, **what: object) -> str:
    path = tmp_path / "file"
    path.write_text(before)
    placed = Placed(str(path), kind, **what)  # type: ignore[arg-type]
    placed.write(fields)
    assert placed.is_right(fields)
    return path.read_text()


def test_an_env_file_keeps_all_other_lines(tmp_path: pathlib.Path) -> None:
    before = "# password below\nA=1\nexport DB_PASSWORD=old\n\nDB_PASSWORD_FILE=/x\nDB_PASSWORD=older"
    after = written(
        tmp_path, before, ENV, values={"DB_PASSWORD": "{password}", "URL": "pg://{username}:{password_url}@h"}
    )
    assert after == (
        "# password below\nA=1\nexport DB_PASSWORD=aB3\n\nDB_PASSWORD_FILE=/x\nDB_PASSWORD=aB3\nURL=pg://shop:a%2F@h\n"
    )


@pytest.mark.parametrize(("old", "new"), [("'x'", "'aB3'"), ('"x"', '"aB3"'), ("x", "aB3"), ("", "aB3")])
def test_the_quotes_of_the_old_value_are_kept(tmp_path: pathlib.Path, old: str, new: str) -> None:
    assert written(tmp_path, f"P={old}\n", ENV, values={"P": "{password}"}) == f"P={new}\n"


@pytest.mark.parametrize(("old", "password"), [('"x"', "a$b"), ('"x"', 'a"b'), ("x", "it's"), ("'x'", "a\nb")])
def test_what_readers_would_take_for_something_else_is_refused(tmp_path: pathlib.Path, old: str, password: str) -> None:
    with pytest.raises(PlacingError, match="the value of P") as told:
        written(tmp_path, f"P={old}\n", ENV, {**FIELDS, "password": password}, values={"P": "{password}"})
    assert password not in str(told.value)
    assert (tmp_path / "file").read_text() == f"P={old}\n"


def test_a_userlist_has_one_line_for_the_user(tmp_path: pathlib.Path) -> None:
    before = '; users\n"admin" "md5abc"\n"shop" "old"\n"shop_b" "x"\n"shop" "doubled"\n'
    after = written(tmp_path, before, USERLIST, content="{verifier}")
    assert after == f'; users\n"admin" "md5abc"\n"shop" "{FIELDS["verifier"]}"\n"shop_b" "x"\n'
    assert written(tmp_path, "", USERLIST, {"username": 'a"b', "password": 'c"d'}, content="{password}") == (
        '"a""b" "c""d"\n'
    )


def test_a_text_is_the_whole_file_and_braces_are_left_alone(tmp_path: pathlib.Path) -> None:
    after = written(tmp_path, "old", TEXT, content='{"user": "{username}", "password": "{password}"}')
    assert after == '{"user": "shop", "password": "aB3"}'


def test_mode_owner_and_attributes_stay(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    path.chmod(0o2640)
    before = path.stat()
    Placed(str(path), TEXT, "{password}").write(FIELDS)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino, "it was written into, not replaced"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_followed_and_stays(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    Placed(str(tmp_path / "link"), TEXT, "{password}").write(FIELDS)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "aB3"


def test_what_cannot_be_written_stays_as_it_is(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    with pytest.raises(PlacingError, match="missing is not there: make it"):
        Placed(str(tmp_path / "missing"), TEXT, "x").write(FIELDS)
    with pytest.raises(PlacingError, match="cannot be read"):
        Placed(str(directory), TEXT, "x").write(FIELDS)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(PlacingError, match="not UTF-8"):
        Placed(str(tmp_path / "binary"), ENV, values={"A": "x"}).write(FIELDS)


def test_what_a_killed_run_left_beside_it_goes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_text("aB3")
    left = tmp_path / ".file.steward-new"
    left.write_text("half a secret")
    placed = Placed(str(path), TEXT, "{password}")
    assert placed.is_right(FIELDS)
    placed.tidy()
    assert not left.exists()
    left.write_text("half a secret")
    placed.write({**FIELDS, "password": "new"})
    assert os.listdir(tmp_path) == ["file"]


def test_an_unknown_field_is_named_with_the_nearest(tmp_path: pathlib.Path) -> None:
    placed = Placed(str(tmp_path), ENV, values={"A": "{usrname}"})
    with pytest.raises(InputError, match=r"\{usrname\} is unknown; did you mean 'username'"):
        placed.check(FIELDS)
