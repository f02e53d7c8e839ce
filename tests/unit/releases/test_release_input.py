# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that lead out of the release, and arguments that cannot be right, are refused by name."""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import tarfile
import typing as t
import zipfile

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._releases.arguments import (
    INSTALL_ARGUMENTS,
    SWITCH_ARGUMENTS,
    install_settings_from,
    switch_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._releases.place import ReleaseError
from ansible_collections.steward.maintenance.plugins.module_utils._releases.sources import ArchiveSource

Member = tuple[str, str, t.Any]


def tar(path: pathlib.Path, *members: Member) -> ArchiveSource:
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            if kind == "file":
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
            else:
                entry.type = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE}[kind]
                entry.linkname = content
                archive.addfile(entry)
    return ArchiveSource(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), 1)


def test_an_archive_is_written_without_its_first_directory(tmp_path: pathlib.Path) -> None:
    members: list[Member] = [("shop/app.py", "file", b"code"), ("shop/bin/start", "link", "../app.py")]
    (tmp_path / "target").mkdir()
    tar(tmp_path / "shop.tar.gz", *members).write(str(tmp_path / "target"), "")
    assert (tmp_path / "target" / "bin" / "start").read_bytes() == b"code"
    assert os.stat(tmp_path / "target" / "app.py").st_mode & 0o777 == 0o755
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        archive.writestr("shop/app.py", "zipped")
    (tmp_path / "other").mkdir()
    digest = hashlib.sha256((tmp_path / "shop.zip").read_bytes()).hexdigest()
    ArchiveSource(str(tmp_path / "shop.zip"), digest, 1).write(str(tmp_path / "other"), "")
    assert (tmp_path / "other" / "app.py").read_text() == "zipped"


@pytest.mark.parametrize(
    "members",
    [
        [("shop/../../evil", "file", b"x")],
        [("/etc/evil", "file", b"x")],
        [("shop/out", "link", "/etc"), ("shop/out/evil", "file", b"x")],
        [("shop/out", "link", "../..")],
        [("shop/hard", "hard", "/etc/passwd")],
        [("shop/pipe", "pipe", "")],
        [("shop/a", "file", b"x"), ("shop/a", "file", b"y")],
        [("only", "file", b"x")],
    ],
)
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path: pathlib.Path, members: list[Member]) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises((ReleaseError, FileExistsError)):
        tar(tmp_path / "shop.tar.gz", *members).write(str(tmp_path / "target"), "")
    assert not list(tmp_path.glob("**/evil"))


def test_another_archive_than_the_one_that_is_meant_is_refused(tmp_path: pathlib.Path) -> None:
    source = tar(tmp_path / "shop.tar.gz", ("shop/app.py", "file", b"code"))
    with open(source.path, "ab") as file:
        file.write(b"more")
    with pytest.raises(ReleaseError, match=r"has the SHA-256 .*, not"):
        source.write(str(tmp_path), "")


def install(**more: t.Any) -> t.Any:
    defaults = {name: option.get("default") for name, option in INSTALL_ARGUMENTS.items()}
    given = {"directory": "/srv/shop", "repository": "/srv/shop.git", "commit": "a" * 40}
    return install_settings_from({**defaults, **given, **more})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"directory": "shop"}, "directory is 'shop': write the absolute path"),
        ({"directory": ""}, "directory is ''"),
        ({"commit": "main"}, "commit is 'main': write the whole id of a commit"),
        ({"commit": "a" * 12}, "write the whole id of a commit"),
        ({"archive": "/srv/shop.tar"}, "name either repository and commit, or archive and sha256"),
        ({"repository": "", "commit": ""}, "name either repository and commit"),
        ({"repository": "--upload-pack=evil"}, "repository is '--upload-pack=evil'"),
        ({"repository": "", "commit": "", "archive": "/a.tar", "sha256": "x"}, "sha256 is 'x'"),
        ({"parts": [{"kind": "pipp"}]}, "parts[0]: kind 'pipp' is unknown; did you mean 'pip'?"),
        ({"parts": [{"kind": "pip", "lok": "x"}]}, "parts[0]: unknown key 'lok'; did you mean 'lock'?"),
        ({"parts": [{"kind": "pip", "path": "../x"}]}, "parts[0]: path is '../x': write a path in the release"),
        ({"parts": [{"kind": "pip", "lock": "/etc/x"}]}, "parts[0]: lock is '/etc/x'"),
        ({"parts": [{"kind": "npm", "lock": "yarn.lock"}]}, "npm ci reads package-lock.json and nothing else"),
        ({"parts": [{"kind": "command", "command": ["make"]}]}, "name lock, and environment or modules"),
        ({"parts": [{"kind": "pip", "command": ["make"]}]}, "command belongs to the kind 'command'"),
        ({"parts": [{"kind": "pip"}, {"kind": "pip", "lock": "b.txt"}]}, "two of them have the environment '.venv'"),
        ({"tests": [["npm test"]]}, "tests has 'npm test': write each word by itself, like ['npm', 'test']"),
        ({"soak": "1d"}, "soak is '1d', and there is no stage_before"),
        ({"stage_before": {"stage": "staging", "hots": []}}, "unknown key 'hots'; did you mean 'hosts'?"),
        ({"timeout": "10"}, "timeout: duration '10' has no unit"),
    ],
)
def test_arguments_of_an_installation(more: dict[str, t.Any], why: str) -> None:
    with pytest.raises(InputError) as refused:
        install(**more)
    assert why in str(refused.value)


def test_parts_have_the_usual_names() -> None:
    found = install(parts=[{"kind": "pip", "path": "api"}, {"kind": "npm", "path": "web"}]).parts
    assert [(part.lock, part.environment, part.modules) for part in found] == [
        ("api/requirements.txt", "api/.venv", False),
        ("web/package-lock.json", "", True),
    ]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"release": ""}, "release is empty"),
        ({"release": "../x"}, "release is '../x'"),
        ({"release": "x.partial"}, "release is 'x.partial'"),
        ({"health_url": ""}, "without one of them nothing proves that it is well"),
        ({"systemd_units": []}, "nothing would run the release"),
        ({"systemd_units": [], "restart_commands": [["x"]]}, "pid_files is empty"),
        ({"keep": 1}, "keep is 1: write a number from 2"),
        ({"version_url": "localhost"}, "version_url is 'localhost'"),
        ({"settle": "2"}, "settle: duration '2' has no unit"),
    ],
)
def test_arguments_of_a_switch(more: dict[str, t.Any], why: str) -> None:
    defaults = {name: option.get("default") for name, option in SWITCH_ARGUMENTS.items()}
    given = {"directory": "/srv/shop", "release": "a" * 16, "systemd_units": ["shop.service"]}
    given["health_url"] = "http://127.0.0.1:8080/health"
    with pytest.raises(InputError) as refused:
        switch_settings_from({**defaults, **given, **more})
    assert why in str(refused.value)
