# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes are stopped by identity, directories removed only when they are ours."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from demo import processes
from demo.layout import MARK, DemoError, Layout, remove_scratch, write_private
from demo.teardown import stop_servers_below, take_down

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def notes(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "processes"
    directory.mkdir()
    return directory


def test_a_process_is_started_known_and_stopped(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    identity = processes.spawn(notes, "sleeper", SLEEP, tmp_path / "log")
    assert identity.alive
    assert processes.known(notes, "sleeper") == identity
    assert os.getsid(identity.pid) == identity.pid
    assert processes.stop(notes, "sleeper")
    assert not identity.alive
    assert processes.known(notes, "sleeper") is None
    assert not processes.stop(notes, "sleeper")


def test_one_that_ignores_the_request_is_killed(notes: pathlib.Path, tmp_path: pathlib.Path) -> None:
    identity = processes.spawn(notes, "stubborn", STUBBORN, tmp_path / "log")
    while not (tmp_path / "log").read_text():
        time.sleep(0.02)
    assert processes.stop(notes, "stubborn", signal.SIGTERM, seconds=0.3)
    assert not identity.alive


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another boot"}])
def test_a_stranger_with_the_same_id_is_left_alone(notes: pathlib.Path, change: dict[str, object]) -> None:
    with subprocess.Popen(SLEEP) as stranger:
        known = dataclasses.asdict(processes.Identity.of(stranger.pid)) | change
        (notes / "sleeper").write_text(json.dumps(known))
        assert not processes.stop(notes, "sleeper")
        assert stranger.poll() is None
        stranger.kill()


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        identity = processes.Identity.of(child.pid)
        deadline = time.monotonic() + 10
        while identity.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not identity.alive


def test_a_program_that_does_not_exist_is_an_error_and_leaves_nothing_alive(
    notes: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        processes.spawn(notes, "absent", ["/no-such-program"], tmp_path / "log")
    assert not processes.stop(notes, "absent")


def test_a_damaged_note_is_no_identity(notes: pathlib.Path) -> None:
    (notes / "broken").write_text("{")
    assert processes.known(notes, "broken") is None


def test_what_create_makes_take_down_removes(tmp_path: pathlib.Path) -> None:
    layout = Layout(tmp_path, tmp_path / ".demo")
    layout.create()
    scratch = layout.scratch
    assert (scratch / MARK).exists()
    assert (layout.collections / "ansible_collections" / "steward" / "maintenance").resolve() == tmp_path
    processes.spawn(layout.processes, "application", SLEEP, layout.logs / "log")
    assert take_down(layout) == ["application stopped", f"{scratch} removed", f"{layout.state} removed"]
    assert not scratch.exists()
    assert not layout.state.exists()
    assert take_down(layout) == []


def test_a_kill_before_scratch_exists_is_no_obstacle(tmp_path: pathlib.Path) -> None:
    layout = Layout(tmp_path, tmp_path / ".demo")
    layout.state.mkdir()
    write_private(layout.state / "scratch", "/var/tmp/steward-demo.never-made\n")
    assert take_down(layout) == [f"{layout.state} removed"]


@pytest.mark.parametrize("name", ["steward-demo.x", "precious"])
def test_a_directory_that_is_not_ours_is_not_removed(tmp_path: pathlib.Path, name: str) -> None:
    precious = tmp_path / name
    precious.mkdir()
    (precious / "work").touch()
    with pytest.raises(DemoError, match="left alone"):
        remove_scratch(precious)
    assert (precious / "work").exists()


def test_a_link_is_not_followed(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / MARK).touch()
    link = tmp_path / "steward-demo.link"
    link.symlink_to(target)
    assert not remove_scratch(link)
    assert (target / MARK).exists()


def test_without_a_demonstration_the_message_says_what_to_type(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DemoError, match="bin/demo starts one"):
        _ = Layout(tmp_path, tmp_path / ".demo").scratch


def test_a_private_file_is_private_even_over_a_public_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "new"


def test_servers_of_killed_runs_are_stopped_and_strangers_are_not(tmp_path: pathlib.Path) -> None:
    for name in ("ours", "elsewhere"):
        (tmp_path / name).mkdir()
    ours = subprocess.Popen(SLEEP, cwd=tmp_path / "ours")
    stranger = subprocess.Popen(SLEEP, cwd="/")
    with ours, stranger:
        (tmp_path / "ours" / "postmaster.pid").write_text(f"{ours.pid}\n{tmp_path}\n")
        (tmp_path / "elsewhere" / "postmaster.pid").write_text(f"{stranger.pid}\n")
        assert stop_servers_below(tmp_path) == [ours.pid]
        # Whoever stops a child may reap it too, and then nobody else learns its status: Popen says 0.
        assert ours.wait() in (-signal.SIGQUIT, 0)
        assert stranger.poll() is None
        stranger.kill()


def test_a_damaged_pid_file_stops_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "postmaster.pid").write_text("")
    assert stop_servers_below(tmp_path) == []
