# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_deploy for a real nginx."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t

import pytest
from support.deployments import NAME, Clients, Site
from support.nginx_service import NginxService

pytestmark = pytest.mark.nginx


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    ready = Site(tmp_path, NginxService)
    assert isinstance(ready.service, NginxService)
    ready.test_command = ready.service.test_command
    with ready:
        yield ready


def test_under_constant_handshakes_none_fails_and_none_sees_a_third_certificate(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    with Clients(site) as clients:
        result, outcome = site.deploy()
    assert (result.verdict, result.reason, outcome.changed) == ("ok", "", True)
    assert clients.failures == []
    assert set(clients.seen) == {site.first.fingerprint, new.fingerprint}
    assert site.served() == {new.fingerprint}
    assert not site.deploy()[1].changed


def test_what_its_own_test_takes_is_refused_by_ours(site: Site) -> None:
    for issued in (site.authority.issue(NAME, days=200, left=-1), site.authority.issue("other.example.com", left=89)):
        pair = issued.write(site.place / "tried")
        text = site.service.configuration.read_text()  # type: ignore[attr-defined]
        own = text.replace(str(site.current / "fullchain.pem"), str(pair.certificate))
        tried = site.place / "tried.conf"
        tried.write_text(own.replace(str(site.current / "privkey.pem"), str(pair.key)))
        command = ["nginx", "-p", str(site.service.directory), "-c", str(tried), "-t", "-q"]
        assert subprocess.run(command, check=False).returncode == 0
        site.stage(issued)
        result, outcome = site.deploy()
        assert (result.verdict, outcome.changed, site.served()) == ("failed", False, {site.first.fingerprint})


def test_a_configuration_that_is_broken_meanwhile_brings_the_old_pair_back(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    configuration = site.service.configuration  # type: ignore[attr-defined]
    text = configuration.read_text()
    configuration.write_text(text + "broken")
    result, outcome = site.deploy()
    assert (result.verdict, outcome.changed, site.served()) == ("failed", False, {site.first.fingerprint})
    assert "step 'test the configuration' failed" in result.reason
    assert site.in_use() == site.first.fullchain
    configuration.write_text(text)
    assert site.deploy()[0].verdict == "ok"
    assert site.served() == {new.fingerprint}
