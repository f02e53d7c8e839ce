# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access keys of IAM by its own rules, which a layer in front of moto's server enforces."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest
from support import s3_faults as faults
from support import secret_iam
from support.s3_server import S3Server
from support.secret_api_keys import KeyShop, key_shop
from support.secret_iam import StrictIam, iam_settings, new_user
from support.secrets import DAY, stages

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.aws_session import AwsSettings
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider import ProviderError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider_iam import Iam

pytest_plugins = ("support.secret_fixtures",)
pytestmark = pytest.mark.s3


@pytest.fixture
def layer(moto: S3Server) -> t.Iterator[StrictIam]:
    with StrictIam(moto.port) as strict:
        yield strict


@pytest.fixture
def shop(layer: StrictIam, tmp_path: pathlib.Path) -> KeyShop:
    iam, first = new_user(layer)
    return key_shop(tmp_path, iam, first)


def later(shop: KeyShop, layer: StrictIam, seconds: float) -> None:
    shop.ahead += seconds
    layer.ahead = datetime.timedelta(seconds=shop.ahead)


def uses(shop: KeyShop) -> bool:
    """The application calls the service with what stands in its file."""
    key, secret = shop.in_file()
    iam: t.Any = shop.provider
    return iam.refusal({"access_key_id": key, "secret_access_key": secret}) == ""


def test_a_rotation_from_the_first_key_to_the_deletion(shop: KeyShop, layer: StrictIam) -> None:
    first = shop.current_id()
    result, outcome = shop.rotate(force=True)
    assert (result.verdict, outcome.waits_for) == ("ok", "use"), result
    assert outcome.key in layer.used, "the test of the new key was no use of it"
    later(shop, layer, 3600)
    assert uses(shop)
    assert shop.rotate()[1].waits_for == "disable"
    later(shop, layer, DAY)
    assert shop.rotate()[1].waits_for == "delete"
    assert not shop.is_open(first)
    later(shop, layer, 7 * DAY + 60)
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.waits_for) == ("ok", ""), result
    assert [key.id for key in shop.provider.list_keys()] == [outcome.key]
    assert uses(shop)
    assert stages(shop.store) == {"current": outcome.version}
    assert layer.most_seen == 2


def test_the_layer_is_as_strict_as_it_says(layer: StrictIam) -> None:
    iam, first = new_user(layer)
    second = iam.create()
    with pytest.raises(ProviderError, match="has two keys already"):
        iam.create()
    assert "not known" in iam.refusal(second)
    assert iam.refusal(second) == ""
    iam.refusal(first)
    assert "secret does not belong" in iam.refusal({**first, "secret_access_key": "x" * 40})
    iam.disable(first["access_key_id"])
    assert "not known, or closed" in iam.refusal(first)
    iam.enable(first["access_key_id"])
    assert iam.refusal(first) == ""
    assert "not of somebody" in Iam(iam_settings(layer), "somebody").refusal(first)
    iam.delete(first["access_key_id"])
    iam.delete(first["access_key_id"])
    assert [key.id for key in iam.list_keys()] == [second["access_key_id"]]


@pytest.mark.parametrize("action", ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"])
def test_an_answer_that_is_lost_makes_no_third_key(shop: KeyShop, layer: StrictIam, action: str) -> None:
    lost = layer.inject(action, faults.losing_the_answer, times=1)
    result, _outcome = shop.rotate(force=True)
    if action == "CreateAccessKey":
        # Its secret is lost with it: it is deleted, and all is as before.
        assert (result.verdict, lost.hits) == ("failed", 1)
        assert len(shop.provider.list_keys()) == 1
        result, _outcome = shop.rotate(force=True)
    later(shop, layer, 3600)
    assert uses(shop)
    later(shop, layer, 2 * DAY)
    assert shop.rotate()[1].waits_for == "delete"
    later(shop, layer, 9 * DAY)
    result, outcome = shop.rotate()
    assert result.verdict == "ok", result
    assert (lost.hits, [key.id for key in shop.provider.list_keys()]) == (1, [outcome.key])
    assert layer.most_seen == 2


def test_a_new_key_that_never_becomes_known_is_taken_back(shop: KeyShop, layer: StrictIam) -> None:
    layer.delay = 10**6
    shop.waits = type(shop.waits)(ready=0.5)
    first = shop.current_id()
    result, _outcome = shop.rotate(force=True)
    assert result.verdict == "failed"
    assert "is not let in after" in result.reason
    assert [key.id for key in shop.provider.list_keys()] == [first]
    assert shop.in_file()[0] == shop.current_id() == first


def test_refusals_are_told_in_our_own_words(shop: KeyShop, layer: StrictIam) -> None:
    secret = shop.in_file()[1]
    layer.inject("ListAccessKeys", lambda _request, _forward: secret_iam.refusal("AccessDenied", 403, secret))
    result, outcome = shop.rotate(force=True)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "the credentials may not do this" in result.reason
    assert secret not in result.reason
    layer.heal()
    layer.inject("GetCallerIdentity", lambda _request, _forward: secret_iam.refusal("AccessDenied"))
    assert "cannot be seen" in shop.rotate(force=True)[0].reason
    with pytest.raises(ProviderError, match="cannot be reached"):
        Iam(AwsSettings("us-east-1", "http://127.0.0.1:9", "a", "b", timeout=1, attempts=1), "x").list_keys()


def test_the_key_that_asks_is_not_the_one_that_goes(shop: KeyShop, layer: StrictIam) -> None:
    key, secret = shop.in_file()
    iam: t.Any = shop.provider
    shop.provider = Iam(AwsSettings("us-east-1", layer.url, key, secret, timeout=5), iam.user)
    assert "give other credentials" in shop.rotate(force=True)[0].reason
