# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the services, and where pairs are kept."""

from __future__ import annotations

import os
import pathlib
import stat

import pytest
from support.certificates import Authority

from ansible_collections.steward.maintenance.plugins.module_utils._certificates import service
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.pair import Pair, read_pair
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.store import Rights, Store
from ansible_collections.steward.maintenance.plugins.module_utils._core.application import ApplicationError


def _pair(directory: pathlib.Path) -> Pair:
    written = Authority("Intermediate", Authority()).issue("www.example.com").write(directory)
    return read_pair(str(written.certificate), str(written.key))


def test_a_preset_has_its_commands_and_given_ones_take_their_place() -> None:
    usual = service.service_of("nginx", (), (), 60)
    assert usual.testing == (("nginx", "-t", "-q"),)
    assert usual.reloading == (("systemctl", "reload-or-restart", "nginx"),)
    given = service.service_of("nginx", (), (("nginx", "-s", "reload"),), 60)
    assert (given.testing, given.reloading) == (usual.testing, (("nginx", "-s", "reload"),))
    assert service.service_of("postgresql", (), (), 60).testing == ()
    assert service.service_of("none", (), (), 60).reloading == ()


@pytest.mark.parametrize(("debian", "unit"), [(True, "apache2"), (False, "httpd")])
def test_apache_has_the_name_that_it_has_here(monkeypatch: pytest.MonkeyPatch, debian: bool, unit: str) -> None:
    monkeypatch.setattr(service.shutil, "which", lambda name: f"/usr/sbin/{name}" if debian else None)
    assert service.service_of("apache", (), (), 60).reloading == (("systemctl", "reload-or-restart", unit),)


def test_the_first_command_that_fails_is_told_and_no_other_is_run(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "made"
    failing = service.Service((("sh", "-c", "echo no; exit 4"), ("touch", str(path))), (), 10)
    with pytest.raises(ApplicationError, match="ended with status 4: no"):
        failing.test()
    assert not path.exists()


def test_a_pair_shows_its_key_to_nobody(tmp_path: pathlib.Path) -> None:
    pair = _pair(tmp_path)
    assert "PRIVATE" not in repr(pair)
    assert pair.key not in repr(pair).encode()


def test_a_version_is_named_by_its_content(tmp_path: pathlib.Path) -> None:
    pair = _pair(tmp_path)
    store = Store(str(tmp_path / "store"), Rights())
    version = store.version_for(pair)
    assert version == pair.version
    store.put(version, pair)
    assert store.version_for(pair) == version
    (tmp_path / "store" / "versions" / version / "privkey.pem").write_text("damaged")
    assert not store.has(version, pair)
    assert store.version_for(pair) == f"{version}-2"


def test_the_service_comes_to_its_files_whatever_the_umask_was(tmp_path: pathlib.Path) -> None:
    store = Store(str(tmp_path / "a" / "b"), Rights(key_mode=0o640))
    pair = _pair(tmp_path)
    before = os.umask(0o077)
    try:
        store.put(pair.version, pair)
    finally:
        os.umask(before)
    version = tmp_path / "a" / "b" / "versions" / pair.version
    directories = (tmp_path / "a", tmp_path / "a" / "b", version.parent, version)
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o755}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in version.iterdir()}
    assert modes == {"fullchain.pem": 0o644, "privkey.pem": 0o640, "combined.pem": 0o640}
    assert store.wrong_rights(pair.version) == []


def test_the_version_in_use_is_never_removed(tmp_path: pathlib.Path) -> None:
    store = Store(str(tmp_path / "store"), Rights())
    pair = _pair(tmp_path)
    store.put(pair.version, pair)
    store.switch(pair.version)
    store.remove(pair.version)
    assert store.has(pair.version, pair)
    assert store.prune(0, "") == []
    store.switch("")
    assert store.current() == ""
    store.remove(pair.version)
    assert not store.has(pair.version, pair)
