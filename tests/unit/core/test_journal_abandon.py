# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that nobody wants any more is taken back, wherever it was killed; and a look without the lock."""

from __future__ import annotations

import pathlib

import pytest
from support.journal_subject import (
    REFERENCES,
    UNDONE,
    FileStep,
    Killer,
    events,
    fresh,
    run,
    run_and_be_killed,
    state,
    steps,
)

from ansible_collections.steward.maintenance.plugins.module_utils._core.journal import Journal, JournalError


def reversible(directory: pathlib.Path) -> list[FileStep]:
    """The first two steps, which can be taken back whatever happened."""
    return [FileStep(name, directory, Killer()) for name in ("stage", "check")]


def test_what_was_begun_is_taken_back(tmp_path: pathlib.Path) -> None:
    for at in (3, 5, 8, 10, 12):
        directory = fresh(tmp_path, at)
        assert run_and_be_killed(directory, at)
        with Journal(str(directory / "journal"), "live file") as journal:
            begun = journal.references is not None
            assert journal.abandon(steps(directory)) is begun
            assert journal.references is None
        assert state(directory).get("live") == "old"
        assert "new" not in state(directory)
        assert not begun or events(directory)[-1] == "ended"


def test_there_may_be_nothing_to_take_back(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    with Journal(str(directory / "journal"), "live file") as journal:
        assert journal.abandon(steps(directory)) is False
    assert state(directory) == UNDONE


def test_only_by_its_own_steps(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    assert run_and_be_killed(directory, 12)
    with (
        Journal(str(directory / "journal"), "live file") as journal,
        pytest.raises(JournalError, match="unfinished change with the steps"),
    ):
        journal.abandon(reversible(directory))


def test_a_look_needs_no_lock_and_makes_nothing(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    journal = Journal(str(directory / "journal"), "live file")
    assert journal.peek() is None
    assert not (directory / "journal").exists()
    assert run_and_be_killed(directory, 12)
    with Journal(str(directory / "journal"), "live file"):
        assert journal.peek() == REFERENCES
    run(directory)
    assert journal.peek() is None
    path = pathlib.Path(journal.path)
    path.write_bytes(b"{}x\n")
    with pytest.raises(JournalError, match="cannot be read"):
        journal.peek()
