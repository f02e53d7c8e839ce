# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge requests by the two shapes of API: one for each branch, and the token nowhere."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support.forges import TOKEN, FakeForge

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._packages.forge import (
    Forge,
    read_forge,
    request_merge,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.web import Http, NoAnswer

APIS = {"gitlab": "/api/v4", "github": ""}


@pytest.fixture
def forge() -> t.Iterator[FakeForge]:
    with FakeForge() as forge:
        yield forge


def given(forge: FakeForge, kind: str, token: pathlib.Path) -> dict[str, t.Any]:
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    token.chmod(0o600)
    return {
        "kind": kind,
        "api": forge.url + APIS[kind],
        "project": "group/shop",
        "target": "main",
        "token_file": str(token),
    }


@pytest.mark.parametrize("kind", list(APIS))
def test_a_branch_gets_one_request(forge: FakeForge, kind: str, tmp_path: pathlib.Path) -> None:
    read = read_forge("it", given(forge, kind, tmp_path / "token"))
    assert isinstance(read, Forge)
    assert TOKEN not in repr(read)
    http = Http(5)
    assert request_merge(read, http, "steward/one", "Update", "why") == (f"{forge.url}/group/shop/1", True)
    assert request_merge(read, http, "steward/one", "Update", "why") == (f"{forge.url}/group/shop/1", False)
    assert request_merge(read, http, "steward/two", "Update", "why") == (f"{forge.url}/group/shop/2", True)
    expected = {"kind": kind, "branch": "steward/one", "target": "main", "title": "Update", "text": "why"}
    assert forge.requests[0] == expected
    forge.status = 403
    with pytest.raises(NoAnswer, match="answered 403") as refused:
        request_merge(read, http, "steward/one", "Update", "why")
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"kind": "gitlap"}, "did you mean 'gitlab'?"),
        ({"tokn": "x"}, "unknown key 'tokn'"),
        ({"project": ""}, "it.project is ''"),
        ({"api": "http://forge.example.org/api"}, "must begin with https://"),
        ({"token_env": "TOKEN"}, "give either token_file or token_env"),
        ({"token_file": "/nonexistent/token"}, "/nonexistent/token cannot be read"),
        ({"token_file": "", "token_env": "NOT_SET_AT_ALL"}, "the token in NOT_SET_AT_ALL is empty"),
    ],
)
def test_bad_settings_are_refused(forge: FakeForge, tmp_path: pathlib.Path, more: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError) as refused:
        read_forge("it", {**given(forge, "gitlab", tmp_path / "token"), **more})
    assert told in str(refused.value)


def test_a_token_that_others_can_read_is_refused(forge: FakeForge, tmp_path: pathlib.Path) -> None:
    settings = given(forge, "github", tmp_path / "token")
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(InputError, match="open to others"):
        read_forge("it", settings)
    assert read_forge("it", {}) is None
