# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL after every step of a key's rotation, forwards and backwards.

What must happen: the next runs end with one key that the store gives out, the application's file has it, the service
lets it in, and it is the only one there. At no moment is the application locked out, or a third key there.
"""

from __future__ import annotations

import pathlib

from support.secret_api_keys import FIRST_ID, KeyShop, Service, later, near_shop
from support.secrets import DAY, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.api_key_steps import NAMES

#: When each step is reached: those after a wait are killed in a later run.
_EARLY = ("create", "test", "finish", "reload")


def uses(shop: KeyShop) -> bool:
    """The application uses the key in its file."""
    return not shop.provider.refusal({"id": shop.in_file()[0], "secret": shop.in_file()[1]})


def serves(shop: KeyShop, service: Service, point: str) -> None:
    """Nothing has come to its aid yet: who reads the store, and who has the file, is let in."""
    assert not shop.provider.refusal(shop.current().value), f"the store's key is not let in after {point}"
    assert uses(shop), f"the file's key is not let in after {point}"
    assert len(service.keys) <= 2, point


def to_the_end(shop: KeyShop, service: Service) -> None:
    for _run in range(6):
        result, outcome = shop.rotate()
        assert result.verdict == "ok", result
        if outcome.rotated and not outcome.waits_for:
            break
        later(shop, service, 60)
        assert uses(shop)
        later(shop, service, 8 * DAY)
    current = shop.current()
    assert stages(shop.store) == {"current": current.version}
    assert list(service.keys) == [current.value["id"]]
    assert shop.in_file() == (current.value["id"], current.value["secret"])
    assert uses(shop)


def test_killed_after_every_step_it_converges(tmp_path: pathlib.Path) -> None:
    shop, service = near_shop(tmp_path)
    for name in NAMES:
        for point in (f"-intent {name}", f"-done {name}", f"+done {name}"):
            if name == "rest" and point.startswith("-intent"):
                continue  # a step that only waits has its intent in the run that closes the old key
            before = shop.current_id()
            if name in _EARLY:
                assert shop.rotate_and_be_killed(point, force=True), f"never came to {point}"
            else:
                shop.rotate(force=True)
                later(shop, service, 60)
                assert uses(shop)
                later(shop, service, 2 * DAY)
                if name in ("rest", "delete"):
                    assert shop.rotate()[1].waits_for == "delete"
                    later(shop, service, 8 * DAY)
                assert shop.rotate_and_be_killed(point), f"never came to {point}"
            serves(shop, service, point)
            to_the_end(shop, service)
            assert shop.current_id() != before, point


def test_killed_between_the_service_and_the_store_the_lost_key_goes(tmp_path: pathlib.Path) -> None:
    """Its secret was told once and is lost. Nobody has used it, so nobody misses it."""
    shop, service = near_shop(tmp_path)
    assert shop.rotate_and_be_killed("+intent create", force=True)
    lost = shop.provider.create()["id"]
    serves(shop, service, "lost")
    result, outcome = shop.rotate()
    assert (result.verdict, outcome.waits_for) == ("ok", "use"), result
    assert set(service.keys) == {FIRST_ID, outcome.key}
    assert lost not in service.keys
    to_the_end(shop, service)


def test_a_key_that_somebody_made_meanwhile_and_uses_is_left_alone(tmp_path: pathlib.Path) -> None:
    shop, service = near_shop(tmp_path)
    assert shop.rotate_and_be_killed("+intent create", force=True)
    made = shop.provider.create()
    assert not shop.provider.refusal(made)
    result, _outcome = shop.rotate()
    assert result.verdict == "failed"
    assert f"{made['id']}, which is in use" in result.reason
    assert set(service.keys) == {FIRST_ID, made["id"]}


def test_killed_while_it_is_taken_back_the_old_one_is_let_in_after_the_next_run(tmp_path: pathlib.Path) -> None:
    shop, service = near_shop(tmp_path)
    points = [f"{when}undone {name}" for name in ("disable", "reload", "finish", "create") for when in "-+"]
    for point in points:
        shop.rotate(force=True)
        later(shop, service, 60)
        assert uses(shop)
        later(shop, service, 2 * DAY)
        assert shop.rotate()[1].waits_for == "delete"
        shop.health = Health(command=("false",), timeout=1)
        assert shop.rotate_and_be_killed(point), f"never came to {point}"
        serves(shop, service, point)
        shop.health = Health()
        result, _outcome = shop.rotate()
        assert result.verdict in ("ok", "findings"), (point, result)
        assert list(service.keys) == [FIRST_ID], point
        assert shop.current_id() == FIRST_ID
        assert uses(shop)
        assert stages(shop.store) == {"current": shop.current().version}
