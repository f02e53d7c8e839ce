# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are read while they are written."""

from __future__ import annotations

import pathlib
import stat

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._report.files import (
    FileError,
    check_writable,
    read_text,
    write_atomically,
)


def test_written_whole_and_readable_for_everybody(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "steward.prom"
    target.write_text("old")
    target.chmod(0o600)
    write_atomically(str(target), "new é\n")
    assert read_text(str(target)) == "new é\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["steward.prom"]


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = tmp_path / "report.html"
    link.symlink_to(victim)
    write_atomically(str(link), "page")
    assert victim.read_text() == "precious"
    assert not link.is_symlink()


def test_nothing_is_left_behind_when_it_cannot_be_written(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    with pytest.raises(FileError, match=r"cannot write .*report\.html"):
        write_atomically(str(target), "page")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(FileError, match="it is a directory"):
        check_writable(str(target))


def test_a_missing_directory_is_named(tmp_path: pathlib.Path) -> None:
    target = str(tmp_path / "missing" / "report.html")
    with pytest.raises(FileError, match="No such file or directory"):
        write_atomically(target, "page")
    with pytest.raises(FileError, match=r"there is no directory .*missing"):
        check_writable(target)


def test_what_is_not_there_yet_is_empty(tmp_path: pathlib.Path) -> None:
    assert read_text(str(tmp_path / "none")) == ""
    with pytest.raises(FileError, match="cannot read"):
        read_text(str(tmp_path))
