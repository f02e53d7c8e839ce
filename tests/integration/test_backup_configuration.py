# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration kept in Git and brought back: with real git and age, by the modules and through ansible-playbook."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest
from support.backups import AgeKey
from support.canary import RIGHT, CommandLines, secrets_in
from support.configuration import Configuration
from support.plays import Play

pytest_plugins = ("support.plays_fixtures",)


@pytest.fixture
def web(tmp_path: pathlib.Path) -> Configuration:
    configuration = Configuration(tmp_path)
    configuration.write("nginx/nginx.conf", "user www-data;\nworkers 2;\n")
    configuration.write("nginx/app.conf", f"server a;\npassword = {RIGHT};\n", 0o640)
    configuration.write('odd ü\n"name"', "x")
    configuration.write("run.sh", "#!/bin/sh\n", 0o4755)
    (configuration.root / "empty").mkdir(mode=0o750)
    (configuration.root / "link").symlink_to("nginx/nginx.conf")
    return configuration


def test_a_commit_when_something_changed_and_none_when_nothing_did(web: Configuration) -> None:
    foretold = web.keep(check=True)
    assert foretold["changed"]
    assert not web.bare.exists()
    first = web.keep()
    assert (first["verdict"], first["changed"]) == ("ok", True), first
    assert first["commit"] == web.git("rev-parse", "web1").strip()
    assert first["figures"]["added_files"] == first["figures"]["files"] == 5
    assert first["coverage"] == {"looked": 5, "of": 5}
    assert web.show('odd ü\n"name"') == "x"
    web.git("fsck", "--strict")

    again = web.keep()
    assert (again["verdict"], again["changed"], again["diff"]["prepared"]) == ("ok", False, "")
    assert not web.keep(check=True)["changed"]
    assert web.commits() == 1

    web.write("nginx/nginx.conf", "user www-data;\nworkers 8;\n")
    (web.root / "run.sh").unlink()
    second = web.keep()
    assert second["changed"]
    assert "-workers 2;\n+workers 8;\n" in second["diff"]["prepared"]
    assert "nginx.conf (+1 -1)" in second["summary"]
    assert "run.sh (deleted)" in second["summary"]
    assert second["commit"][:10] in second["summary"]
    assert "nginx.conf (+1 -1)" in web.git("log", "-1", "--format=%s", "web1")
    assert web.commits() == 2

    # What Git does not keep is a change, too.
    (web.root / "empty").chmod(0o700)
    third = web.keep()
    assert "only owners or modes" in third["summary"]
    assert '+ "' in third["diff"]["prepared"]
    assert '"mode": "0700"' in third["diff"]["prepared"]
    assert web.commits() == 3


def test_secrets_are_nowhere(web: Configuration, tmp_path: pathlib.Path) -> None:
    """In no object, no output and on no command line; what is encrypted stays the same as long as it is the same."""
    key = AgeKey(tmp_path)
    web.write("tls/site.key", "-----BEGIN PRIVATE" + f" KEY-----\n{RIGHT}\n", 0o600)
    web.write("tls/other.key", "-----BEGIN PRIVATE" + f" KEY-----\n{RIGHT}2\n", 0o600)
    web.write("shadow", f"root:{RIGHT}:1:::::\n", 0o600)
    chosen = {"encrypt": ["site.key"], "recipients": [key.public]}
    with CommandLines() as lines:
        answer = web.keep(**chosen)
        web.write("nginx/app.conf", f"server b;\npassword = {RIGHT}x;\n", 0o640)
        changed = web.keep(**chosen)
    assert lines.rounds > 0
    assert not lines.caught
    assert answer["verdict"] == "findings", answer
    left = {finding["subject"].rpartition("/")[2]: finding["message"] for finding in answer["findings"]}
    assert left == {
        "other.key": "it holds a private key, and it is not to be encrypted",
        "shadow": "files of this name hold secrets, and it is not to be encrypted",
    }
    assert answer["coverage"]["of"] - answer["coverage"]["looked"] == 2
    assert not secrets_in(str(answer).encode() + str(changed).encode())
    assert not secrets_in(web.everything().encode("utf-8", "surrogateescape"))
    # The change of the password is seen without it.
    assert changed["diff"]["prepared"].count("<secret:") == 2
    assert "site.key" not in changed["summary"]
    assert not web.keep(**chosen)["changed"]
    web.write("tls/site.key", "-----BEGIN PRIVATE" + " KEY-----\nanother\n", 0o600)
    assert "site.key.age: encrypted, changed" in web.keep(**chosen)["diff"]["prepared"]

    back = tmp_path / "back"
    restored = web.bring(directory=str(back), commit=changed["commit"], identity_file=str(key.path))
    assert restored["verdict"] == "findings"
    root = back / str(web.root).lstrip("/")
    assert RIGHT in (root / "tls/site.key").read_text()
    assert stat.S_IMODE((root / "tls/site.key").stat().st_mode) == 0o600
    assert (root / "nginx/app.conf.filtered").read_text().startswith("server b;\npassword = <secret:")
    told = {finding["id"] for finding in restored["findings"]}
    assert told == {"configuration-filtered", "configuration-not-kept"}
    sealed = web.bring(directory=str(tmp_path / "without"), paths=[str(web.root / "tls/site.key")])
    assert [finding["id"] for finding in sealed["findings"]] == ["configuration-sealed"]


def test_a_path_as_it_was_then(web: Configuration, tmp_path: pathlib.Path) -> None:
    first = web.keep()["commit"]
    path = web.write("nginx/nginx.conf", "broken\n", 0o600)
    web.keep()
    (web.root / "run.sh").unlink()
    (web.root / "link").unlink()

    back = tmp_path / "back"
    looked = web.bring(directory=str(back), commit=first, check=True)
    assert looked["changed"]
    assert not back.exists()
    restored = web.bring(directory=str(back), commit=first)
    root = back / str(web.root).lstrip("/")
    assert (root / "nginx/nginx.conf").read_text() == "user www-data;\nworkers 2;\n"
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o4755
    assert stat.S_IMODE((root / "empty").stat().st_mode) == 0o750
    assert os.readlink(root / "link") == "nginx/nginx.conf"
    assert (root / 'odd ü\n"name"').read_text() == "x"
    assert restored["commit"] == first
    assert "not empty" in web.bring(directory=str(back), commit=first)["msg"]

    # In place: nothing that is something else is touched unless that is asked for, and then a copy is kept.
    refused = web.bring(commit=first)
    assert "is there and is something else" in refused["msg"]
    assert not (web.root / "run.sh").exists()
    there = web.bring(commit=first, paths=[str(path), str(web.root / "run.sh"), str(web.root / "link")], overwrite=True)
    assert (there["verdict"], there["figures"]["restored_paths"]) == ("ok", 3), there
    assert path.read_text() == "user www-data;\nworkers 2;\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    kept = pathlib.Path(there["replaced"]) / str(path).lstrip("/")
    assert kept.read_text() == "broken\n"
    again = web.bring(commit=first, paths=[str(path)], overwrite=True)
    assert not again["changed"]
    filtered = web.bring(commit=first, paths=[str(web.root / "nginx/app.conf")])
    assert [finding["id"] for finding in filtered["findings"]] == ["configuration-filtered"]
    assert RIGHT in (web.root / "nginx/app.conf").read_text()


def test_at_a_moment(web: Configuration, tmp_path: pathlib.Path) -> None:
    """Commits of two days, as git keeps them."""
    first = web.keep()["commit"]
    tree = web.git("rev-parse", f"{first}^{{tree}}").strip()
    dated = ["-c", "user.name=t", "-c", "user.email=t@t", "commit-tree", tree, "-m", "old"]
    for day, name in (("2026-11-20", "old"), ("2026-11-22", "new")):
        parents = ["-p", "refs/heads/old"] if name == "new" else []
        commit = web.git(*dated, *parents, env={"GIT_COMMITTER_DATE": f"{day}T12:00:00Z"}).strip()
        web.git("update-ref", f"refs/heads/{name}", commit)
    web.branch = "new"
    taken = web.bring(at="2026-11-22T11:59:59Z", directory=str(tmp_path / "a"))
    assert taken["commit"] == web.git("rev-parse", "old").strip()
    assert "as of 2026-11-20T12:00:00Z" in taken["summary"]
    taken = web.bring(at="2026-11-22T12:00:00Z", directory=str(tmp_path / "b"))
    assert taken["commit"] == web.git("rev-parse", "new").strip()
    early = web.bring(at="2026-11-20T11:59:59Z", directory=str(tmp_path / "c"))
    assert "the oldest commit is of 2026-11-20T12:00:00Z" in early["msg"]
    unknown = web.bring(commit="0" * 40, directory=str(tmp_path / "c"))
    assert "is not in the history of branch 'new'" in unknown["msg"]
    web.branch = "web2"
    assert "branch 'web2' is not in" in web.bring(directory=str(tmp_path / "c"))["msg"]
    missing = [str(web.root / "nginx/nginx.con")]
    web.branch = "new"
    assert "nginx.conf'?" in web.bring(paths=missing, directory=str(tmp_path / "c"))["msg"]


def test_a_repository_elsewhere(tmp_path: pathlib.Path) -> None:
    """Over git's own protocol, of which SSH is only the line."""
    web = Configuration(tmp_path, repository=f"file://{tmp_path}/configuration.git")
    web.git("init", "--quiet", "--bare", str(web.bare))
    web.write("a", "1\n")
    kept = web.keep()
    assert kept["verdict"] == "ok", kept
    assert web.git("rev-parse", "web1").strip() == kept["commit"]
    web.write("a", "2\n")
    assert web.keep()["changed"]
    assert web.commits() == 2
    assert not web.keep()["changed"]
    # This host is lost: another one brings it back.
    fresh = Configuration(tmp_path / "fresh", repository=web.repository)
    back = fresh.bring(directory=str(tmp_path / "back"))
    assert back["verdict"] == "ok", back
    assert (tmp_path / "back" / str(web.root).lstrip("/") / "a").read_text() == "2\n"


def play_of(web: Configuration, play: Play) -> Play:
    play.variables.update(
        backup_configuration_repository=web.repository,
        backup_configuration_state_dir=str(web.state),
        backup_configuration_os_user="",
        backup_configuration_paths=[str(web.root)],
        maintenance_records=str(play.directory / "records.jsonl"),
        cycle_report_path="",
        cycle_activities={"backup.configuration": {"available": True}},
    )
    return play


def test_the_role_and_the_cycle(web: Configuration, play: Play, tmp_path: pathlib.Path) -> None:
    play = play_of(web, play)
    only = '{"cycle_only": ["backup.configuration"]}'
    status, told = play.run("-e", only, "-vvv", roles=["steward.maintenance.cycle"])
    assert status == 0, told
    assert not secrets_in(told.encode())
    assert web.git("rev-list", "--count", "db1").strip() == "1"
    record = (play.directory / "records.jsonl").read_text()
    assert '"activity":"backup.configuration"' in record.replace(": ", ":")
    assert "nginx/nginx.conf (added)" in record
    entry: dict[str, t.Any] = {"name": "steward.maintenance.backup", "tasks_from": "configuration_restore"}
    where = {"backup_configuration_restore_directory": str(tmp_path / "back")}
    status, told = play.run(tasks=[{"ansible.builtin.include_role": entry}], vars=where)
    assert status == 0, told
    assert (tmp_path / "back" / str(web.root).lstrip("/") / "nginx/nginx.conf").exists()
    status, told = play.run(tasks=[{"ansible.builtin.include_role": {**entry, "tasks_from": "configuration"}}],
                            vars={"backup_configuration_path": ["/etc"]})  # fmt: skip
    assert status != 0
    assert "unknown variable backup_configuration_path" in told
