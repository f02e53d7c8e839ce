# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All stores keep one contract; each of them also has rules and faults of its own."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from support import s3_faults as faults
from support.canary import RIGHT, secrets_in, sweep
from support.secret_aws import aws_store
from support.secret_kv import TOKEN, KvServer
from support.secrets import age_key, files_store, stages, vault_files_store

from ansible_collections.steward.maintenance.plugins.module_utils._core.sealing import check_recipients
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import (
    PendingElsewhere,
    Store,
    StoreError,
    TokenReused,
    new_token,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_files import Files
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_kv import Kv, KvSettings

pytest_plugins = ("support.secret_fixtures",)

NAME = "shop/database"
OLD = {"username": "shop", "password": RIGHT, "port": 5432}
NEW = {**OLD, "password": "another one"}
OTHER = {**OLD, "password": "a third one"}


def kv_store(kv: KvServer, name: str = NAME, **more: t.Any) -> Kv:
    return Kv(KvSettings(**{"url": kv.url, "token": TOKEN, "timeout": 5, **more}), name)


@pytest.fixture(params=["files", "ansible-vault", "vault", pytest.param("aws", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    if request.param == "files":
        return files_store(tmp_path)
    if request.param == "ansible-vault":
        return vault_files_store(tmp_path)
    if request.param == "vault":
        return kv_store(request.getfixturevalue("kv"))
    return aws_store(request.getfixturevalue("manager"), f"{NAME}-{new_token()}")


@pytest.fixture
def first(store: Store) -> str:
    token = new_token()
    store.create_first(token, OLD)
    return token


def test_a_secret_that_is_not_there_has_no_versions(store: Store) -> None:
    assert store.versions() == []
    assert store.read("current") is None
    assert store.read_version(new_token()) is None


def test_a_version_goes_through_its_life(store: Store, first: str) -> None:
    assert stages(store) == {"current": first}
    token = new_token()
    store.create_pending(token, NEW)
    assert stages(store) == {"current": first, "pending": token}
    assert store.read("current").value == OLD  # type: ignore[union-attr]
    assert store.read("pending").value == NEW  # type: ignore[union-attr]
    store.promote(token)
    assert stages(store) == {"current": token, "previous": first}
    assert store.read("current").value == NEW  # type: ignore[union-attr]
    assert store.read_version(first).value == OLD  # type: ignore[union-attr]
    store.retire(first)
    assert stages(store) == {"current": token}
    assert all(version.created is not None for version in store.versions())


def test_each_change_may_come_twice(store: Store, first: str) -> None:
    token = new_token()
    store.create_first(first, OLD)
    for _again in range(2):
        store.create_pending(token, NEW)
    for _again in range(2):
        store.promote(token)
    store.create_pending(token, NEW)
    assert stages(store) == {"current": token, "previous": first}
    for _again in range(2):
        store.restore(first, token)
    assert stages(store) == {"current": first}
    assert store.read("current").value == OLD  # type: ignore[union-attr]
    for _again in range(2):
        store.withdraw(token)
        store.retire(token)
    assert stages(store) == {"current": first}


def test_a_token_makes_one_value(store: Store, first: str) -> None:
    token = new_token()
    store.create_pending(token, NEW)
    with pytest.raises(TokenReused, match=token):
        store.create_pending(token, OTHER)
    assert store.read_version(token).value == NEW  # type: ignore[union-attr]
    store.promote(token)
    with pytest.raises(TokenReused):
        store.create_pending(token, OTHER)
    assert store.read("current").value == NEW  # type: ignore[union-attr]
    assert stages(store) == {"current": token, "previous": first}


def test_there_is_one_pending_version(store: Store, first: str) -> None:
    one, other = new_token(), new_token()
    store.create_pending(one, NEW)
    with pytest.raises(PendingElsewhere, match=one):
        store.create_pending(other, OTHER)
    store.withdraw(other)
    assert stages(store) == {"current": first, "pending": one}
    store.withdraw(one)
    assert stages(store) == {"current": first}
    store.create_pending(other, OTHER)
    assert stages(store) == {"current": first, "pending": other}


def test_after_it_was_taken_back_a_new_one_can_be_made(store: Store, first: str) -> None:
    token, next_one = new_token(), new_token()
    store.create_pending(token, NEW)
    store.promote(token)
    made = next(version.created for version in store.versions() if version.id == first)
    store.restore(first, token)
    assert [version.created for version in store.versions() if "current" in version.stages] == [made], "it got younger"
    store.create_pending(next_one, OTHER)
    store.promote(next_one)
    assert stages(store) == {"current": next_one, "previous": first}
    assert store.read("previous").value == OLD  # type: ignore[union-attr]


def test_what_is_not_pending_is_not_promoted(store: Store, first: str) -> None:
    token = new_token()
    store.create_pending(token, NEW)
    store.withdraw(token)
    with pytest.raises(StoreError, match="is not pending"):
        store.promote(token)
    assert stages(store) == {"current": first}


def test_there_is_one_first_version(store: Store, first: str) -> None:
    with pytest.raises(StoreError, match="has a current version already"):
        store.create_first(new_token(), NEW)
    assert stages(store) == {"current": first}


@pytest.mark.parametrize("token", ["short", "x" * 65, "with space" * 4, "../" * 12])
def test_what_is_no_token_is_refused(store: Store, token: str) -> None:
    with pytest.raises(InputError, match="32 to 64"):
        store.create_pending(token, NEW)


# -- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["age", "ansible-vault"])
def test_no_file_holds_a_value_and_none_is_open_to_others(tmp_path: pathlib.Path, kind: str) -> None:
    store = files_store(tmp_path) if kind == "age" else vault_files_store(tmp_path)
    store.create_first(new_token(), OLD)
    assert not sweep(tmp_path)
    kept = [path for path in pathlib.Path(store.place).rglob("*") if path.is_file()]
    assert len(kept) == 3
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert pathlib.Path(store.place).stat().st_mode & 0o777 == 0o700


def test_a_directory_that_is_not_mounted_is_no_empty_store(tmp_path: pathlib.Path) -> None:
    store = Files(str(tmp_path / "not-there"), "shop", ("age1x",), "")
    for use in (store.versions, lambda: store.read("current"), lambda: store.withdraw(new_token())):
        with pytest.raises(StoreError, match="not-there"):
            use()


def test_what_a_killed_run_left_does_not_count(tmp_path: pathlib.Path) -> None:
    store = files_store(tmp_path)
    token = new_token()
    first = new_token()
    store.create_first(first, OLD)
    index = pathlib.Path(store.place, "index.json")
    before = index.read_text()
    store.create_pending(token, NEW)
    index.write_text(before)  # killed between the file and the index
    pathlib.Path(store.place, "index.json.new").write_text("half")
    assert store.read_version(token) is None
    store.create_pending(token, OTHER)
    assert store.read("pending").value == OTHER  # type: ignore[union-attr]


def test_what_is_damaged_is_told_and_not_taken_for_empty(tmp_path: pathlib.Path) -> None:
    store = files_store(tmp_path)
    token = new_token()
    store.create_first(token, OLD)
    path = pathlib.Path(store.place, f"{token}.age")
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    with pytest.raises(StoreError, match="cannot be opened: age ended"):
        store.read("current")
    path.unlink()
    with pytest.raises(StoreError, match=re.escape(str(path))):
        store.read("current")
    index = pathlib.Path(store.place, "index.json")
    index.write_text(index.read_text()[:-9])
    with pytest.raises(StoreError, match="is damaged"):
        store.versions()


def test_another_key_opens_nothing(tmp_path: pathlib.Path) -> None:
    store = files_store(tmp_path)
    store.create_first(new_token(), OLD)
    (tmp_path / "else").mkdir()
    other, _public = age_key(tmp_path / "else")
    with pytest.raises(StoreError, match="no identity matched"):
        Files(store.directory, store.name, store.recipients, other).read("current")


def test_another_way_to_encrypt_is_told(tmp_path: pathlib.Path) -> None:
    files_store(tmp_path).create_first(new_token(), OLD)
    with pytest.raises(StoreError, match="encrypted in another way"):
        vault_files_store(tmp_path).read("current")


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"", 0o600, "is empty"),
        (b"secret", 0o700, "is executable"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n61", 0o600, "is encrypted itself"),
        (b"another", 0o600, "is another one"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_a_password_that_opens_nothing_is_told(
    tmp_path: pathlib.Path, content: bytes | None, mode: int, words: str
) -> None:
    store = vault_files_store(tmp_path)
    store.create_first(new_token(), OLD)
    path = pathlib.Path(store.password_file)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(StoreError, match=words) as told:
        store.read("current")
    assert not secrets_in(str(told.value).encode())
    assert stages(store), "labels are in no encrypted file"


def test_a_damaged_vault_is_told(tmp_path: pathlib.Path) -> None:
    store = vault_files_store(tmp_path)
    token = new_token()
    store.create_first(token, OLD)
    path = pathlib.Path(store.place, f"{token}.vault")
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:40] + b"7" + whole[41:], whole[26:], b""):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"damaged|not encrypted by ansible-vault"):
            store.read("current")


def test_a_private_key_is_refused_and_not_shown() -> None:
    private = "AGE-SECRET-KEY-1" + "Q" * 58
    with pytest.raises(InputError) as told:
        check_recipients([private])
    assert "is a private key" in str(told.value)
    assert "QQQ" not in str(told.value)


# -- KV version 2 --------------------------------------------------------------------------------------------


def test_who_reads_the_path_never_gets_a_pending_value(kv: KvServer) -> None:
    store = kv_store(kv)
    store.create_first(new_token(), OLD)
    token = new_token()
    store.create_pending(token, NEW)
    newest = kv.paths[NAME].versions[kv.paths[NAME].current]["data"]
    assert newest == OLD
    store.promote(token)
    assert kv.paths[NAME].versions[kv.paths[NAME].current]["data"] == NEW
    assert list(kv.paths) == [NAME], "what was pending is not left lying beside it"


def test_custom_metadata_of_others_is_kept(kv: KvServer) -> None:
    store = kv_store(kv)
    store.create_first(new_token(), OLD)
    kv.paths[NAME].custom["team"] = "shop"
    for number in range(12):
        token = new_token()
        store.create_pending(token, {**OLD, "password": str(number)})
        store.promote(token)
    assert kv.paths[NAME].custom["team"] == "shop"
    assert store.read("current").value["password"] == "11"  # type: ignore[union-attr]
    assert store.read("previous").value["password"] == "10"  # type: ignore[union-attr]
    assert all(len(text) <= 512 for text in kv.paths[NAME].custom.values())


@pytest.mark.parametrize("lost", [r"POST /v1/secret/metadata/shop/database$", r"DELETE .*pending", r"POST .*/data/"])
@pytest.mark.parametrize("how", ["refused", "answer lost"])
def test_a_promotion_that_broke_off_goes_on(kv: KvServer, lost: str, how: str) -> None:
    store = kv_store(kv)
    first, token = new_token(), new_token()
    store.create_first(first, OLD)
    store.create_pending(token, NEW)
    kv.inject(lost, faults.refusing(500, "Broken") if how == "refused" else faults.losing_the_answer, times=1)
    with pytest.raises(StoreError, match="shop/database"):
        store.promote(token)
    store.promote(token)
    assert stages(store) == {"current": token, "previous": first}
    assert kv.paths[NAME].current == 2


@pytest.mark.parametrize("lost", [r"POST .*/metadata/", r"POST .*/data/"])
def test_taking_back_that_broke_off_goes_on(kv: KvServer, lost: str) -> None:
    store = kv_store(kv)
    first, token = new_token(), new_token()
    store.create_first(first, OLD)
    store.create_pending(token, NEW)
    store.promote(token)
    kv.inject(lost, faults.losing_the_answer, times=1)
    with pytest.raises(StoreError):
        store.restore(first, token)
    store.restore(first, token)
    assert stages(store) == {"current": first}
    assert store.read("current").value == OLD  # type: ignore[union-attr]
    assert kv.paths[NAME].current == 3


def test_two_controllers_make_one_pending_version(kv: KvServer) -> None:
    one, other = kv_store(kv), kv_store(kv)
    one.create_first(new_token(), OLD)
    token = new_token()

    def somebody_is_faster(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        kv.heal()
        other.create_pending(token, OTHER)
        return forward(request)

    kv.inject(r"POST .*pending", somebody_is_faster, times=1)
    with pytest.raises(StoreError, match="at this very moment"):
        one.create_pending(new_token(), NEW)
    assert one.read("pending").value == OTHER  # type: ignore[union-attr]
    assert stages(one)["pending"] == token


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(kv: KvServer) -> None:
    store = kv_store(kv)
    store.create_first(new_token(), OLD)
    token = new_token()
    store.create_pending(token, NEW)

    def somebody_writes(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        body = json.dumps({"data": OTHER}).encode()
        forward(faults.Request("POST", request.path, request.headers, body))
        return forward(request)

    kv.inject(r"POST .*/data/shop/database$", somebody_writes, times=1)
    with pytest.raises(StoreError, match="was written by somebody else"):
        store.promote(token)
    assert store.read("current").value == OTHER  # type: ignore[union-attr]


def test_what_cannot_be_looked_at_is_no_empty_store(kv: KvServer) -> None:
    kv_store(kv).create_first(new_token(), OLD)
    with pytest.raises(StoreError, match="there is no such engine"):
        kv_store(kv, mount="elsewhere").versions()
    with pytest.raises(StoreError, match="the token may not do this") as told:
        kv_store(kv, token="kanarienvogel-3f9a1c7e").read("current")
    assert not secrets_in(str(told.value).encode())
    kv.inject("", _redirecting)
    with pytest.raises(StoreError, match="status 307"):
        kv_store(kv).versions()
    kv.heal()
    kv.sealed = True
    with pytest.raises(StoreError, match="sealed"):
        kv_store(kv).versions()


def _redirecting(_request: faults.Request, _forward: faults.Forward) -> faults.Answer:
    return faults.Answer(307, {"Location": "http://127.0.0.1:9/"}, b"")


def test_a_path_that_keeps_one_version_only_is_refused(kv: KvServer) -> None:
    store = kv_store(kv)
    store.create_first(new_token(), OLD)
    kv.paths[NAME].max_versions = 1
    with pytest.raises(StoreError, match="max_versions"):
        store.create_pending(new_token(), NEW)
