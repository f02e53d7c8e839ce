# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role certificate_rotation with a real ACME server and a real nginx, under constant handshakes."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from cryptography import x509
from support.acme import Place
from support.deployments import NAME, Clients, Site
from support.nginx_service import NginxService
from support.plays import Play

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.trust import Trust

pytest_plugins = ("support.acme_fixtures",)
pytestmark = [pytest.mark.pebble, pytest.mark.nginx]

_ROLE: list[dict[str, t.Any]] = [{"ansible.builtin.include_role": {"name": "steward.maintenance.certificate_rotation"}}]


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    (tmp_path / "site").mkdir()
    ready = Site(tmp_path / "site", NginxService)
    assert isinstance(ready.service, NginxService)
    ready.test_command = ready.service.test_command
    with ready:
        yield ready


@pytest.fixture
def play(acme: Place, site: Site, tmp_path: pathlib.Path) -> Play:
    trust = tmp_path / "trust.pem"
    trust.write_bytes(acme.pebble.managed("roots/0") + pathlib.Path(site.trust).read_bytes())
    listener = {"host": NAME, "port": site.service.port, "addresses": list(site.service.hosts)}
    certificate = {
        "name": site.store.name,
        "names": [NAME],
        "http_address": "127.0.0.1",
        "http_port": acme.pebble.http_port,
        "look_at": ["127.0.0.1"],
        "listeners": [listener],
        "test_commands": [site.test_command],
        "reload_commands": [site.service.reload_command],
        "proof_timeout": "10s",
    }
    ready = Play(tmp_path)
    ready.variables.update(
        certificate_rotation_certificates=[certificate],
        certificate_rotation_issued_dir=str(tmp_path / "issued"),
        certificate_rotation_deployed_dir=str(site.store.parent),
        certificate_rotation_state_dir=str(site.state),
        certificate_rotation_account_dir=str(acme.account),
        certificate_rotation_directory_url=acme.proxy.directory_url,
        certificate_rotation_directory_trust=acme.pebble.trust,
        certificate_rotation_terms_agreed=True,
        certificate_rotation_trust=str(trust),
        certificate_rotation_calendar=[],
    )
    return ready


def test_from_a_deployment_that_fails_to_the_revocation(play: Play, acme: Place, site: Site) -> None:
    assert isinstance(site.service, NginxService)
    trust = Trust(play.variables["certificate_rotation_trust"])
    issued = acme.issue(names=[NAME], directory=str(play.directory / "issued" / site.store.name))[1]
    assert site.deploy(certificate=issued.fullchain, key=issued.key, trust=trust)[0].verdict == "ok"
    first = issued.fingerprint
    serial = f"{x509.load_pem_x509_certificate(site.in_use()).serial_number:x}"

    # Its key became known. The next one is issued and cannot be loaded: the old one stays, and is not revoked.
    play.variables["certificate_rotation_certificates"][0]["compromised"] = [first]
    words = "{{ certificate_rotation_result.summary }}"
    status, told = play.run("--check", tasks=[*_ROLE, {"ansible.builtin.debug": {"msg": words}}])
    assert (status, "not secret any more" in told, len(acme.proxy.orders())) == (0, True, 1), told
    text = site.service.configuration.read_text()
    site.service.configuration.write_text(text + "broken")
    with Clients(site, pause=0.1) as clients:
        status, told = play.run(tasks=_ROLE)
    assert (status, "was not brought into use" in told, "test the configuration" in told) == (2, True, True), told
    assert (clients.failures, set(clients.seen)) == ([], {first})
    assert b"Valid" in acme.pebble.managed(f"cert-status-by-serial/{serial}")
    assert len(acme.proxy.orders()) == 2

    # Mended: the same pair is brought into use without another order, and then the old one is revoked. Once more, and
    # nothing is left to do.
    site.service.configuration.write_text(text)
    words = "{{ certificate_rotation_result.verdict }} {{ certificate_rotation_result.changed }}"
    empty = {**_ROLE[0], "vars": {"certificate_rotation_certificates": []}}
    tasks = [
        task for role in (*_ROLE, *_ROLE, empty) for task in (role, {"ansible.builtin.debug": {"msg": f"<{words}>"}})
    ]
    with Clients(site, pause=0.1) as clients:
        status, told = play.run(tasks=tasks)
    assert (status, re.findall("<(.*)>", told)) == (0, ["ok True", "ok False", "skipped False"]), told
    second = next(iter(site.served()))
    assert second not in (first, site.first.fingerprint)
    assert (clients.failures, set(clients.seen)) == ([], {first, second})
    assert len(acme.proxy.orders()) == 2
    assert b"Revoked" in acme.pebble.managed(f"cert-status-by-serial/{serial}")
