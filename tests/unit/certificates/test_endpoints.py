# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many endpoints side by side, some of them dead or mute, within the time for each and the time for all."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from support.certificates import Authority
from support.tls_servers import Server, context_of, free_address

from ansible_collections.steward.maintenance.plugins.module_utils._certificates import endpoints as crew
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.endpoints import Pace, look_at_all
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.handshake import Clients, Endpoint
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.trust import Trust

NAME = "www.example.com"


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients(Trust(Authority().write(tmp_path_factory.mktemp("trust"))))


def test_some_dead_and_mute_ones_hide_none_of_the_others(tmp_path: pathlib.Path, clients: Clients) -> None:
    context = context_of(Authority().issue(NAME), tmp_path)
    with Server(context, host="0.0.0.0") as well, Server(None) as mute:
        places = [Endpoint(NAME, well.port, (f"127.0.1.{number}",), NAME) for number in range(1, 37)]
        places += [Endpoint(NAME, free_address(), ("127.0.0.1",)), Endpoint(NAME, mute.port, ("127.0.0.1",))]
        places += [Endpoint("nowhere.invalid", 443), Endpoint("localhost", well.port, server_name=NAME)]
        looks = look_at_all(places, clients, Pace(timeout=1, deadline=30, jobs=8))
    assert [seen.endpoint for seen in looks if seen.address != "::1"] == places
    assert {seen.certificate is not None for seen in looks[:36]} == {True}
    assert "refused" in looks[36].reason
    assert "not over after 1 s" in looks[37].reason
    assert "no address" in looks[38].reason


def test_the_addresses_of_one_endpoint_are_looked_at_one_by_one(tmp_path: pathlib.Path, clients: Clients) -> None:
    with Server(context_of(Authority().issue(NAME), tmp_path)) as server:
        looks = look_at_all([Endpoint(NAME, server.port, ("127.0.0.2", "127.0.0.1"), NAME)], clients, Pace())
    assert [(seen.address, bool(seen.reason)) for seen in looks] == [("127.0.0.1", False), ("127.0.0.2", True)]


def test_what_is_not_over_at_the_end_of_all_time_could_not_be_looked_at(clients: Clients) -> None:
    with Server(None) as mute:
        places = [Endpoint(NAME, mute.port, (f"127.0.0.{number}",)) for number in (1,)]
        begun = time.monotonic()
        looks = look_at_all(places, clients, Pace(timeout=20, deadline=0.3))
        assert time.monotonic() - begun < 10
    assert [seen.reason for seen in looks] == ["all was to be over after 300 ms, and it was not"]


def test_a_name_server_that_hangs_does_not_keep_the_others_waiting(
    tmp_path: pathlib.Path, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = crew.addresses_of

    def addresses(endpoint: Endpoint) -> list[str]:
        if endpoint.host == "hangs":
            time.sleep(5)
        return really(endpoint)

    monkeypatch.setattr(crew, "addresses_of", addresses)
    with Server(context_of(Authority().issue(NAME), tmp_path)) as server:
        places = [Endpoint("hangs", 443), Endpoint(NAME, server.port, ("127.0.0.1",), NAME)]
        looks = look_at_all(places, clients, Pace(timeout=1, deadline=1.5, jobs=4))
    assert [bool(seen.reason) for seen in looks] == [True, False]


def test_a_look_that_breaks_is_told_and_stops_no_other(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_args: t.Any) -> t.NoReturn:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(crew, "look", breaks)
    looks = look_at_all([Endpoint(NAME, 1, ("127.0.0.1", "127.0.0.2"))], clients, Pace())
    assert [seen.reason for seen in looks] == ["looking at it failed: unforeseen"] * 2
