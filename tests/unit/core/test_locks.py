# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: who comes second is told who was first, and a place of one's own is nobody else's."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core import locks


def test_who_comes_second_is_told_who_was_first(tmp_path: pathlib.Path) -> None:
    state = tmp_path / "state"
    with locks.held(str(state)):
        told = f"another run holds {state}/lock \\(process {os.getpid()}\\)"
        with pytest.raises(locks.Busy, match=told), locks.held(str(state)):
            raise AssertionError("two at once")
        with locks.held(str(state), "of-another-kind"):
            pass
    with locks.held(str(state)):
        assert (state.stat().st_mode & 0o777) == 0o700


def test_a_lock_is_no_way_to_write_elsewhere(tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), locks.lock(str(tmp_path / "lock")):
        raise AssertionError("it was followed")
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_place_is_gone_at_the_end_and_keeps_what_a_killed_run_left(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    (place / "fetched").touch()
    with locks.own_place(str(place), 0) as mine:
        assert locks.left_in(mine) == [str(place / "fetched")]
        with pytest.raises(locks.Busy), locks.own_place(str(place), 0):
            raise AssertionError("two at once")
    assert not place.exists()


def test_a_place_that_another_run_takes_away_meanwhile_is_made_anew(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock was open already, and locks nobody out any more."""
    place, taken = tmp_path / "place", []
    real = locks.fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        if not taken:
            taken.append(descriptor)
            (place / "lock").unlink()
            place.rmdir()
        real(descriptor, how)

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with locks.own_place(str(place), 0):
        assert (place / "lock").exists()
    assert len(taken) == 1


@pytest.mark.parametrize("kind", ["open to others", "a link"])
def test_a_place_that_somebody_else_prepared_is_refused(tmp_path: pathlib.Path, kind: str) -> None:
    place, theirs = tmp_path / "place", tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    if kind == "a link":
        place.symlink_to(theirs)
    else:
        place.mkdir()
        place.chmod(0o755)
    told = "is not a directory of this account and closed to others: remove it"
    with pytest.raises(PermissionError, match=told), locks.own_place(str(place), 0):
        raise AssertionError("taken")
    assert list(theirs.iterdir()) == []
    assert place.exists()
