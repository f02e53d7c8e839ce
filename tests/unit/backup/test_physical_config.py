# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file for pgBackRest: composed, masked, written whole with a mode that keeps its secrets."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.physical_config import (
    compose,
    configure,
    masked,
)

SETTINGS = {
    "global": {"repo1-path": "/srv/b", "start-fast": True, "process-max": 2, "repo1-s3-verify-tls": False},
    "main": {"pg1-path": "/srv/pg", "recovery-option": ["a=1", "b=2"]},
}
SECRETS = {"repo1-s3-key-secret": "kanarienvogel", "repo1-cipher-pass": "wellensittich"}


def test_sections_and_secrets() -> None:
    lines = compose(SETTINGS, SECRETS).splitlines()
    assert lines[1:] == [
        "", "[global]", "repo1-path=/srv/b", "start-fast=y", "process-max=2", "repo1-s3-verify-tls=n",
        "repo1-s3-key-secret=kanarienvogel", "repo1-cipher-pass=wellensittich",
        "", "[main]", "pg1-path=/srv/pg", "recovery-option=a=1", "recovery-option=b=2",
    ]  # fmt: skip


def test_secrets_are_masked_whoever_wrote_them() -> None:
    text = masked(compose(SETTINGS, SECRETS) + "repo2-cipher-pass = zaunkoenig\nrepo1-s3-key=AKIA\n")
    for secret in (*SECRETS.values(), "zaunkoenig", "AKIA"):
        assert secret not in text
    assert "repo1-path=/srv/b" in text


@pytest.mark.parametrize(
    ("settings", "secrets", "told"),
    [
        ({}, {}, "settings is empty"),
        ({"global": "x"}, {}, "is not a dictionary"),
        ({"a b": {}}, {}, "section 'a b' is no name"),
        ({"global": {"Repo": 1}}, {}, "option 'Repo' is no name"),
        ({"global": {"repo1-path": "a\n[x]"}}, {}, "a text of one line"),
        ({"global": {"repo1-path": ""}}, {}, "a text of one line"),
        ({"global": {"repo1-path": {}}}, {}, "a text of one line"),
        ({"global": {"repo1-cipher-pass": "wellensittich"}}, {}, "repo1-cipher-pass is a secret"),
        ({"global": {}}, {"repo1-cipher-pass": "wellen\nsittich"}, "repo1-cipher-pass must be a text of one line"),
        ({"global": {}}, {"repo1-cipher-pass": ""}, "repo1-cipher-pass must be a text of one line"),
    ],
)
def test_what_cannot_be_right_is_named_but_no_secret(
    settings: dict[str, t.Any], secrets: dict[str, t.Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        compose(settings, secrets)
    assert "sittich" not in str(caught.value)


def test_the_file_is_written_once_and_closed_to_others(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "etc" / "pgbackrest.conf"
    foretold = configure(str(path), SETTINGS, SECRETS, "", True)
    assert foretold[1]
    assert not path.exists()
    result, changed, diff = configure(str(path), SETTINGS, SECRETS, "", False)
    assert (result.verdict, changed) == ("ok", True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_text() == compose(SETTINGS, SECRETS)
    assert not any(secret in str(diff) for secret in SECRETS.values())
    assert os.listdir(path.parent) == ["pgbackrest.conf"]
    assert configure(str(path), SETTINGS, SECRETS, "", False)[1:] == (False, {})
    path.chmod(0o644)
    assert configure(str(path), SETTINGS, SECRETS, "", False)[1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert configure(str(path), SETTINGS, {}, "", False)[1]
    assert "kanarienvogel" not in path.read_text()


def test_a_place_or_a_group_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="there is no directory"):
        configure(str(tmp_path / "a" / "b" / "c.conf"), SETTINGS, {}, "", False)
    with pytest.raises(InputError, match="no such group"):
        configure(str(tmp_path / "c.conf"), SETTINGS, {}, "nobody-is-in-it", False)
