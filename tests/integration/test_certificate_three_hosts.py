# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rotate_certificates on three hosts with an nginx each, under constant handshakes with all of them.

The hosts are three in the inventory and in what they have: service, directories, account, journal. They
share the machine, as in Molecule's scenario `certificates` they do not.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import typing as t

import pytest
from support.acme import Place
from support.deployments import NAME, Clients, Site
from support.nginx_service import NginxService
from support.plays import environment

pytest_plugins = ("support.acme_fixtures",)
pytestmark = [pytest.mark.pebble, pytest.mark.nginx]

HOSTS = ("web1", "web2", "web3")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_given: t.Any) -> None:
        pass


@pytest.fixture
def sites(tmp_path: pathlib.Path) -> t.Iterator[dict[str, Site]]:
    with contextlib.ExitStack() as stack:
        ready = {}
        for host in HOSTS:
            (tmp_path / host).mkdir()
            site = Site(tmp_path / host, NginxService)
            assert isinstance(site.service, NginxService)
            site.test_command = site.service.test_command
            ready[host] = stack.enter_context(site)
        yield ready


@pytest.fixture
def webroot(acme: Place, tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """What the load balancer in front of the three serves."""
    root = tmp_path / "webroot"
    root.mkdir()
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", acme.pebble.http_port), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield root
        server.shutdown()


def _variables(site: Site, webroot: pathlib.Path) -> dict[str, t.Any]:
    """What differs from host to host."""
    service = site.service
    return {
        "certificate_rotation_certificates": [
            {
                "name": site.store.name,
                "names": [NAME],
                "webroot": str(webroot),
                "look_at": ["127.0.0.1"],
                "listeners": [{"host": NAME, "port": service.port, "addresses": list(service.hosts)}],
                "trust": site.trust,
                "test_commands": [site.test_command],
                "reload_commands": [service.reload_command],
                "proof_timeout": "20s",
            }
        ],
        "certificate_rotation_issued_dir": str(site.place / "issued"),
        "certificate_rotation_deployed_dir": str(site.store.parent),
        "certificate_rotation_state_dir": str(site.state),
        "certificate_rotation_account_dir": str(site.place / "account"),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }


def _rotate(directory: pathlib.Path, hosts: dict[str, dict[str, t.Any]], **common: t.Any) -> tuple[int, str]:
    inventory = directory / "inventory.json"
    inventory.write_text(json.dumps({"application": {"hosts": hosts, "vars": common}}), encoding="utf-8")
    tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [tool, "-i", str(inventory), "steward.maintenance.rotate_certificates"],
        env=environment(directory),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=250,
    )
    return done.returncode, re.sub(r"\s+", " ", done.stdout)


def test_no_handshake_fails_and_none_sees_another_certificate(
    acme: Place, sites: dict[str, Site], webroot: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    hosts = {host: _variables(site, webroot) for host, site in sites.items()}
    common = {
        "certificate_rotation_directory_url": acme.proxy.directory_url,
        "certificate_rotation_directory_trust": acme.pebble.trust,
        "certificate_rotation_terms_agreed": True,
        "certificate_rotation_calendar": [],
    }
    for variables in hosts.values():
        variables["certificate_rotation_certificates"][0]["http_port"] = acme.pebble.http_port

    # The new one is broken: it leads to nobody whom the clients of this site trust, which nginx would not mind.
    with contextlib.ExitStack() as stack:
        clients = {host: stack.enter_context(Clients(site, pause=0.1)) for host, site in sites.items()}
        status, told = _rotate(tmp_path, hosts, **common)
    assert status == 2, told
    assert told.count("clients do not trust it: its issuer is neither sent with it nor in the trust bundle") >= 3
    for host, site in sites.items():
        assert (clients[host].failures, set(clients[host].seen)) == ([], {site.first.fingerprint})
        assert clients[host].seen[site.first.fingerprint] > 20
        assert site.in_use() == site.first.fullchain
    assert len(acme.proxy.orders()) == 3

    # Those clients trust that authority from now on: the same pairs are brought into use, without another order. On one
    # host somebody has broken the configuration meanwhile: there the old pair stays.
    bundle = acme.pebble.managed("roots/0")
    for site in sites.values():
        path = pathlib.Path(site.trust)
        path.write_bytes(path.read_bytes() + bundle)
    broken = sites["web2"]
    assert isinstance(broken.service, NginxService)
    text = broken.service.configuration.read_text()
    broken.service.configuration.write_text(text + "broken")
    with contextlib.ExitStack() as stack:
        clients = {host: stack.enter_context(Clients(site, pause=0.1)) for host, site in sites.items()}
        status, told = _rotate(tmp_path, hosts, **common)
        broken.service.configuration.write_text(text)
        seen = {host: site.served() for host, site in sites.items()}
        first_status, first_told, status, told = status, told, *_rotate(tmp_path, hosts, **common)
    assert (first_status, "step 'test the configuration' failed" in first_told) == (2, True), first_told
    assert seen["web2"] == {broken.first.fingerprint}
    assert status == 0, told
    assert len(acme.proxy.orders()) == 3
    for host, site in sites.items():
        (new,) = site.served()
        assert new != site.first.fingerprint
        assert (clients[host].failures, set(clients[host].seen)) == ([], {site.first.fingerprint, new})
        assert min(clients[host].seen.values()) > 5
    assert len({fingerprint for site in sites.values() for fingerprint in site.served()}) == 3
