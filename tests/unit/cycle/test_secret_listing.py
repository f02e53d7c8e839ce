# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project's list of secrets: read as a whole, and one clear error for the first thing that is wrong."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.steward.maintenance.plugins.filter.chosen_secrets import OPTIONS
from ansible_collections.steward.maintenance.plugins.module_utils._core.health import HEALTH_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_arguments import ROLE_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.api_key_arguments import API_KEY_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import (
    CONSUMERS_ARGUMENT,
    ROTATION_ARGUMENTS,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.key_arguments import KEY_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.listing import (
    API_KEY,
    COMMAND,
    DATABASE,
    JWT,
    Listed,
    chosen_secrets,
    of_secret,
)

TASKS = pathlib.Path(__file__).resolve().parents[3] / "roles" / "secret_rotation" / "tasks"
PERIODS = {DATABASE: "90d", JWT: "90d", API_KEY: "365d", COMMAND: "365d"}
LISTED = Listed({"kind": "files"}, PERIODS, OPTIONS)
ENTRIES = [
    {"name": "one", "kind": "database", "users": ["a"], "period": "30d"},
    {"name": "two", "kind": "jwt", "store": {"kind": "aws"}},
    {"name": "three", "kind": "api_key"},
]


def names(**chosen: t.Any) -> list[str]:
    return [entry["name"] for entry in chosen_secrets(ENTRIES, LISTED, **chosen)]


def test_an_entry_may_have_the_options_of_the_modules_that_rotate() -> None:
    decided_elsewhere = {"name", "period", "force", "state_dir", "emergency", "rollback", "elsewhere", "taken_up"}
    need = {"period", "rotate_after_percent", *CONSUMERS_ARGUMENT, *HEALTH_ARGUMENTS}
    of_keys = {*need, *(set(API_KEY_ARGUMENTS) - decided_elsewhere)}
    expected = {
        DATABASE: {"login", *need, *(set(ROTATION_ARGUMENTS) - decided_elsewhere), *ROLE_ARGUMENTS},
        JWT: {*need, *(set(KEY_ARGUMENTS) - decided_elsewhere)},
        API_KEY: of_keys,
        COMMAND: of_keys,
    }
    assert expected == OPTIONS


def test_each_has_its_store_its_period_and_whether_others_know_it() -> None:
    one, two, three = chosen_secrets(ENTRIES, LISTED)
    assert (one["period"], one["store"], one["emergency"]) == ("30d", {"kind": "files"}, False)
    assert (two["period"], two["store"]) == ("90d", {"kind": "aws"})
    assert three["period"] == "365d"
    assert "store" not in ENTRIES[0], "what is given is left as it is"


def test_those_that_are_asked_for() -> None:
    assert names() == ["one", "two", "three"]
    assert names(kinds=["jwt", "api_key"]) == ["two", "three"]
    assert names(only=["three"]) == ["three"]
    # In an emergency the others are left alone, whatever is due.
    assert names(compromised=["two"]) == ["two"]
    assert names(compromised=["two"], kinds=["database"]) == []
    (two,) = chosen_secrets(ENTRIES, LISTED, compromised=["two"])
    assert two["emergency"]


@pytest.mark.parametrize(
    ("entries", "more", "words"),
    [
        ({"name": "x"}, {}, "is no list"),
        (["x"], {}, "entry 1 is no dictionary"),
        ([{"kind": "jwt"}], {}, "entry 1 has no name"),
        ([{"name": "x", "kind": "datbase"}], {}, "did you mean 'database'"),
        ([{"name": "x"}], {}, "unknown kind '' "),
        ([*ENTRIES, {"name": "x", "kind": "database", "ownr": 1}], {}, "unknown key 'ownr'; did you mean 'owner'"),
        ([{"name": "x", "kind": "jwt", "users": []}], {}, "(kind jwt) has the unknown key 'users'"),
        ([{"name": "x", "kind": "jwt", "force": True}], {}, "unknown key 'force'"),
        ([{"name": "x", "kind": "jwt"}, {"name": "x", "kind": "jwt"}], {}, "'x' is there twice"),
        ([{"name": "x", "kind": "jwt", "period": "quarter"}], {}, "period of 'x': duration 'quarter'"),
        (ENTRIES, {"only": ["ones"]}, "unknown secret 'ones'; did you mean 'one'"),
        (ENTRIES, {"compromised": ["thre"]}, "secret_rotation_compromised: unknown secret 'thre'"),
    ],
)
def test_one_error_names_what_is_wrong(entries: t.Any, more: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError) as told:
        chosen_secrets(entries, LISTED, **more)
    assert words.strip() in str(told.value)


def test_one_host_leads_and_each_has_its_consumers() -> None:
    api, worker = {"name": "api", "hosts": ["web1", "web2"]}, {"name": "worker", "hosts": ["jobs"]}
    both = {"name": "agent"}
    entry = {**ENTRIES[0], "hosts": ["web1", "web2", "jobs"], "consumers": [api, worker, both]}
    (led,) = chosen_secrets([entry], LISTED, host="web1")
    assert led["elsewhere"] == ["web2", "jobs"]
    assert [one["name"] for one in led["consumers"]] == ["api", "agent"]
    at = {host: [one["name"] for one in led["consumers_at"][host]] for host in led["consumers_at"]}
    assert at == {"web1": ["api", "agent"], "web2": ["api", "agent"], "jobs": ["worker", "agent"]}
    assert "hosts" not in str(led["consumers_at"]), "the modules would not know what to do with it"
    # Two that rotate the same secret would be in each other's way.
    assert chosen_secrets([entry], LISTED, host="web2") == []
    assert len(chosen_secrets([entry, ENTRIES[1]], LISTED, host="elsewhere")) == 1
    assert chosen_secrets([ENTRIES[1]], LISTED, host="web2")[0]["elsewhere"] == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"hosts": "web1"}, "hosts is no list of hosts"),
        ({"hosts": ["web1", ""]}, "hosts is no list of hosts"),
        ({"hosts": ["web1", "web1"]}, "the host 'web1' is there twice"),
        ({"hosts": ["web1"], "consumers": [{"name": "a", "hosts": ["wbe1"]}]}, "host 'wbe1'; did you mean 'web1'"),
        ({"consumers": [{"name": "a", "hosts": ["web1"]}]}, "has hosts, and the secret has none"),
        ({"hosts": ["web1"], "consumers": [{"name": "a", "hosts": "web1"}]}, "hosts of the consumer 'a' is no list"),
    ],
)
def test_hosts_that_cannot_be_are_told(more: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError) as told:
        chosen_secrets([{**ENTRIES[0], **more}], LISTED)
    assert words in str(told.value)


def test_no_value_of_an_entry_is_in_an_error() -> None:
    with pytest.raises(InputError) as told:
        chosen_secrets([{"name": "x", "kind": "database", "present_pasword": "planted"}], LISTED)
    assert "planted" not in str(told.value)
    with pytest.raises(InputError, match="has no store"):
        chosen_secrets([{"name": "x", "kind": "jwt"}], Listed({}, PERIODS, OPTIONS))


@pytest.mark.parametrize(
    ("file", "kind"), [("password", DATABASE), ("token_keys", JWT), ("api_key", API_KEY), ("api_key", COMMAND)]
)
def test_the_role_hands_on_every_key_that_an_entry_may_have(file: str, kind: str) -> None:
    (task, _publish) = yaml.safe_load((TASKS / f"{file}.yml").read_text())
    handed_on = set(re.findall(r"__secret_rotation_entry\.(\w+)", yaml.safe_dump(task)))
    assert OPTIONS[kind] - {"login"} <= handed_on
    assert handed_on <= {*OPTIONS[kind], "name", "store", "period", "emergency", "kind", "elsewhere"}


def test_results_of_several_secrets_stand_side_by_side() -> None:
    told = of_secret({"verdict": "ok", "summary": "s", "figures": {"duration_seconds": 1}, "changed": True}, "one")
    assert (told["summary"], told["figures"], told["changed"]) == ("one: s", {"one:duration_seconds": 1}, True)
    failed = of_secret({"failed": True, "msg": "no such module"}, "one")
    assert (failed["verdict"], failed["reason"]) == ("failed", "one: no such module")
