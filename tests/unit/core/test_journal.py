# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal, killed at every point that matters."""

from __future__ import annotations

import errno
import os
import pathlib
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journal_subject import (
    DONE,
    REFERENCES,
    UNDONE,
    FileStep,
    Killer,
    events,
    fresh,
    kill_points,
    run,
    run_and_be_killed,
    state,
    steps,
)

from ansible_collections.steward.maintenance.plugins.module_utils._core import files
from ansible_collections.steward.maintenance.plugins.module_utils._core.journal import (
    Journal,
    JournalError,
    StepFailed,
)


def test_killed_anywhere_the_next_run_ends_where_an_unkilled_one_does(tmp_path: pathlib.Path) -> None:
    points = kill_points(tmp_path)
    assert points > 25
    for at in range(1, points + 1):
        directory = fresh(tmp_path, at)
        assert run_and_be_killed(directory, at)
        run(directory)
        assert state(directory) == DONE, f"killed at point {at} of {points}"


def test_killed_anywhere_while_undoing_the_next_run_without_the_fault_ends_the_same(tmp_path: pathlib.Path) -> None:
    points = kill_points(tmp_path, check="do")
    assert points > 12
    for at in range(1, points + 1):
        directory = fresh(tmp_path, at)
        assert run_and_be_killed(directory, at, check="do")
        with pytest.raises(StepFailed, match="all was undone"):
            run(directory, check="do")
        assert state(directory) == UNDONE, f"killed at point {at} of {points}"
        run(directory)
        assert state(directory) == DONE


@settings(max_examples=40)
@given(kills=st.lists(st.integers(1, 40), max_size=6))
def test_killed_again_and_again_it_converges(tmp_path_factory: pytest.TempPathFactory, kills: list[int]) -> None:
    directory = fresh(tmp_path_factory.mktemp("again"))
    for at in kills:
        run_and_be_killed(directory, at)
    run(directory)
    assert state(directory) == DONE


def test_resuming_takes_up_what_was_left_and_nothing_else(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    with Journal(str(directory / "journal"), "live file") as journal:
        assert journal.references is None
        assert journal.resume(steps(directory)) == ""
    assert run_and_be_killed(directory, 12)
    with Journal(str(directory / "journal"), "live file") as journal:
        assert journal.references == REFERENCES
        assert journal.resume(steps(directory)) == "done"
        assert journal.references is None
        assert journal.resume(steps(directory)) == ""
    assert state(directory) == DONE


def test_a_second_run_finds_everything_done_and_attempts_nothing(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    run(directory)
    run(directory, stage="do", check="do", tidy="do")
    assert state(directory) == DONE
    assert events(directory) == ["begun", "done", "done", "done", "done", "ended"]


# -- failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fails", "cause"), [("do", "the check is hindered"), ("probe", "afterwards it is not done")])
def test_before_the_point_of_no_return_a_failure_undoes_all(tmp_path: pathlib.Path, fails: str, cause: str) -> None:
    directory = fresh(tmp_path)
    with pytest.raises(StepFailed) as caught:
        run(directory, check=fails)
    assert caught.value.undone
    assert str(caught.value).startswith("live file: step 'check' failed: ")
    assert cause in str(caught.value)
    assert "new" not in state(directory)
    assert state(directory)["live"] == "old"


def test_a_half_done_step_is_undone_too(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    with pytest.raises(StepFailed, match="step 'stage' failed: the staging is hindered; all was undone"):
        run(directory, stage="do")
    assert state(directory) == UNDONE


def test_past_the_point_of_no_return_the_only_way_is_forwards(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    for _ in range(2):
        with pytest.raises(StepFailed, match=r"step 'tidy' failed: .* past the point of no return") as caught:
            run(directory, tidy="do")
        assert not caught.value.undone
        assert state(directory) == {**DONE, "old": "old"}
    run(directory)
    assert state(directory) == DONE


def test_an_undo_that_fails_is_told_and_gone_on_with_by_the_next_run(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    broken = steps(directory, check="do")
    broken[0].fails = "undo"
    with Journal(str(directory / "journal"), "live file") as journal:
        with pytest.raises(
            StepFailed, match="step 'stage' cannot be undone: the undoing is hindered; mend the cause"
        ) as caught:
            journal.run(broken, REFERENCES)
        assert not caught.value.undone
        assert journal.is_being_undone
        assert journal.resume(steps(directory)) == "undone"
        assert not journal.is_being_undone
    assert state(directory) == UNDONE


def test_a_journal_that_cannot_be_written_stops_before_the_step(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = fresh(tmp_path)
    with Journal(str(directory / "journal"), "live file") as journal:
        path = pathlib.Path(journal.path)
        begin = journal._begin

        def begin_and_lose(*arguments: t.Any) -> None:
            begin(*arguments)
            path.unlink()
            path.mkdir()

        monkeypatch.setattr(journal, "_begin", begin_and_lose)
        with pytest.raises(JournalError, match=r"live_file-.*\.journal cannot be written: Is a directory"):
            journal.run(steps(directory), REFERENCES)
    assert state(directory) == UNDONE


def test_a_full_disk_at_any_write_leaves_a_change_that_the_next_run_ends(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    at = 0
    failed = True
    while failed:
        at += 1
        directory = fresh(tmp_path, at)
        left = at

        def full_once(file: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(file)

        monkeypatch.setattr(files.os, "fsync", full_once)
        try:
            run(directory)
        except JournalError as error:
            told = str(error)
        else:
            failed = False
        if failed:
            written = b"".join(path.read_bytes() for path in (directory / "journal").glob("*.journal"))
            assert b"undo" not in written, "no step failed, so nothing may be undone"
            assert told.endswith("No space left on device")
        monkeypatch.setattr(files.os, "fsync", fsync)
        run(directory)
        assert state(directory) == DONE
    assert at > 10


def test_undoing_goes_from_the_last_step_to_the_first(tmp_path: pathlib.Path) -> None:
    undone = []

    class Noted:
        point_of_no_return = False

        def __init__(self, name: str) -> None:
            self.name = name
            self.done = False

        def is_done(self) -> bool:
            return self.done

        def do(self) -> None:
            if self.name == "third":
                raise OSError("no")
            self.done = True

        def undo(self) -> None:
            undone.append(self.name)

    with Journal(str(tmp_path), "s") as journal, pytest.raises(StepFailed):
        journal.run([Noted("first"), Noted("second"), Noted("third")], {})
    assert undone == ["third", "second", "first"]


# -- locks and other people's journals -----------------------------------------------------------------------


def test_a_second_holder_is_told_who_the_first_is(tmp_path: pathlib.Path) -> None:
    with Journal(str(tmp_path), "restore of shop"):
        with pytest.raises(
            JournalError, match=rf"restore of shop is being changed by process {os.getpid()} \(lock .*\.lock\)"
        ):
            Journal(str(tmp_path), "restore of shop").__enter__()
        with Journal(str(tmp_path), "restore of cart") as other:
            assert other.references is None
    with Journal(str(tmp_path), "restore of shop") as again:
        assert again.references is None


def test_the_lock_of_a_killed_process_is_free(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    assert run_and_be_killed(directory, 5)
    with Journal(str(directory / "journal"), "live file") as journal:
        assert journal.references == REFERENCES


def test_subjects_never_share_a_file(tmp_path: pathlib.Path) -> None:
    paths = {
        Journal(str(tmp_path), subject).path
        for subject in ("a/b", "a_b", "a b", "../a_b", "x" * 300, "x" * 301, "é", "ü")
    }
    assert len(paths) == 8
    assert {os.path.dirname(path) for path in paths} == {str(tmp_path)}


def test_a_change_with_other_steps_or_references_is_not_taken_up(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    assert run_and_be_killed(directory, 12)
    with Journal(str(directory / "journal"), "live file") as journal:
        with pytest.raises(
            JournalError, match=r"unfinished change with the steps \['stage', 'check', 'swap', 'tidy'\]"
        ):
            journal.resume(steps(directory)[:3])
        with pytest.raises(
            JournalError, match=r"unfinished change with the references .*'live'.*resume that one first"
        ):
            journal.run(steps(directory), {"target": "other"})


def test_two_steps_of_one_name_are_refused(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    with (
        Journal(str(tmp_path / "journal"), "s") as journal,
        pytest.raises(JournalError, match="two steps have the name 'tidy'"),
    ):
        journal.run([*steps(directory), steps(directory)[3]], {})


def test_a_damaged_journal_is_refused_and_a_torn_end_is_not(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)
    assert run_and_be_killed(directory, 12)
    (path,) = (directory / "journal").glob("*.journal")
    sound = path.read_bytes()
    for torn in (b"{", b'{"event": "intent", "st', sound.splitlines()[1]):
        path.write_bytes(sound + torn)
        with Journal(str(directory / "journal"), "live file") as journal:
            assert journal.references == REFERENCES
        assert path.read_bytes() == sound
    for damaged in (b"x" + sound, b'{"event": "begun", "subject": "other"}\n'):
        path.write_bytes(damaged)
        with pytest.raises(JournalError, match="is damaged"):
            Journal(str(directory / "journal"), "live file").__enter__()
    path.write_bytes(sound)
    run(directory)
    assert state(directory) == DONE


def test_nothing_but_names_and_references_is_in_it(tmp_path: pathlib.Path) -> None:
    directory = fresh(tmp_path)

    class Leaky(FileStep):
        def do(self) -> None:
            raise OSError("login with hunter2 failed")

    with Journal(str(directory / "journal"), "live file") as journal:
        with pytest.raises(StepFailed, match="hunter2"):
            journal.run([Leaky("stage", directory, Killer())], REFERENCES)
        assert "hunter2" not in pathlib.Path(journal.path).read_text()
        assert os.stat(journal.path).st_mode & 0o077 == 0
