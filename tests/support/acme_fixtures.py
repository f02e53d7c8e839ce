# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of issuing: ask for them with ``pytest_plugins = ("support.acme_fixtures",)``."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest

from .acme import Place
from .acme_dns import Dns
from .acme_proxy import AcmeProxy
from .pebble import Pebble


@pytest.fixture(scope="session")
def acme_servers(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[Pebble, AcmeProxy, Dns]]:
    place = tmp_path_factory.mktemp("pebble")
    with contextlib.ExitStack() as stack:
        dns = stack.enter_context(Dns(place))
        pebble = stack.enter_context(Pebble(place / "server", dns.port))
        yield pebble, stack.enter_context(AcmeProxy(pebble)), dns


@pytest.fixture
def acme(acme_servers: tuple[Pebble, AcmeProxy, Dns], tmp_path: pathlib.Path) -> Place:
    pebble, proxy, dns = acme_servers
    proxy.reset()
    return Place(tmp_path, pebble, proxy, dns)
