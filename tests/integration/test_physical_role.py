# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role backup with the engine pgbackrest, in plays as a user writes them: an encrypted repository, whose passphrase
shows nowhere, even at -vvv."""

from __future__ import annotations

import stat
import typing as t

import pytest
import yaml
from support.canary import RIGHT, WRONG, CommandLines, secrets_in, sweep
from support.physical import STANZA, Physical, physical_server
from support.plays import Play

pytestmark = pytest.mark.pgbackrest


@pytest.fixture(scope="module")
def physical() -> t.Iterator[Physical]:
    with physical_server() as running:
        running.config.unlink()  # the role writes it
        yield running


@pytest.fixture(scope="module")
def play(physical: Physical) -> Play:
    directory = physical.place / "play"
    directory.mkdir()
    settings = physical.settings()
    settings["global"].update({"repo1-cipher-type": "aes-256-cbc", "process-max": 2, "archive-async": False})
    (directory / "secrets.yml").write_text(yaml.safe_dump({"vault_pass": RIGHT}))
    play = Play(directory)
    server = physical.server
    play.variables.update(
        backup_engine="pgbackrest",
        backup_login={"host": "127.0.0.1", "port": server.port, "user": server.superuser, "ssl_mode": "disable",
                      "password": server.password},
        backup_os_user="",
        backup_bin_dir=server.bin_dir,
        backup_scratch_path=str(physical.scratch),
        backup_physical_stanza=STANZA,
        backup_physical_config=str(physical.config),
        backup_physical_settings=settings,
        backup_physical_secrets={"repo1-cipher-pass": "{{ vault_pass }}"},
        backup_io_class="none",
        backup_rpo="",
    )  # fmt: skip
    return play


def entries(*names: str) -> list[dict[str, t.Any]]:
    tasks: list[dict[str, t.Any]] = []
    for name in names:
        tasks.append({"ansible.builtin.include_role": {"name": "steward.maintenance.backup", "tasks_from": name}})
        words = "{{ backup_result.verdict }} {{ backup_result.changed }} {{ backup_result.figures }}"
        tasks.append({"ansible.builtin.debug": {"msg": f"RESULT {name} {words}"}})
    return tasks


def test_both_entries_on_an_encrypted_repository(physical: Physical, play: Play) -> None:
    told_all = ("-vvv", f"--extra-vars=@{play.directory / 'secrets.yml'}")
    with CommandLines() as lines:
        status, told = play.run(*told_all, "--check", "--diff", tasks=entries("database"))
        assert status == 0, told
        # The file that says where the repository is would be written, so nothing more can be foretold.
        assert "RESULT database skipped False" in told
        assert not list(physical.repo.iterdir())
        assert not physical.config.exists()
        assert not secrets_in(told.encode())
        status, told = play.run(*told_all, "--diff", tasks=entries("main"))
    assert status == 0, told
    assert "RESULT main ok True" in told or "RESULT main findings True" in told
    assert "'restored_tables': 2" in told
    assert not secrets_in(told.encode())
    assert lines.rounds > 3
    assert not lines.caught
    assert stat.S_IMODE(physical.config.stat().st_mode) == 0o640
    (play.directory / "secrets.yml").rename(play.directory.parent / "secrets.yml")
    try:
        assert set(sweep(physical.place)) == {"pgbackrest.conf", "secrets.yml"}
    finally:
        (play.directory.parent / "secrets.yml").rename(play.directory / "secrets.yml")
    files = [path for path in physical.repo.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if b"thing 1" in path.read_bytes() or b"[backrest]" in path.read_bytes()]


def test_a_second_run_changes_nothing(play: Play) -> None:
    status, told = play.run(f"--extra-vars=@{play.directory / 'secrets.yml'}", tasks=entries("database", "verify"))
    assert status == 0, told
    assert "RESULT database ok False" in told
    assert "RESULT verify ok False" in told


def test_a_wrong_passphrase_does_not_give_the_secrets_away(play: Play) -> None:
    (play.directory / "wrong.yml").write_text(yaml.safe_dump({"vault_pass": WRONG}))
    try:
        status, told = play.run("-vvv", f"--extra-vars=@{play.directory / 'wrong.yml'}", tasks=entries("database"))
    finally:
        (play.directory / "wrong.yml").unlink()
    assert status != 0
    assert "no backup was made" in told
    assert not secrets_in(told.encode())


def test_a_misspelt_variable_and_a_secret_in_the_wrong_place_are_refused(play: Play) -> None:
    given = f"--extra-vars=@{play.directory / 'secrets.yml'}"
    status, told = play.run(given, tasks=entries("database"), vars={"backup_physical_stansa": "x"})
    assert status != 0
    assert "unknown variable backup_physical_stansa" in told
    status, told = play.run(given, tasks=entries("database"), vars={"backup_engine": "barman"})
    assert status != 0
    assert "must be one of" in told
    wrong = {"global": {"repo1-cipher-pass": "{{ vault_pass }}"}}
    status, told = play.run(given, tasks=entries("database"), vars={"backup_physical_settings": wrong})
    assert status != 0
    assert "repo1-cipher-pass is a secret: give it in secrets" in told
