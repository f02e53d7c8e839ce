# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments become a store; secrets are in no text that is made of it."""

from __future__ import annotations

import time

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._s3.settings import (
    STORE_ARGUMENTS,
    lock_from,
    store_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._s3.streams import Streams


def params(**given):
    return {**{name: spec.get("default") for name, spec in STORE_ARGUMENTS.items()}, "bucket": "backups", **given}


def test_keys_are_below_the_prefix():
    store = store_from(params(prefix="/a/b/"))
    assert store.key("1", "x") == "a/b/1/x"
    assert store.place == "s3://backups/a/b"
    assert store_from(params(prefix="")).key("1", "x") == "1/x"
    assert store_from(params(prefix="")).place == "s3://backups"


def test_secrets_do_not_show():
    store = store_from(params(access_key="name", secret_key="kanarienvogel", session_token="distelfink"))
    assert store.secret_key == "kanarienvogel"
    assert "kanarienvogel" not in repr(store)
    assert "distelfink" not in repr(store)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "https://s3.example.com", "https://[::1]:9000/"])
def test_endpoints_that_are_right(url):
    assert store_from(params(endpoint_url=url)).endpoint_url == url


@pytest.mark.parametrize(
    "url", ["s3.example.com", "ftp://x", "https://user:secret@x", "https://x/bucket", "https://x y"]
)
def test_endpoints_that_are_wrong_and_their_secrets(url):
    with pytest.raises(InputError, match="endpoint_url cannot be read") as caught:
        store_from(params(endpoint_url=url))
    assert "secret" not in str(caught.value)


def test_a_token_needs_its_keys():
    with pytest.raises(InputError, match="session_token is given without access_key"):
        store_from(params(session_token="x"))


def test_object_locks():
    assert lock_from({"lock_mode": "", "lock_days": 30}) is None
    lock = lock_from({"lock_mode": "COMPLIANCE", "lock_days": 2})
    assert lock is not None
    assert lock.parameters()["ObjectLockMode"] == "COMPLIANCE"


def test_the_first_failure_stops_what_is_not_begun():
    done = []

    def work(number):
        if number == 3:
            raise ValueError("three")
        time.sleep(0.02)
        done.append(number)
        return number

    with Streams(2) as streams:
        assert streams.each_object(work, [1, 2]) == [1, 2]
        with pytest.raises(ValueError, match="three"):
            streams.each_object(work, range(3, 200))
        assert streams.each_object(work, []) == []
    assert len(done) < 100
