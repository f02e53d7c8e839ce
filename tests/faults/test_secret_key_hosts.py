# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys with several hosts: no lock is between them, and still none takes away what another one has given out."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

from support.secret_api_keys import FIRST_ID, KeyShop, Near, Service, later, near_shop
from support.secrets import DAY, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider import Key
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotation import Others
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import new_token


class Meanwhile(Near):
    """The service, and something that happens once: when this host has begun, or when it closes a key."""

    def __init__(self, service: Service, state: pathlib.Path) -> None:
        super().__init__(service)
        self.state = state
        self.when_begun: t.Callable[[], object] | None = None
        self.when_closing: t.Callable[[], object] | None = None

    def list_keys(self) -> list[Key]:
        begun = any('"intent"' in path.read_text() for path in self.state.glob("*.journal"))
        if begun and self.when_begun:
            happens, self.when_begun = self.when_begun, None
            happens()
        return super().list_keys()

    def disable(self, key: str) -> None:
        super().disable(key)
        if self.when_closing:
            happens, self.when_closing = self.when_closing, None
            happens()


def two_hosts(directory: pathlib.Path) -> tuple[KeyShop, KeyShop, Meanwhile, Service]:
    shop, service = near_shop(directory)
    place = directory / "host2"
    place.mkdir()
    slow = Meanwhile(service, place / "state")
    other = dataclasses.replace(shop, directory=place, provider=slow)
    other.env.write_text(shop.env.read_text())
    return shop, other, slow, service


def test_a_key_that_another_host_has_given_out_is_not_taken_for_a_lost_one(tmp_path: pathlib.Path) -> None:
    shop, other, slow, service = two_hosts(tmp_path)
    slow.when_begun = lambda: shop.rotate(force=True)
    result, _outcome = other.rotate(force=True)
    assert (result.verdict, result.reason[:5]) == ("unknown", "busy:"), result
    given_out = shop.in_file()[0]
    assert given_out != FIRST_ID
    assert set(service.keys) == {FIRST_ID, given_out}
    assert service.keys[given_out]["active"]
    assert shop.current_id() == given_out
    later(shop, service, 60)
    assert not shop.provider.refusal({"id": given_out, "secret": shop.in_file()[1]})
    later(shop, service, 2 * DAY)
    assert shop.rotate()[1].waits_for == "delete"


def test_a_key_that_another_host_stores_at_this_very_moment_is_opened_again(tmp_path: pathlib.Path) -> None:
    shop, other, slow, service = two_hosts(tmp_path)
    made: dict[str, str] = {}
    slow.when_begun = lambda: made.update(shop.provider.create())
    slow.when_closing = lambda: shop.store.create_pending(new_token(), made)
    result, _outcome = other.rotate(force=True)
    assert result.verdict == "unknown", result
    assert service.keys[made["id"]]["active"]
    assert stages(shop.store)["pending"]


def test_the_new_key_is_not_deleted_before_the_old_one_was_seen_to_be_let_in(tmp_path: pathlib.Path) -> None:
    shop, service = near_shop(tmp_path)
    shop.waits = dataclasses.replace(shop.waits, ready=0)
    new = shop.rotate(force=True)[1].key
    # An administrator has closed the old one by hand, and then the new one is to be taken back.
    shop.provider.disable(FIRST_ID)
    result, outcome = shop.rotate(rollback=True)
    assert (result.verdict, outcome.stays_open) == ("failed", True), result
    assert f"the old key {FIRST_ID} is not let in" in result.reason
    assert service.keys[new]["active"]
    assert (shop.current_id(), shop.in_file()[0]) == (new, new)
    shop.provider.enable(FIRST_ID)
    assert shop.rotate(rollback=True)[0].verdict == "ok"
    assert list(service.keys) == [FIRST_ID]
    assert shop.in_file()[0] == FIRST_ID


def test_the_old_key_is_not_closed_before_all_hosts_have_the_new_one(tmp_path: pathlib.Path) -> None:
    shop, service = near_shop(tmp_path)
    others = Others(("web2",))
    _result, outcome = shop.rotate(force=True, others=others)
    assert (outcome.waits_for, outcome.missing_hosts) == ("hosts", ["web2"])
    later(shop, service, 60)
    assert not shop.provider.refusal(shop.current().value)
    later(shop, service, 9 * DAY)
    result, outcome = shop.rotate(others=dataclasses.replace(others, seen={}))
    assert (result.verdict, outcome.missing_hosts) == ("unknown", ["web2"]), result
    assert shop.is_open(FIRST_ID)
    # On the way back the new one stays for as long as another host may have it.
    new, old_version = shop.current_id(), stages(shop.store)["previous"]
    result, outcome = shop.rotate(rollback=True, others=others)
    assert (result.verdict, outcome.missing_hosts) == ("ok", ["web2"]), result
    assert (shop.current_id(), shop.is_open(new)) == (FIRST_ID, True)
    shop.rotate(rollback=True, others=dataclasses.replace(others, seen={"web2": old_version}))
    assert list(service.keys) == [FIRST_ID]
    # And forwards: once it was seen everywhere, it goes its way.
    shop.rotate(force=True, others=others)
    seen = dataclasses.replace(others, seen={"web2": stages(shop.store)["current"]})
    assert shop.rotate(others=seen)[1].waits_for == "use"


def test_a_service_that_does_not_tell_who_uses_the_old_key_keeps_it_open(tmp_path: pathlib.Path) -> None:
    shop, service = near_shop(tmp_path)

    class Blind(Near):
        def list_keys(self) -> list[Key]:
            return [dataclasses.replace(key, tells_use=key.id != FIRST_ID) for key in super().list_keys()]

    shop.provider = Blind(service)
    shop.rotate(force=True)
    later(shop, service, 60)
    assert not shop.provider.refusal(shop.current().value)
    later(shop, service, 9 * DAY)
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.waits_for) == ("unknown", "unseen"), result
    assert shop.is_open(FIRST_ID)
    assert shop.health == Health()
