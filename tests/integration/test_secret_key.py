# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys of a service that is asked by commands: the waits, who uses what, the ways back, and what is refused."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from support.canary import RIGHT, CommandLines, secrets_in
from support.modules import start_module
from support.secret_api_keys import FIRST_ID, KeyShop, Service, later, service_shop
from support.secrets import DAY, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider import ProviderError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import new_token

STEPS = ["create", "test", "finish", "reload", "observe", "disable", "rest", "delete"]


@pytest.fixture
def both(tmp_path: pathlib.Path) -> tuple[KeyShop, Service]:
    return service_shop(tmp_path)


def test_a_year_of_a_key(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    first = shop.current_id()
    assert "not due" in shop.rotate()[0].summary
    later(shop, service, 292 * DAY)
    assert shop.rotate(check=True)[1].planned == STEPS
    assert list(service.keys) == [FIRST_ID]

    # Made, tried, given out. What it was tried with is not taken for use by the application.
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.rotated, outcome.waits_for) == ("ok", True, "use"), result
    new = outcome.key
    assert shop.in_file() == (new, service.keys[new]["secret"])
    assert shop.current_id() == new
    assert service.keys[new]["last_used"] is not None
    assert service.keys[first]["active"]

    # The application uses it; one of those that were forgotten still uses the old one.
    later(shop, service, 3600)
    assert service.lets_in(*shop.in_file())
    assert service.lets_in(first, RIGHT)
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.changed, outcome.waits_for) == ("ok", False, "disable"), result
    later(shop, service, DAY - 60)
    assert shop.rotate()[1].waits_for == "disable"
    assert service.keys[first]["active"]
    later(shop, service, 120)
    result, outcome = shop.rotate()
    assert (outcome.changed, outcome.waits_for) == (True, "delete"), result
    assert not service.keys[first]["active"]

    later(shop, service, 7 * DAY - 60)
    result, outcome = shop.rotate()
    assert (outcome.changed, outcome.waits_for) == (False, "delete")
    assert 0 < result.figures["wait_seconds"] <= 60
    later(shop, service, 120)
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.changed, outcome.waits_for) == ("ok", True, ""), result
    assert list(service.keys) == [new]
    assert stages(shop.store) == {"current": outcome.version}
    assert not shop.rotate()[1].changed
    assert "create" in service.state["orders"]


def test_who_does_not_move_is_a_finding_and_nothing_is_closed(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    shop.rotate(force=True)
    later(shop, service, 3 * DAY)
    result, outcome = shop.rotate()
    assert [finding.id for finding in result.findings] == ["secret-new-unused"]
    assert service.lets_in(*shop.in_file())
    assert service.lets_in(FIRST_ID, RIGHT)
    result, outcome = shop.rotate()
    assert [finding.id for finding in result.findings] == ["secret-old-in-use"]
    assert outcome.waits_for == "disable"
    assert service.keys[FIRST_ID]["active"]


def test_a_service_that_does_not_tell_uses_has_no_old_key_closed(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    service.write({**service.state, "blind": True})
    shop.rotate(force=True)
    later(shop, service, 99 * DAY)
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.waits_for) == ("unknown", "unseen")
    assert service.keys[FIRST_ID]["active"]


def test_it_comes_back_when_somebody_misses_the_old_one(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    shop.rotate(force=True)
    later(shop, service, DAY)
    assert service.lets_in(*shop.in_file())
    later(shop, service, DAY)
    assert shop.rotate()[1].waits_for == "delete"
    assert not service.lets_in(FIRST_ID, RIGHT)
    shop.health = Health(command=("false",), timeout=1)
    result, outcome = shop.rotate()
    assert result.verdict == "failed"
    assert "all was undone" in result.reason
    assert outcome.changed
    assert list(service.keys) == [FIRST_ID]
    assert service.lets_in(*shop.in_file())
    assert shop.in_file() == (FIRST_ID, RIGHT)
    assert shop.current_id() == FIRST_ID


def test_an_open_rotation_is_taken_back_on_demand(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    assert "nothing to go back to" in shop.rotate(rollback=True)[0].reason
    shop.rotate(force=True)
    later(shop, service, DAY)
    assert service.lets_in(*shop.in_file())
    later(shop, service, DAY)
    shop.rotate()
    assert shop.rotate(check=True, rollback=True)[1].changed
    result, _outcome = shop.rotate(rollback=True)
    assert (result.verdict, list(service.keys)) == ("ok", [FIRST_ID]), result
    assert service.lets_in(*shop.in_file())
    assert stages(shop.store) == {"current": shop.current().version}
    assert shop.rotate(force=True)[1].rotated


def test_a_key_that_others_know_is_closed_at_once(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    # Whoever knows it uses it all the time, and an administrator has closed it already.
    service.write({**service.state, "keys": {FIRST_ID: {**service.keys[FIRST_ID], "active": False}}})
    assert "is closed: open it, or use emergency" in shop.rotate(force=True)[0].reason
    result, outcome = shop.rotate(emergency=True)
    assert (result.verdict, outcome.rotated, list(service.keys)) == ("ok", True, [outcome.key]), result
    assert service.lets_in(*shop.in_file())


def test_what_leaked_while_a_rotation_is_open_is_replaced_as_well(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    second = shop.rotate(force=True)[1].key
    result, outcome = shop.rotate(emergency=True)
    assert result.verdict == "ok", result
    assert list(service.keys) == [outcome.key]
    assert outcome.key not in (FIRST_ID, second)


def test_a_compromised_key_is_not_opened_again_by_a_failure(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    # It is well until the old key is closed.
    is_open = f'"{FIRST_ID}": {{"secret": "{RIGHT}", "active": true'
    shop.health = Health(command=("grep", "-q", is_open, str(service.path)))
    result, _outcome = shop.rotate(emergency=True)
    assert result.verdict == "failed"
    assert "past the point of no return" in result.reason
    assert not service.keys[FIRST_ID]["active"]
    shop.health = Health()
    assert shop.rotate()[0].verdict == "ok"
    assert FIRST_ID not in service.keys


def test_a_second_key_that_the_store_does_not_know_stops_it(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    stranger = shop.provider.create()
    before = service.keys
    result, outcome = shop.rotate(force=True)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert f"{stranger['id']} (open)" in result.reason
    assert "no third key is made" in result.reason
    assert service.keys == before


def test_another_host_s_half_is_gone_on_with(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    # Pending in the store and made at the service, or current with the old one still there: without a journal.
    made = shop.provider.create()
    shop.store.create_pending(new_token(), made)
    result, outcome = shop.rotate()
    assert (outcome.key, outcome.waits_for) == (made["id"], "use"), result
    for path in (shop.directory / "state").glob("*"):
        path.unlink()
    later(shop, service, 3600)
    assert service.lets_in(*shop.in_file())
    result, outcome = shop.rotate()
    assert (outcome.key, outcome.old_key, outcome.waits_for) == (made["id"], FIRST_ID, "use"), result
    later(shop, service, 60)
    assert service.lets_in(*shop.in_file())
    later(shop, service, 9 * DAY)
    assert shop.rotate()[1].waits_for == "delete"
    later(shop, service, 9 * DAY)
    assert shop.rotate()[0].verdict == "ok"
    assert list(service.keys) == [made["id"]]


def test_a_consumer_that_does_not_take_it_up_brings_all_back(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    shop.more = (Consumer("deaf", commands=(("true",),), probe=("false",), timeout=0.3),)
    result, _outcome = shop.rotate(force=True)
    assert result.verdict == "failed"
    assert "consumer deaf does not use the new secret" in result.reason
    assert list(service.keys) == [FIRST_ID]
    assert shop.in_file() == (FIRST_ID, RIGHT)


def test_consumers_are_not_told_again_while_it_is_waited(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    told = shop.directory / "told"
    tell = ("sh", "-c", f"echo told >>{told}")
    shop.more = (Consumer("api", commands=(tell,), probe=("grep", "-q", "told", str(told))),)
    shop.rotate(force=True)
    for _run in range(2):
        later(shop, service, 600)
        shop.rotate()
    assert told.read_text() == "told\n"
    # One that has lost its file meanwhile gets it again.
    shop.env.write_text("KEY_ID=\nKEY_SECRET=\n")
    shop.rotate()
    assert shop.in_file()[0] == shop.current_id()


def test_a_command_that_says_nonsense_is_told_and_nothing_shown(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    for order, script in (("list", f"echo '{RIGHT}'"), ("create", f"echo '{RIGHT}'; exit 3"), ("create", "echo '{}'")):
        argv = {**service.provider.argv, order: ("sh", "-c", script)}
        shop.provider = type(service.provider)(argv, 5)
        result, _outcome = shop.rotate(force=True)
        assert result.verdict == "failed", (order, result)
        assert f"command {order}" in result.reason
        assert not secrets_in(json.dumps(result.to_dict()).encode())
    shop.provider = service.provider
    with pytest.raises(ProviderError, match="could not look"):
        type(service.provider)({**service.provider.argv, "check": ("sh", "-c", "exit 9")}, 5).refusal(shop.first)
    assert list(service.keys) == [FIRST_ID]


# -- the module ----------------------------------------------------------------------------------------------


def arguments(shop: KeyShop, service: Service, **more: t.Any) -> dict[str, t.Any]:
    store: t.Any = shop.store
    commands = {order: service.command(order) for order in ("list", "create", "check", "enable", "disable", "delete")}
    return {
        "name": "key",
        "store": {
            "kind": "files",
            "directory": store.directory,
            "recipients": list(store.recipients),
            "identity_file": store.identity_file,
        },
        "provider": {"kind": "command", **commands},
        "consumers": [
            {
                "name": "application",
                "files": [
                    {"path": str(shop.env), "kind": "env", "values": {"KEY_ID": "{id}", "KEY_SECRET": "{secret}"}}
                ],
            }
        ],
        "state_dir": str(shop.directory / "state"),
        **more,
    }


def run(arguments: dict[str, t.Any], check: bool = False) -> dict[str, t.Any]:
    stdout, stderr = start_module("secret_rotate_key", arguments, check).communicate(timeout=60)
    assert not secrets_in(stdout + stderr)
    return dict(json.loads(stdout))


def test_the_module_and_no_secret_in_what_it_says(both: tuple[KeyShop, Service]) -> None:
    shop, service = both
    with CommandLines() as lines:
        foretold = run(arguments(shop, service, force=True), check=True)
        assert (foretold["changed"], foretold["planned"]) == (True, STEPS)
        assert list(service.keys) == [FIRST_ID]
        told = run(arguments(shop, service, force=True))
        assert (told["verdict"], told["changed"], told["waits_for"]) == ("ok", True, "use"), told
        assert told["diff"] == {"before": f"key: {FIRST_ID}\n", "after": f"key: {told['key']}\n"}
        again = run(arguments(shop, service))
        assert (again["verdict"], again["changed"]) == ("ok", False), again
        back = run(arguments(shop, service, rollback=True))
        assert (back["verdict"], back["key"]) == ("ok", FIRST_ID), back
        present = {"present_id": FIRST_ID, "present_secret": RIGHT, "name": "other"}
        assert "is stored" in run(arguments(shop, service, **present))["summary"]
        wrong = run(arguments(shop, service, **{**present, "present_secret": f"{RIGHT}x", "name": "third"}))
        assert "is not let in, so nothing was stored" in wrong["msg"]
    made = [str(shop.store.read_version(version.id)) for version in shop.store.versions()]
    assert made
    assert not lines.caught


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"present_id": "x"}, "belong together"),
        ({"emergency": True, "rollback": True}, "is not brought back"),
        ({"provider": {"kind": "command"}}, "provider.list is empty"),
        ({"provider": {"kind": "aws_iam"}}, "provider.user is empty"),
        ({"provider": {"kind": "aws_iam", "user": "u", "list": ["x"]}}, "provider.list is for kind 'command'"),
        ({"provider": {"kind": "command", "user": "u"}}, "provider.user is for kind 'aws_iam'"),
        ({"quiet_for": "soon"}, "quiet_for: duration 'soon'"),
        ({"consumers": [{"name": "a", "probe": ["x"], "prove_sessions": True}]}, "is for passwords of databases"),
    ],
)
def test_bad_input_is_one_error(both: tuple[KeyShop, Service], wrong: dict[str, t.Any], words: str) -> None:
    shop, service = both
    assert words in run(arguments(shop, service, **wrong))["msg"]
    assert service.state["orders"] == []
