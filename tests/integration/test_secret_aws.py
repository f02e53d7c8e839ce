# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Secrets Manager by its own rules, which a layer in front of moto's server enforces."""

from __future__ import annotations

import pathlib

import pytest
from support import s3_faults as faults
from support import secret_aws
from support.canary import RIGHT, WRONG, secrets_in
from support.postgres import PrivatePostgres
from support.secret_aws import StrictSecretsManager, aws_store
from support.secrets import ALTERNATING, SINGLE, Shop, stages

from ansible_collections.steward.maintenance.plugins.module_utils._secrets import store as stores
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.aws_session import AwsSettings
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import (
    PendingElsewhere,
    StoreError,
    new_token,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_aws import Aws

pytest_plugins = ("support.postgres_fixtures", "support.secret_fixtures")
pytestmark = pytest.mark.s3

NAME = "shop/database"
OLD = {"username": "shop", "password": RIGHT, "port": 5432}
NEW = {**OLD, "password": "another one"}


@pytest.fixture
def aws(manager: StrictSecretsManager) -> Aws:
    return aws_store(manager, f"{NAME}-{new_token()}")


def test_no_put_ever_moves_the_current_label_by_itself(manager: StrictSecretsManager, aws: Aws) -> None:
    first, token = new_token(), new_token()
    aws.create_first(first, OLD)
    aws.create_pending(token, NEW)
    aws.promote(token)
    aws.retire(first)
    assert manager.moved_current == []
    assert any("PutSecretValue" in request for request in manager.requests)


def test_the_layer_is_stricter_than_moto(manager: StrictSecretsManager, aws: Aws) -> None:
    """What it refuses here, moto alone would take."""
    token = new_token()
    aws.create_first(new_token(), OLD)
    aws.create_pending(token, NEW)
    client = aws._client
    common = {"SecretId": aws.name}
    with pytest.raises(client.exceptions.ResourceExistsException):
        client.put_secret_value(
            **common, ClientRequestToken=token, SecretString='{"a": "b"}', VersionStages=["AWSPENDING"]
        )
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.update_secret_version_stage(**common, VersionStage="AWSPENDING", MoveToVersionId=stages(aws)["current"])
    with pytest.raises(client.exceptions.InvalidRequestException):
        client.rotate_secret(**common)
    assert aws.read("pending").value == NEW  # type: ignore[union-attr]
    assert manager.moved_current == []


def test_a_label_that_another_controller_has_taken_is_left_to_it(manager: StrictSecretsManager, aws: Aws) -> None:
    """PutSecretValue takes AWSPENDING off another version without a word: of the two, one goes on."""
    first, slow, fast = new_token(), new_token(), new_token()
    aws.create_first(first, OLD)
    other = aws_store(manager, aws.name)

    def somebody_is_slower(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        manager.heal()
        answer = forward(request)
        client = other._client
        client.put_secret_value(
            SecretId=aws.name, ClientRequestToken=slow, SecretString='{"a": "b"}', VersionStages=["AWSPENDING"]
        )
        return answer

    manager.inject("PutSecretValue", somebody_is_slower, times=1)
    with pytest.raises(PendingElsewhere, match=slow):
        aws.create_pending(fast, NEW)
    assert stages(aws) == {"current": first, "pending": slow}
    with pytest.raises(StoreError, match="is not pending"):
        aws.promote(fast)
    assert stages(aws) == {"current": first, "pending": slow}


def test_all_pages_are_read(manager: StrictSecretsManager, aws: Aws) -> None:
    tokens = [new_token() for _version in range(5)]
    aws.create_first(tokens[0], OLD)
    for number, token in enumerate(tokens[1:]):
        aws.create_pending(token, {**NEW, "password": str(number)})
        aws.promote(token)
    assert {version.id for version in aws.versions()} == set(tokens)
    manager.prune(aws.name, tokens[1])
    assert {version.id for version in aws.versions()} == {*tokens} - {tokens[1]}
    assert aws.read_version(tokens[1]) is None
    with pytest.raises(StoreError):
        aws.restore(tokens[1], tokens[4])
    with pytest.raises(StoreError, match="PutSecretValue"):
        aws.create_pending(new_token(), {**NEW, "note": "x" * 65536})


@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING])
def test_whole_rotations_by_these_rules(
    manager: StrictSecretsManager, aws: Aws, postgres: PrivatePostgres, tmp_path: pathlib.Path, strategy: str
) -> None:
    """What the service itself has left is withdrawn; a run that is killed goes on, whatever was dropped meanwhile."""
    shop = Shop(postgres, tmp_path, strategy, aws)
    shop.make_roles()
    first = shop.fill_store()
    manager.plant_empty_pending(aws.name, new_token())
    result, outcome = shop.rotate()
    assert outcome.rotated, result
    assert [finding.id for finding in result.findings] == ["secret-left-pending"]
    manager.prune(aws.name, first.version)
    for point in ("-done finish", "-done retire"):
        old = shop.current()
        assert shop.rotate_and_be_killed(point)
        assert strategy == SINGLE or shop.logs_in(shop.current()), point
        if point == "-done retire":
            manager.prune(aws.name, old.version)
        assert shop.rotate(force=False)[1].rotated, point
        assert stages(aws) == {"current": shop.current().version}
        assert shop.logs_in(shop.current())
        assert not shop.logs_in(old)
    assert shop.rotate_and_be_killed("+done reload")
    old_version = stages(aws)["previous"]
    assert shop.roll_back()[0].verdict == "ok"
    assert stages(aws) == {"current": old_version}
    assert manager.moved_current == []


def test_an_empty_pending_version_has_no_value_and_can_be_withdrawn(manager: StrictSecretsManager, aws: Aws) -> None:
    first, empty = new_token(), new_token()
    aws.create_first(first, OLD)
    manager.plant_empty_pending(aws.name, empty)
    assert stages(aws) == {"current": first, "pending": empty}
    assert aws.read_version(empty) is None
    assert aws.read("pending") is None
    with pytest.raises(PendingElsewhere):
        aws.create_pending(new_token(), NEW)
    aws.withdraw(empty)
    assert stages(aws) == {"current": first}


@pytest.mark.parametrize("operation", ["CreateSecret", "PutSecretValue", "UpdateSecretVersionStage"])
def test_an_answer_that_is_lost_changes_nothing(manager: StrictSecretsManager, aws: Aws, operation: str) -> None:
    first, token = new_token(), new_token()
    lost = manager.inject(operation, faults.losing_the_answer, times=1)
    aws.create_first(first, OLD)
    aws.create_pending(token, NEW)
    aws.promote(token)
    assert lost.hits == 1
    assert stages(aws) == {"current": token, "previous": first}


def test_refusals_are_told_in_our_own_words(manager: StrictSecretsManager, aws: Aws) -> None:
    aws.create_first(new_token(), OLD)
    for code, words in (("AccessDeniedException", "may not do this"), ("DecryptionFailure", "KMS")):
        manager.inject("", secret_aws.refusing(code, f"it quotes {RIGHT} and {WRONG}"))
        with pytest.raises(StoreError, match=words) as told:
            aws.create_pending(new_token(), NEW)
        assert not secrets_in(str(told.value).encode())
        manager.heal()
    with pytest.raises(StoreError, match="cannot be reached"):
        Aws(AwsSettings("eu-central-1", "http://127.0.0.1:9", "a", "b", timeout=1, attempts=1), "x").versions()


def test_a_value_that_is_no_object_is_told_and_not_shown(aws: Aws) -> None:
    aws.create_first(new_token(), OLD)
    aws._client.put_secret_value(SecretId=aws.name, SecretString=f"just {RIGHT}", ClientRequestToken=new_token())
    with pytest.raises(StoreError, match="no JSON object") as told:
        aws.read("current")
    assert not secrets_in(str(told.value).encode())
    assert stores.labelled(aws.versions(), "current")
