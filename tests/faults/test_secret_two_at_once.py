# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers of one secret that share nothing but its store: whatever the moment, one of them moves it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing as t

import pytest
from support import s3_faults as faults
from support.secret_aws import StrictSecretsManager, aws_store
from support.secret_kv import TOKEN
from support.secret_tokens import Tokens
from support.secrets import stages, vault_files_store

from ansible_collections.steward.maintenance.plugins.module_utils._secrets import store as stores
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import (
    Overtaken,
    Store,
    new_token,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_kv import Kv, KvSettings

pytest_plugins = ("support.secret_fixtures",)

OLD, NEW, OTHER = {"password": "one"}, {"password": "two"}, {"password": "three"}


@pytest.fixture(params=["files", "vault", pytest.param("aws", marks=pytest.mark.s3)])
def stored(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    if request.param == "files":
        return vault_files_store(tmp_path)
    if request.param == "vault":
        return Kv(KvSettings(request.getfixturevalue("kv").url, TOKEN, timeout=5), "shop")
    return aws_store(request.getfixturevalue("manager"), f"shop-{new_token()}")


def test_what_another_one_moved_meanwhile_is_not_moved_on(stored: Store) -> None:
    first, slow, fast = new_token(), new_token(), new_token()
    stored.create_first(first, OLD)
    # It was away for so long that the other one has withdrawn what was pending, made its own move, and made another one
    # pending: by its label alone, and by a version of before, nobody may go on.
    stored.create_pending(slow, NEW)
    stored.withdraw(slow)
    stored.create_pending(fast, OTHER)
    stored.promote(fast, first)
    stored.promote(fast, first)
    with pytest.raises(Overtaken, match=fast):
        stored.promote(slow, first)
    stored.retire(first)
    stored.create_pending(slow, NEW)
    with pytest.raises(Overtaken, match=fast):
        stored.promote(slow, first)
    assert stages(stored) == {"current": fast, "pending": slow}
    stored.promote(slow, fast)
    assert stages(stored) == {"current": slow, "previous": fast}


@pytest.mark.s3
def test_of_two_in_the_service_at_the_same_moment_one_goes_on(manager: StrictSecretsManager) -> None:
    """PutSecretValue takes AWSPENDING off the other one's version without a word, so no look at it beforehand helps."""
    ours = aws_store(manager, f"shop-{new_token()}")
    other = aws_store(manager, ours.name)
    first, slow, fast = new_token(), new_token(), new_token()
    ours.create_first(first, OLD)
    ours.create_pending(slow, NEW)

    def somebody_is_faster(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        manager.heal()
        client = other._client
        client.put_secret_value(
            SecretId=ours.name, ClientRequestToken=fast, SecretString='{"a": "b"}', VersionStages=["AWSPENDING"]
        )
        other.promote(fast, first)
        return forward(request)

    manager.inject("UpdateSecretVersionStage", somebody_is_faster, times=1)
    with pytest.raises(Overtaken):
        ours.promote(slow, first)
    assert stages(ours)["current"] == fast


# -- keys of tokens ------------------------------------------------------------------------------------------


def _tokens(directory: pathlib.Path) -> Tokens:
    made = Tokens(directory, vault_files_store(directory, "jwt"))
    made.path.write_text("")
    assert made.rotate()[0].verdict == "ok"
    return made


def _elsewhere(tokens: Tokens, number: int) -> Tokens:
    """Another host: its own journals and files, the same store."""
    place = tokens.directory / f"host-{number}"
    place.mkdir()
    other = dataclasses.replace(tokens, directory=place)
    other.path.write_text(tokens.path.read_text())
    return other


def test_of_four_that_begin_together_one_publishes_a_key(tmp_path: pathlib.Path) -> None:
    tokens = _tokens(tmp_path)
    before = tokens.kids()
    tokens.now = 80 * 86400
    hosts = [_elsewhere(tokens, number) for number in range(4)]
    children = []
    for host in hosts:
        child = os.fork()
        if child == 0:
            try:
                result, outcome = host.rotate()
                os._exit(10 if "publish" in outcome.moves else {"unknown": 20, "ok": 30}.get(result.verdict, 40))
            except BaseException:  # noqa: BLE001 - reported by its exit status
                os._exit(50)
        children.append(child)
    ended = [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children]
    # The others were busy, or came when it was over and nothing was due any more.
    assert (ended.count(10), set(ended) <= {10, 20, 30}) == (1, True), ended
    assert len(tokens.kids()) == 2
    assert tokens.kids()[0] == before[0] or tokens.kids()[1] == before[0]
    assert set(stages(tokens.store)) == {"current"}


class _Late:
    """A store whose user was away for a while between his look and his move."""

    def __init__(self, stored: Store, meanwhile: t.Callable[[], object]) -> None:
        self._stored = stored
        self._meanwhile = meanwhile

    def promote(self, token: str, replaces: str = "") -> None:
        # After a quarter of an hour the other one takes what is pending for that of a dead run, and withdraws it.
        self._stored.withdraw(token)
        self._meanwhile()
        self._stored.create_pending(token, t.cast("stores.Secret", self._stored.read_version(token)).value)
        self._stored.promote(token, replaces)

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._stored, name)


def test_a_move_of_a_host_that_was_away_does_not_lose_the_key_of_another_one(tmp_path: pathlib.Path) -> None:
    tokens = _tokens(tmp_path)
    tokens.now = 80 * 86400
    other, late = _elsewhere(tokens, 1), _elsewhere(tokens, 2)
    moved: list[list[str]] = []
    late.store = t.cast("Store", _Late(tokens.store, lambda: moved.append(other.rotate()[1].moves)))
    result, outcome = late.rotate()
    assert moved == [["publish", "note_published"]]
    assert (result.verdict, result.reason[:5], outcome.moves) == ("unknown", "busy:", []), result
    kids = tokens.kids()
    assert len(kids) == 2
    # What the other one has published is what is still there, and nobody was given anything else.
    assert set(stages(tokens.store)) == {"current"}
    assert all(kid in other.path.read_text() for kid in kids)
    assert late.path.read_text() == tokens.path.read_text()
    late.store = tokens.store
    assert late.rotate()[0].verdict == "ok"
    assert tokens.kids() == kids
